import numpy as np
import pytest

from dashboard.charts.axes import frame, named, scale
from dashboard.charts.chart import last_before, plain, points, thinned


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 5.2, (0, 2, 4, 6)),
        (-1, 1, (-1, -0.5, 0, 0.5, 1)),
        (0, 0.3, (0, 0.1, 0.2, 0.3)),
        (0, 600, (0, 200, 400, 600)),
        (3, 3, (3, 3.2, 3.4, 3.6, 3.8, 4)),
    ],
)
def test_ticks_are_round_and_enclose(low, high, ticks):
    found = scale(low, high)
    assert found.ticks == pytest.approx(ticks)
    assert (found.low, found.high) == (ticks[0], ticks[-1])


def test_a_tight_scale_ends_where_the_numbers_end():
    found = scale(-1.15, 1.15, tight=True)
    assert (found.low, found.high) == (-1.15, 1.15)
    assert found.ticks == pytest.approx((-1, -0.5, 0, 0.5, 1))
    assert found.labels == ("−1", "−0.5", "0", "0.5", "1")


@pytest.mark.parametrize("seed", range(20))
def test_random_scales_hold_their_numbers_with_few_ticks(seed):
    rng = np.random.default_rng(seed)
    low = rng.normal() * 10.0 ** rng.integers(-3, 6)
    high = low + abs(rng.normal()) * 10.0 ** rng.integers(-3, 6)
    found = scale(low, high)
    assert found.low <= low + 1e-6 * abs(low)
    assert found.high >= high - 1e-6 * abs(high)
    assert 2 <= len(found.ticks) <= 7


def test_tick_labels_are_words_at_the_ends_of_the_plot():
    option = frame(scale(0, 10), named([0, 1], ["none", "all"], 0, 1), [], x_title="step")
    across, title, up = option["series"][-3:]
    assert [(d["name"], d["value"]) for d in across["data"]] == [(str(v), [float(v), 0.0]) for v in (0, 2, 4, 6, 8, 10)]
    assert [(d["name"], d["value"]) for d in title["data"]] == [("step", [5.0, 0.0])]
    assert [(d["name"], d["value"]) for d in up["data"]] == [("none", [0.0, 0.0]), ("all", [0.0, 1.0])]
    assert all(s["name"] == "anchor" and s["symbolSize"] == 0 for s in (across, title, up))


def test_plain_numbers_have_gaps_where_they_are_not_finite():
    assert plain([[1.00004, np.nan], [np.inf, -2]]) == [[1.0, None], [None, -2.0]]
    assert points([1, 2], [3, np.nan]) == [[1.0, 3.0], [2.0, None]]
    assert plain([]) == []


def test_thinning_keeps_ends_and_spikes():
    x = np.arange(5000)
    y = np.sin(x / 700)
    y[3333], y[1234] = 40, -40
    kept_x, kept_y = thinned(x, y, 240)
    assert len(kept_x) <= 242
    assert (kept_x[0], kept_x[-1]) == (0, 4999)
    assert {40, -40} <= set(kept_y)
    assert (np.diff(kept_x) > 0).all()
    short_x, short_y = thinned([1, 2], [np.nan, 3])
    assert (short_x.tolist(), short_y[1]) == ([1, 2], 3)
    assert np.isnan(thinned(x, np.full(5000, np.nan), 240)[1]).all()


def test_last_before():
    steps = np.array([0, 10, 20])
    assert [last_before(steps, at) for at in (-1, 0, 9, 10, 99)] == [-1, 0, 0, 1, 2]
