"""The app under AppTest: open a page by a link, and read off it every sentence and every figure."""

import base64
import functools
import io
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from streamlit.components.v2 import manifest_scanner
from streamlit.runtime.scriptrunner.script_cache import ScriptCache
from streamlit.testing.v1 import AppTest, app_test, local_script_runner
from streamlit.testing.v1.element_tree import Block, Node

from core.addresses import read
from core.environment import ROOT
from core.recipe import Recipe
from core.runs.folder import RunFolder
from core.runs.worker import prepare, work
from dashboard.link import DEFAULT
from dashboard.view import View

CHARTS = ("echarts_chart", "plotly_chart", "arrow_vega_lite_chart", "vega_lite_chart")
PATIENCE = 120
SMALL = {
    "data.kind": "circle",
    "encoder.dim": "2",
    "encoder.vector.width": "16",
    "method.batch": "16",
    "steps": "24",
}

# Every AppTest reads the metadata of all that is installed, in search of components; that does not change meanwhile.
manifest_scanner.scan_component_manifests = functools.cache(manifest_scanner.scan_component_manifests)
# And every run compiles its scripts anew, and is asked each millisecond whether it is done, which takes its turn.
app_test.ScriptCache = local_script_runner.ScriptCache = functools.cache(ScriptCache)
asked_each_millisecond = local_script_runner.require_widgets_deltas


def wait_for_the_end(runner: local_script_runner.LocalScriptRunner, timeout: float) -> None:
    """Sleep until a run is done; whether it is, and what to do where it is not, the runner knows."""
    runner._script_thread.join(timeout)
    asked_each_millisecond(runner, timeout)


local_script_runner.require_widgets_deltas = wait_for_the_end

HEADLINE = re.compile(r"\*\*([^*]+)\*\*(?: (:\w+-badge\[[^\n]+\]))?(?:\n\n(:small\[.+\]))?", re.DOTALL)


@dataclass(frozen=True)
class Panel:
    """A chart as the user sees it: title, sentence and chip above it, words for screen readers, and its numbers."""

    key: str
    title: str
    sentence: str
    chip: str
    alt: str
    figure: str
    numbers: tuple[float, ...]


@dataclass(frozen=True)
class Seen:
    """All that a page says: its texts in order, and its charts by key."""

    texts: tuple[str, ...]
    panels: Mapping[str, Panel]

    def numbers(self) -> list[float]:
        return [value for text in self.texts for value in numbers_in(text)]


def pages() -> list[str]:
    """Every page of the app, by the name of its file."""
    return sorted(file.stem for file in (ROOT / "pages").glob("*.py"))


def view_of(link: Mapping[str, str]) -> View:
    """What a link says; it must say nothing that is refused."""
    view, refused = read(link, DEFAULT)
    assert refused == []
    return view


def recipe_of(link: Mapping[str, str]) -> Recipe:
    return view_of(link).recipe()


def train(link: Mapping[str, str]) -> RunFolder:
    """The finished run of a link's recipe, trained here and now."""
    folder = prepare(recipe_of(link))
    work(folder)
    assert folder.status().state == "done"
    return folder


def opened(page: str, link: Mapping[str, str] | None = None) -> AppTest:
    """The app after its first run on a page, opened by a link of our version unless the link names another."""
    app = AppTest.from_file(str(ROOT / "dashboard" / "app.py"), default_timeout=PATIENCE)
    for address, value in ({"v": "1"} | dict(link or {})).items() if link is not None else ():
        app.query_params[address] = value
    if page != "start":
        app.switch_page(str(Path("..") / "pages" / f"{page}.py"))
    return well(app.run())


def well(app: AppTest) -> AppTest:
    """The same app; it must not have ended in an exception."""
    assert [(each.message, each.stack_trace) for each in app.exception] == []
    return app


def link_of(app: AppTest) -> dict[str, str]:
    """The address as it stands now."""
    given = {name: value if isinstance(value, str) else value[0] for name, value in app.query_params.items()}
    assert given.pop("v", "1") == "1"
    return given


