"""The frame that every chart stands in: a question, a verdict, one sentence, and a `?` that explains and saves."""

import io
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, Protocol

import streamlit as st

from dashboard.charts.chart import Chart

_CHIPS: dict[str, tuple[Any, str | None]] = {
    "ok": ("green", ":material/check:"),
    "watch": ("yellow", ":material/visibility:"),
    "bad": ("red", ":material/close:"),
    "info": ("gray", None),
}


PICTURE = ":small[To save a picture, point at its chart and press the arrow or the camera at its top right.]"


class Verdict(Protocol):
    """What a chip says: one or two words, and a state out of ok, watch, bad and info."""

    @property
    def word(self) -> str: ...

    @property
    def state(self) -> str: ...


def chip(verdict: Verdict) -> str:
    """A verdict as a badge in Markdown; colour and icon follow its state."""
    colour, icon = _CHIPS[verdict.state]
    return f":{colour}-badge[{icon + ' ' if icon else ''}{verdict.word}]"


def csv(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """A table of equally long columns as UTF-8 comma-separated text."""
    import pandas as pd

    text = io.StringIO()
    pd.DataFrame(dict(columns)).to_csv(text, index=False)
    return text.getvalue().encode()


def _depths(why: tuple[str, str, str]) -> str:
    """What you see, why, and the formula, as Markdown."""
    short, long, formula = why
    return "\n\n".join(filter(None, (f"**{short}**", long, formula and f"$$\n{formula}\n$$")))


def _headline(title: str, sentence: str, verdict: Verdict | None) -> str:
    said = f"**{title}**" + (f" {chip(verdict)}" if verdict is not None else "")
    return said + (f"\n\n:small[{sentence}]" if sentence else "")


def _why(key: str, why: tuple[str, str, str], columns: Mapping[str, Sequence[Any]] | None) -> None:
    """The `?`: what you see, why, the formula; then the numbers to take away."""
    with st.popover("", icon=":material/help:", type="tertiary", key=f"why_{key}", on_change="rerun") as opened:
        if not opened.open:
            return
        st.markdown("\n\n".join([_depths(why), *([PICTURE] if columns is not None else [])]))
        if columns is not None:
            _save(key, "Save the numbers", lambda: columns)


def _save(key: str, label: str, columns: Callable[[], Mapping[str, Sequence[Any]]]) -> None:
    st.download_button(
        label,
        lambda: csv(columns()),
        file_name=f"{key}.csv",
        mime="text/csv",
        icon=":material/download:",
        on_click="ignore",
        key=f"save_{key}",
    )


@contextmanager
def panel(
    key: str,
    title: str,
    sentence: str = "",
    *,
    why: tuple[str, str, str],
    verdict: Verdict | None = None,
    columns: Mapping[str, Sequence[Any]] | None = None,
) -> Generator[None, None, None]:
    """Title row, sentence, and room for a chart in the body.

    Args:
        key: short name, unique on the page; widgets become `why_<key>` and `save_<key>`.
        title: a question of at most eight words.
        sentence: one sentence with its numbers; it is the legend too, so build it with `dashboard.words`.
        why: what you see (a sentence), why (a paragraph), the formula (LaTeX with the live numbers); "" leaves one out.
        verdict: the chip.
        columns: the numbers to save, usually `chart.columns`.
    """
    with st.container(gap="xsmall"):
        with st.container(horizontal=True, wrap=False, gap="xsmall"):
            st.markdown(_headline(title, sentence, verdict), width="stretch")
            _why(key, why, columns)
        yield


def draw(key: str, chart: Chart, *, select: Literal["lasso", "points"] | None = None, height: int | None = None) -> Any:
    """Draw a chart under the key `c_<key>`.

    Args:
        key: short name, unique on the page.
        chart: what to draw.
        select: "lasso" makes a Plotly map answer with what was encircled, "points" with what was clicked on.
        height: pixels; None takes the chart's own.

    Returns:
        For a Plotly chart with `select` its selection state, else what Streamlit returns.
    """
    name, tall = f"c_{key}", chart.height if height is None else height
    if chart.kind == "echarts":
        return st.echarts_chart(chart.spec, height=tall, key=name, alt=chart.alt)
    if chart.kind == "altair":
        chart.spec.height = tall
        return st.altair_chart(chart.spec, width="stretch", key=name, alt=chart.alt)
    from dashboard.charts.theme import PLOTLY_CONFIG

    # A live switch of the theme leaves Plotly's colours stale; naming the theme makes the next rerun draw them anew.
    chart.spec.update_layout(height=tall, meta=st.context.theme.type)
    asked: dict[str, Any] = {"on_select": "rerun", "selection_mode": select} if select else {}
    return st.plotly_chart(chart.spec, key=name, alt=chart.alt, config=PLOTLY_CONFIG, **asked)


def show(
    key: str,
    title: str,
    sentence: str,
    chart: Chart,
    *,
    why: tuple[str, str, str],
    verdict: Verdict | None = None,
    select: Literal["lasso", "points"] | None = None,
    height: int | None = None,
) -> Any:
    """A panel with one chart in it, its numbers to be saved; arguments as for `panel` and `draw`."""
    with panel(key, title, sentence, why=why, verdict=verdict, columns=chart.columns):
        return draw(key, chart, select=select, height=height)


def lean(
    key: str,
    title: str,
    sentence: str,
    chart: Chart,
    *,
    why: tuple[str, str, str],
    verdict: Verdict | None = None,
    height: int | None = None,
) -> None:
    """A panel of the fewest parts, for charts that follow a slider: each part costs the server at every move.

    Its `?` opens when it is pointed at, and its numbers wait in `numbers`. Arguments as for `show`.
    """
    _shown()[key] = (title, chart.columns)
    heading(title, sentence, why=why, verdict=verdict)
    draw(key, chart, height=height)


def heading(title: str, sentence: str, *, why: tuple[str, str, str], verdict: Verdict | None = None) -> None:
    """The head of a lean panel alone: title, sentence, and the `?` that opens when it is pointed at."""
    st.markdown(_headline(title, sentence, verdict), help=_depths(why))


def forget() -> None:
    """Forget the numbers of the panels drawn so far; a page does so before it draws its lean ones."""
    _shown().clear()


def _shown() -> dict[str, tuple[str, Mapping[str, Sequence[Any]]]]:
    """Key -> title and numbers of each lean panel as it was drawn last."""
    return st.session_state.setdefault("lean", {})


def numbers() -> None:
    """The numbers behind the lean panels of the page, as they stand when they are asked for."""
    shown = _shown()
    with st.popover("Numbers", icon=":material/download:", type="tertiary", key="numbers", on_change="rerun") as opened:
        if not opened.open:
            return
        st.markdown(PICTURE)
        for key, (title, _) in shown.items():
            _save(key, title, lambda key=key: shown[key][1])
