"""The three panels of Map: the map itself, what was caught on it, and whether noise would look like it."""

import re
from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.data.registry import DataSet
from core.diagnostics import verdicts
from core.runs import layouts
from dashboard import words
from dashboard.charts.map import caught, landmarks, scatter_map, trio
from dashboard.link import change
from dashboard.map_view import Cloud, Plane, Waiting, alike, around, middle
from dashboard.panel import panel, show
from dashboard.points import thumbnails

SHOWN, NEAR, ROW = 24, 8, 8
POLL = 0.5


def plain(text: str) -> str:
    """A name as text, with nothing in it that Markdown would read as a mark."""
    return re.sub(r"([\\`*_{}\[\]()#+\-.!|<>~$:])", r"\\\1", text)


def gallery(data: DataSet, items: Sequence[int]) -> None:
    """The pictures of some items, eight in a row, each named on hover; their names where there are none."""
    names = [data.names[item] for item in items]
    urls = thumbnails(data, np.asarray(items))
    if urls is None:
        st.markdown(f":small[{', '.join(map(plain, names))}]")
        return
    titles = [re.sub(r'["\\\[\]]', "", name) for name in names]
    pictures = [f'![{title}]({url} "{title}")' for title, url in zip(titles, urls, strict=True)]
    with st.container(gap="xxsmall"):
        for row in range(0, len(pictures), ROW):
            st.markdown("&nbsp; ".join(pictures[row : row + ROW]))


def _pictures(data: DataSet, points: Cloud, xy: np.ndarray) -> list[str] | None:
    """(M,) addresses, filled in for the landmarks alone, since no other is drawn."""
    rows = landmarks(xy)
    found = thumbnails(data, points.item[rows])
    if found is None:
        return None
    every = [""] * len(xy)
    for row, url in zip(rows.tolist(), found, strict=True):
        every[row] = url
    return every


def _counted(points: Cloud, ink: np.ndarray, group: str) -> str:
    """How many points, how many of all of them, and how many in ink."""
    shown, total = words.count(len(points.z)), words.count(points.total)
    text = f"All {total} points" if len(points.z) == points.total else f"{shown} of {total} points"
    if len(points.modalities) > 1:
        text += f", each item once in {' and once in '.join(points.modalities)}"
    return text + (f"; **{plain(group)}** in ink ({words.count(int(ink.sum()))})" if group else "")


def the_map(plane: Plane, points: Cloud, data: DataSet, ink: np.ndarray, group: str) -> list[int]:
    """The map; returns the rows inside the loop that was drawn on it."""
    dim = points.z.shape[1]
    said = {
        "exact": "The embedding has 2 dimensions: this is all of it, nothing was projected.",
        "pca": f"The two axes of PCA hold {words.share(plane.explained)} of the variance and keep "
        f"{words.share(plane.kept)} of the ten nearest.",
        "umap": f"The map keeps {words.share(plane.kept)} of the ten nearest.",
    }[plane.kind]
    if plane.tiny:
        said = "The items hardly differ, so UMAP would only draw chance: this is PCA."
    noise = _noise_verdict(plane)
    if noise and noise.word == "no structure":
        said += " There is no structure here that noise would not show as well."
    verdict = noise if plane.kind == "exact" else verdicts.trust(plane.trust)
    measured = layouts.sample(len(points.z))
    on = f" Measured on {words.count(len(measured))} of them." if len(measured) < len(points.z) else ""
    why = (
        "Each dot is an item; near dots are alike. Drag to draw a loop and see what you caught.",
        f"The embedding has {dim} dimensions and paper has two, so a map leaves things out. PCA turns the cloud until "
        "the two widest directions face you; UMAP bends it so that neighbours stay together, and the distances between "
        "groups then mean little. Trust says how far neighbours on the map are neighbours in all dimensions.",
        rf"\text{{trust}}={plane.trust:.2f}\qquad\text{{kept}}={plane.kept:.2f}",
    )
    names = [f"{data.names[item]}" for item in points.item.tolist()]
    chart = scatter_map(
        plane.xy, highlight=ink if group else None, names=names, urls=_pictures(data, points, plane.xy), what="points"
    )
    sentence = f"{_counted(points, ink, group)}. {said}{on}"
    state = show("map", "What lies near what?", sentence, chart, why=why, verdict=verdict, select="lasso")
    return caught(state, chart)


