"""The theme as a contract: Streamlit's placeholders, the readable colours of the config, and no colour elsewhere."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from streamlit.elements.lib import streamlit_plotly_theme as plotly_theme

from dashboard.charts import theme
from dashboard.charts.heat import STRENGTH_UNDER_TEXT

ROOT = Path(__file__).resolve().parents[2]
CONFIG = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text("utf-8"))["theme"]
MODES = ("light", "dark")
CHARTS = sorted((ROOT / "dashboard" / "charts").glob("*.py"))


def channels(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    return red, green, blue


def luminance(colour: tuple[float, float, float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: tuple[float, float, float], other: tuple[float, float, float]) -> float:
    """WCAG 2.1 contrast ratio."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def over(top: str, share: float, under: str) -> tuple[float, float, float]:
    red, green, blue = (share * a + (1 - share) * b for a, b in zip(channels(top), channels(under), strict=True))
    return red, green, blue


def test_contrast_of_black_on_white_is_twenty_one():
    assert contrast(channels("#000000"), channels("#FFFFFF")) == pytest.approx(21)


def test_the_slots_are_those_that_streamlit_replaces():
    assert plotly_theme.CATEGORY_0 == "#000001" == theme.POSITIVE
    slots = (theme.POSITIVE, theme.NEGATIVE, theme.MIXED, theme.ANCHOR, *theme.CLASSES)
    assert slots == tuple(getattr(plotly_theme, f"CATEGORY_{i}") for i in range(10))
    assert [c for _, c in theme.SEQUENTIAL] == [getattr(plotly_theme, f"SEQUENTIAL_{i}") for i in range(10)]
    assert [c for _, c in theme.DIVERGING] == [getattr(plotly_theme, f"DIVERGING_{i}") for i in range(10)]
    assert (theme.BACKGROUND, theme.GRID) == (plotly_theme.BG_COLOR, plotly_theme.FADED_TEXT_05)
    assert theme.faded(theme.POSITIVE, 0.22) == "#00000138"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["textColor", "linkColor", "blueTextColor", "orangeTextColor", "violetTextColor"])
def test_text_reaches_aa_on_the_page(mode, name):
    assert contrast(channels(CONFIG[mode][name]), channels(CONFIG[mode]["backgroundColor"])) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_ink_reaches_aa_in_inputs_and_code(mode):
    for ground in ("secondaryBackgroundColor", "codeBackgroundColor"):
        assert contrast(channels(CONFIG[mode]["textColor"]), channels(CONFIG[mode][ground])) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_every_chart_colour_can_carry_words(mode):
    ground = channels(CONFIG[mode]["backgroundColor"])
    colours = CONFIG[mode]["chartCategoricalColors"]
    assert len(colours) == len(theme.KINDS) + len(theme.CLASS_NAMES)
    assert min(contrast(channels(colour), ground) for colour in colours) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_a_word_and_its_line_have_one_colour(mode):
    positive, negative, *_ = CONFIG[mode]["chartCategoricalColors"]
    assert (CONFIG[mode]["blueTextColor"], CONFIG[mode]["blueColor"]) == (positive, positive)
    assert (CONFIG[mode]["orangeTextColor"], CONFIG[mode]["orangeColor"]) == (negative, negative)


@pytest.mark.parametrize("mode", MODES)
def test_ink_reads_on_the_strongest_cell_of_the_microscope(mode):
    positive, negative, _, ink, *_ = CONFIG[mode]["chartCategoricalColors"]
    for colour in (positive, negative):
        cell = over(colour, STRENGTH_UNDER_TEXT, CONFIG[mode]["backgroundColor"])
        assert contrast(channels(ink), cell) >= 4.5


@pytest.mark.parametrize("mode", MODES)
def test_the_middle_of_the_diverging_scale_is_hardly_seen(mode):
    ground = channels(CONFIG[mode]["backgroundColor"])
    middle = CONFIG[mode]["chartDivergingColors"][4:6]
    assert max(contrast(channels(colour), ground) for colour in middle) < 1.25


def test_empty_series_claim_the_colours_in_order():
    option = theme.echarts(series=[{"type": "bar", "name": "mixed"}])
    assert [s["name"] for s in option["series"]] == [*theme.KINDS, "mixed"]
    assert all(s["data"] == [] and "coordinateSystem" not in s for s in option["series"][:4])
    polar = theme.echarts(polar={"radius": "90%"}, classes=True)
    assert [s["name"] for s in polar["series"]] == [*theme.KINDS, *theme.CLASS_NAMES]
    assert {s["coordinateSystem"] for s in polar["series"]} == {"polar"}
    assert polar["polar"] == {"radius": "90%"}


def test_no_colour_is_written_outside_the_theme():
    colour = re.compile(r"#[0-9A-Fa-f]{6}\b|#[0-9A-Fa-f]{8}\b|['\"]#[0-9A-Fa-f]{3}['\"]|\brgba?\(|\bhsla?\(")
    files = [*(ROOT / "dashboard").rglob("*.py"), *(ROOT / "pages").rglob("*.py")]
    found = [
        f"{file.name}: {line.strip()}"
        for file in files
        if file != ROOT / "dashboard" / "charts" / "theme.py"
        for line in file.read_text("utf-8").splitlines()
        if colour.search(line)
    ]
    assert len(files) > len(CHARTS)
    assert found == []


def imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text("utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    return {name.split(".")[0] for name in names}


def test_charts_know_no_streamlit_and_only_maps_and_tables_a_heavy_library():
    assert [file.name for file in CHARTS if "streamlit" in imported(file)] == []
    heavy = {file.stem: imported(file) & {"plotly", "altair", "torch"} for file in CHARTS}
    assert {name for name, libraries in heavy.items() if libraries} == {
        "beside",
        "family",
        "map",
        "sphere",
        "missing",
        "tables",
        "distributions",
        "evidence",
        "sizes",
    }