def nodes(block: Block) -> Iterator[tuple[Node, tuple[Block, ...]]]:
    """Every element below `block`, each with the blocks that hold it, the nearest last."""

    def below(block: Block, holders: tuple[Block, ...]) -> Iterator[tuple[Node, tuple[Block, ...]]]:
        for child in block.children.values():
            yield child, holders
            if isinstance(child, Block):
                yield from below(child, (*holders, child))

    return below(block, (block,))


def seen(app: AppTest) -> Seen:
    """What the page shows in its main part."""
    texts, panels = [], {}
    for node, holders in nodes(app.main):
        if node.type in ("markdown", "latex", "heading", "title", "header", "subheader", "caption"):
            texts.append(str(getattr(node, "value", "")))
            if said := getattr(node.proto, "help", ""):
                texts.append(said)
        elif node.type in CHARTS:
            panel = _panel(node, holders)
            assert panel.key not in panels, f"two charts are called {panel.key}"
            panels[panel.key] = panel
    return Seen(tuple(texts), panels)


def _panel(node: Any, holders: tuple[Block, ...]) -> Panel:
    proto = node.proto
    # Altair charts have no id of their own; their panel's `?` has one.
    why = next((e.proto.id for e, _ in nodes(holders[-1]) if "-why_" in str(getattr(e.proto, "id", ""))), "")
    key = re.sub(r"^\$\$ID-[0-9a-f]+-", "", proto.id or why.replace("-why_", "-c_"))
    near = [each for each, _ in nodes(holders[-1])]
    before = [str(getattr(each, "value", "")) for each in near[: near.index(node)]]
    direct = [str(getattr(each, "value", "")) for each in holders[-1].children.values()]
    headlines = [found.groups("") for word in before if (found := HEADLINE.fullmatch(word))]
    title, chip, sentence = headlines[-1] if headlines else [""] * 3
    return Panel(
        key=key,
        title=title,
        sentence=sentence or next((word for word in direct if word.startswith(":small[")), ""),
        chip=chip,
        alt=proto.alt,
        figure=proto.spec + "".join(each.data.data.hex() for each in proto.datasets)
        if hasattr(proto, "datasets")
        else proto.spec,
        numbers=tuple(_figure_numbers(proto)),
    )


def _figure_numbers(proto: Any) -> Iterator[float]:
    yield from _written(proto.spec)
    for each in getattr(proto, "datasets", ()):
        table = pa.ipc.open_stream(io.BytesIO(each.data.data)).read_all()
        for column in table.columns:
            yield from numbers_below(column.to_pylist())


def _written(spec: str) -> Iterator[float]:
    """As `numbers_below` reads the JSON; where Plotly packs no array, they are taken down while it is parsed."""
    if '"bdata"' in spec:
        yield from numbers_below(json.loads(spec))
        return
    found: list[str] = []
    json.loads(spec, parse_int=found.append, parse_float=found.append, parse_constant=found.append)
    yield from map(float, found)


def numbers_below(value: Any) -> Iterator[float]:
    """Every number in a JSON-like value; arrays that Plotly packs are unpacked."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, int | float):
        yield float(value)
    elif isinstance(value, Mapping) and {"bdata", "dtype"} <= set(value):
        yield from np.frombuffer(base64.b64decode(value["bdata"]), value["dtype"]).astype(float).tolist()
    else:
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from numbers_below(inner)


def numbers_in(text: str) -> list[float]:
    """The numbers in a sentence; per cent and thousands as they are written, a real minus sign understood."""
    plain = text.replace("−", "-").replace("∞", "inf")
    found = re.findall(r"(?<![\w.])-?(?:\d[\d,]*\.?\d*|inf)", plain)
    return [float(word.replace(",", "").rstrip(".")) for word in found if math.isfinite(float(word.replace(",", "")))]