def the_catch(plane: Plane, points: Cloud, data: DataSet, ink: np.ndarray, loop: list[int]) -> None:
    """What lies inside the loop, or round a named item before there is one; and the true neighbours of one of them."""
    rows = np.asarray(loop, dtype=int)
    if len(rows):
        named = middle(plane.xy, rows)
        rows = rows[around(plane.xy[rows], int(np.flatnonzero(rows == named)[0]), len(rows))]
    else:
        named = middle(plane.xy, np.flatnonzero(ink) if ink.any() else np.arange(len(points.z)))
        rows = around(plane.xy, named, min(SHOWN, len(points.z)))
    items = list(dict.fromkeys(points.item[rows].tolist()))
    own = int(points.item[named])
    name, caught_some = plain(data.names[own]), len(loop) > 0
    shown = f", {SHOWN} round its middle shown" if len(items) > SHOWN else ""
    sentence = (
        f"{words.count(len(items))} item{'s' if len(items) > 1 else ''} in your loop{shown}."
        if caught_some
        else f"{len(items)} items round “{name}”. Draw a loop on the map to choose your own."
    )
    why = (
        "The items inside your loop, and those most like the one in its middle.",
        "Two items can lie side by side on the map and be far apart in truth. The second row is read from the "
        "embedding itself, by cosine, so it does not depend on the map.",
        rf"\cos(z_i,z_j)\ \text{{in}}\ {points.z.shape[1]}\ \text{{dimensions}}",
    )
    near = alike(points, named, NEAR)
    columns = {"item": items, "name": [data.names[item] for item in items]}
    with panel("catch", "What did I catch?", sentence, why=why, columns=columns):
        gallery(data, items[:SHOWN])
        where = f"in all {points.z.shape[1]} dimensions, not on the map" if plane.kind != "exact" else "by cosine"
        same = ""
        if data.classes:
            label = int(data.labels[own])
            agree = int((data.labels[points.item[near]] == label).sum())
            same = f" {agree} of {len(near)} are **{plain(data.classes[label])}** too."
        st.markdown(f":small[Nearest to **{name}** {where}:{same}]")
        gallery(data, points.item[near].tolist())


def _noise_verdict(plane: Plane) -> verdicts.Verdict | None:
    s = plane.structure
    return None if s is None else verdicts.looks_like_noise(s.trust, s.twin, s.exact)


def the_noise(plane: Plane, ink: np.ndarray) -> None:
    """The map beside another of the same points, and beside that of the same numbers with every column shuffled."""
    title = "Would noise look like this too?"
    why = (
        "The same numbers with every column shuffled on its own: nothing belongs together any more.",
        "A map always shows something. If the map of shuffled numbers is trusted as much as yours, then what you see "
        "is the method and not the data. The map in the middle tells what a second look would change.",
        "",
    )
    s, verdict = plane.structure, _noise_verdict(plane)
    if s is None or verdict is None or plane.shuffled is None:
        with panel("noise", title, "Two more maps are on their way: another start, and shuffled numbers.", why=why):
            return
    lead = f"Trust {words.number(s.trust)} here, {words.number(s.twin)} when every column is shuffled"
    sentence = f"{lead}: a lead of {words.signed(s.trust - s.twin)}."
    if s.exact:
        sentence = "Nothing was projected. Right: the same numbers, every column shuffled."
    maps = [(f"this map {words.number(s.trust)}", plane.xy)]
    maps += [plane.other] if plane.other else []
    maps += [(f"shuffled {words.number(s.twin)}", plane.shuffled)]
    show("noise", title, sentence, trio(maps, highlight=ink), why=why, verdict=verdict)


@st.fragment(run_every=POLL)
def waiting_line(waiting: Waiting, drawn: bool) -> None:
    """What the worker is doing about the maps that are still to come, with the button that goes with it."""
    if not all(layouts.is_waiting(key) for key in waiting.keys):
        st.rerun()
    now = layouts.worker()
    if now.doing == "asleep" and waiting.keys:
        layouts.start()
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if waiting.failed:
            st.markdown(f":small[{plain(waiting.failed)}]", width="content")
        elif now.doing == "gone":
            text = "The process that draws maps is gone; what you asked for is kept."
            st.markdown(f":small[{text}]", width="content")
            st.button("Start it again", icon=":material/restart_alt:", key="restart_maps", on_click=layouts.start)
        else:
            st.progress(*_progress(now, waiting, drawn), width=420)
        st.button(
            "Cancel", icon=":material/close:", key="cancel_maps", type="tertiary", on_click=_give_up, args=(waiting,)
        )


def _progress(now: layouts.Worker, waiting: Waiting, drawn: bool) -> tuple[float, str]:
    if now.doing in ("starting", "warming", "asleep"):
        spent = 0.0 if now.doing != "warming" else now.seconds
        text = f"UMAP gets ready, once for all maps: {spent:.0f} s; last time it took {now.warm_up:.0f} s."
        return min(0.9, spent / max(now.warm_up, 1.0)), text
    left = len(waiting.keys) if drawn else 3
    return 1 - left / 3, "UMAP draws; PCA stands in meanwhile." if not drawn else "UMAP draws two maps to compare with."


def _give_up(waiting: Waiting) -> None:
    for key in waiting.keys:
        layouts.withdraw(key)
    change("map.layout", "pca")
