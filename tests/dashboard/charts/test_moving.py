"""What every chart that moves must keep: its series from step to step, numbers that JSON can hold, and a table."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from streamlit.elements.echarts_chart import _normalize_spec

from dashboard.charts import bands, circle, curve, gradient, heat, hills, leads, margins, push, sphere, strip, theme
from dashboard.charts.chart import Chart

N, STEPS = 12, np.arange(0, 100, 10)
GRID = np.linspace(-1, 1, 21)


def unit(rng: np.random.Generator, dim: int, n: int = N) -> np.ndarray:
    x = rng.normal(size=(n, dim))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def draw_circle(k: int) -> Chart:
    rng = np.random.default_rng(k)
    mixed = unit(rng, 2, k)
    return circle.circle(unit(rng, 2), unit(rng, 2), urls=[f"app/static/{i}.png" for i in range(N)], mixed=mixed)


def draw_classes(k: int) -> Chart:
    rng = np.random.default_rng(k)
    return circle.circle(unit(rng, 2), unit(rng, 2), classes=rng.integers(0, 9, N))


def draw_sphere(k: int) -> Chart:
    rng = np.random.default_rng(k)
    return sphere.sphere(unit(rng, 3), unit(rng, 3), classes=rng.integers(0, 9, N), turn=10 * k)


def draw_hills(k: int) -> Chart:
    rng = np.random.default_rng(k)
    rows = list(range(k + 1))
    counts = rng.integers(0, 9, (2, len(rows), len(GRID)))
    return hills.hills(GRID, rows, counts[0], counts[1], None if k % 2 else counts[0])


def draw_push(k: int) -> Chart:
    shares = np.random.default_rng(k).dirichlet(np.ones(5)) if k else np.zeros(5)
    return push.push(push.rank_labels((0.01, 0.05, 0.2, 0.5, 1)), (0.01, 0.04, 0.15, 0.3, 0.5), shares.tolist())


def draw_curve(k: int) -> Chart:
    values = np.random.default_rng(k).random(len(STEPS[: k + 1]))
    values[-1] = np.nan if k % 2 else 1.5
    return curve.curve({"a": (STEPS[: k + 1], values)}, at=10 * k, chance=None if k % 2 else 3.0, floor=0.5, until=100)


def draw_strip(k: int) -> Chart:
    return strip.strip(STEPS[:k], np.random.default_rng(k).random(k) * 0.3, 0.0 if k % 2 else 0.3, at=10 * k)


def draw_bands(k: int) -> Chart:
    quantiles = np.sort(np.random.default_rng(k).random((k + 1, 5)), axis=1)
    extra = {"mixed": np.full((k + 1, 5), np.nan)} if k % 2 else {}
    return bands.bands(STEPS[: k + 1], {"positives": quantiles, "negatives": quantiles - 1} | extra, at=10 * k)


def draw_heat(k: int) -> Chart:
    return heat.heat(np.random.default_rng(k).normal(size=(8, 8)) * (k > 0))


def draw_pull_push(k: int) -> Chart:
    x = np.linspace(-1, 1, 41)
    return gradient.pull_push(x, np.exp(x * k), np.exp(x * k) / 2, at=0.1 * k, positive_at=0.6 - 0.2 * k)


def draw_strength(k: int) -> Chart:
    x = np.linspace(-1, 1, 41)
    return gradient.strength(x, np.maximum(0, 0.3 - x), np.exp(-x) * k, at=0.1 * k)


def draw_scene(k: int) -> Chart:
    angles = np.random.default_rng(k).uniform(0, 180, 5)
    anchor, partner, mixed, own, other = (margins.Spot(float(a), f"spot {i}") for i, a in enumerate(angles))
    moves = {"own": 10 * k, "other": -k} if k % 2 else {"partner": 5}
    zones = {"asked_mixed": margins.Zone(90, 10 * k), "asked_clean": margins.Zone(120, 30)}
    return margins.scene(anchor=anchor, partner=partner, mixed=mixed, own=own, other=other, moves=moves, **zones)


def draw_bullets(k: int) -> Chart:
    return leads.bullets([leads.Bullet("clean", 1 - k, 0.3), leads.Bullet("mixed", 0.2 * k, 0.3, "mixed")])


def draw_lead(k: int) -> Chart:
    lam = np.linspace(0.5, 1, 26)
    return leads.lead_over_lambda(lam, 2 * lam - 1 - 0.3 * k, 0.3 * lam, at=0.5 + 0.1 * k)


def draw_histogram(k: int) -> Chart:
    return leads.histogram(np.linspace(0.5, 1, 11), np.random.default_rng(k).integers(0, 1 + 9 * k, 10))


def draw_applied(k: int) -> Chart:
    return leads.applied(np.arange(k), np.random.default_rng(k).random(k), 0.3)


def draw_ramp(k: int) -> Chart:
    return leads.ramp(np.arange(50), np.arange(50) / (np.arange(50) + 1 + k), at=k)


DRAW: dict[str, Callable[[int], Chart]] = {
    name.removeprefix("draw_"): f for name, f in list(globals().items()) if name.startswith("draw_")
}


@pytest.fixture(params=DRAW.values(), ids=DRAW.keys())
def charts(request) -> list[Chart]:
    return [request.param(k) for k in range(4)]


def test_number_order_and_types_of_the_series_never_change(charts):
    kinds = [[(s["type"], s["name"], s.get("coordinateSystem")) for s in chart.spec["series"]] for chart in charts]
    assert kinds[0] == kinds[1] == kinds[2] == kinds[3]
    assert len(kinds[0]) > 4


def test_series_take_the_colours_of_the_theme_alone(charts):
    for chart in charts:
        names = [s["name"] for s in chart.spec["series"]]
        assert tuple(names[:4]) == theme.KINDS
        assert set(names) <= {*theme.KINDS, *theme.CLASS_NAMES}
        text = json.dumps(chart.spec)
        assert "#0" not in text
        assert '"color": "inherit"' in text or '"color"' not in text


def test_figures_are_plain_json_and_pass_streamlit(charts):
    for chart in charts:
        json.dumps(chart.spec, allow_nan=False)
        option, arrow = _normalize_spec(chart.spec)
        assert len(option["series"]) == len(chart.spec["series"])
        assert arrow == {}


def test_every_chart_has_words_and_a_table(charts):
    for chart in charts:
        assert chart.kind == "echarts"
        assert chart.alt.endswith(".")
        assert "nan" not in chart.alt
        assert len({len(column) for column in chart.columns.values()}) == 1
    assert len({chart.alt for chart in charts}) > 1


def test_no_axis_asks_for_steps_of_nothing(charts):
    for chart in charts:
        for key in ("xAxis", "yAxis"):
            found = chart.spec.get(key, [])
            for one in found if isinstance(found, list) else [found]:
                assert one.get("interval", 1) > 0
                assert one["axisLabel"]["show"] is False if one.get("show", True) else True
