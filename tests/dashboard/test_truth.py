"""The truth test: every number on every page comes from a computation on the model or the data shown.

Each page is read under five conditions. What two conditions have in common must look the same, and what they do not
have in common must look different: a chart that stays the same although the network behind it is another one, lies,
unless it is listed here with the reason why it does not depend on the network.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pytest
import streamlit as st

from core.runs import demo, layouts
from core.runs.folder import RunFolder, write_arrays, write_atomically
from tests.dashboard.apps import SMALL, Panel, Seen, numbers_in, opened, pages, seen, train

DMM = {"loss.kind": "ranking", "mixing.kind": "dmm"}


@dataclass(frozen=True)
class Sight:
    """A page opened by a link."""

    page: str
    link: Mapping[str, str]

    @property
    def name(self) -> str:
        return "-".join([self.page, *self.link.values()])


SCENE = dict.fromkeys(("c_scene", "c_leads", "c_lambda"), "a closed form of the sliders above it; shows no network")
LENS = {"c_lens": "the margin of the released rule, from a seed of its own; shows no network"}
FAR = dict.fromkeys(("c_phases", "c_rest"), "a closed form of the sliders above it; shows no network")
MOVED = {"c_far": "synthetic pairs of two kinds; shows no network"}
USERS = dict.fromkeys(("c_users_released", "c_users_own"), "made-up users; shows no network")
LAB = dict.fromkeys(
    ("c_clean", "c_mixed", "c_counters", "c_gaps", "c_hardness", "c_partner", "c_softmax"),
    "synthetic pairs under the losses of the lab; shows no network",
)
PLANS = dict.fromkeys(("c_law", "c_margin", "c_ramp"), "says: not trained yet; drawn from the settings and the seed")
RAMP = {"c_ramp": "the weight of the schedule, a closed form of epoch and settings"}
LAW = {"c_law": "the draws of lambda depend on the seed alone"}
MADE = dict.fromkeys(("c_curves", "c_hardness", "c_microscope", "c_rank"), "synthetic pairs; shows no network")
LENSED = dict.fromkeys(
    ("c_microscope", "c_curves", "c_rank", "c_effective", "c_balance"),
    "the loss that the page has open on synthetic pairs; shows no network, and not the loss of the recipe",
)
PRICED = dict.fromkeys(
    ("c_microscope", "c_curves", "c_surface", "c_marks"),
    "the loss that the page has open on synthetic pairs; shows no network, and not the loss of the recipe",
)
FILES = dict.fromkeys(
    ("c_their_log", "c_controls", "c_reached", "c_details", "c_improvements", "c_falling"),
    "read from result files and published numbers; shows no network",
)
LANE = dict.fromkeys(("c_points_1", "c_hills_1", "c_push_1", "c_learning_1"), "the second lane keeps its own loss")
# Charts that may look alike although something differs: sight -> condition -> chart -> why.
SAME: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "evidence": dict.fromkeys(("untrained", "seed 1", "another loss", "forged"), FILES),
    "gradients": {"untrained": MADE, "forged": MADE},
    "gradients-lab": {
        "untrained": LAB,
        "seed 1": {"c_clean": "easy pairs: no negative is pushed, whoever was drawn"},
        "another loss": LAB,
        "forged": LAB,
    },
    "losses": {"untrained": LENSED, "another loss": LENSED, "forged": LENSED},
    "paste": {"untrained": LENSED, "another loss": LENSED, "forged": LENSED},
    "losses-price": {"untrained": PRICED, "another loss": PRICED, "forged": PRICED},
    "margins": {
        "untrained": SCENE | LENS | PLANS,
        "seed 1": SCENE | LENS | RAMP,
        "another loss": SCENE | LENS | PLANS,
        "forged": SCENE | LENS | PLANS,
    },
    "margins-ranking-dmm": {
        "untrained": SCENE | LENS,
        "seed 1": SCENE | LENS | RAMP,
        "another loss": SCENE | LENS | LAW | RAMP,
        "forged": SCENE | LENS | RAMP,
    },
    "margins-far": {
        "untrained": SCENE | FAR | MOVED,
        "seed 1": SCENE | FAR,
        "another loss": SCENE | FAR | MOVED,
        "forged": SCENE | FAR | MOVED,
    },
    "margins-users": {
        "untrained": SCENE | USERS,
        "seed 1": SCENE,
        "another loss": SCENE | USERS,
        "forged": SCENE | USERS,
    },
    "play-on-triplet": {"another loss": LANE},
}
MORE: Mapping[str, tuple[Mapping[str, str], ...]] = {
    "play": (DMM, {"lane.on": "on", "lane.loss.kind": "triplet"}),
    "gradients": ({"pairs.source": "run"}, {"pairs.part": "lab"}),
    "margins": (DMM, {"lens.part": "far"}, {"lens.part": "users"}),
    "losses": ({"losses.part": "price"},),
    "map": ({"encoder.dim": "3"},),
    "scores": (DMM,),
}
# A table of what is registered, and a map of the losses by themselves: held to these in their own tests.
WITHOUT_A_NETWORK = ("papers", "family")
SIGHTS = [Sight(page, link) for page in pages() if page not in WITHOUT_A_NETWORK for link in ({}, *MORE.get(page, ()))]

CONDITIONS: Mapping[str, Mapping[str, str] | None] = {
    "untrained": None,
    "seed 0": {"seed": "0"},
    "seed 0 again": {"seed": "0"},
    "seed 1": {"seed": "1"},
    "another loss": {"loss.kind": "dcl"},
    "forged": {"seed": "0"},
}


@pytest.fixture(scope="module")
def homes(tmp_path_factory) -> Mapping[str, str]:
    return {name: str(tmp_path_factory.mktemp("home")) for name in CONDITIONS}


@pytest.fixture
def look(homes, monkeypatch) -> Callable[[Sight], dict[str, Seen]]:
    """Read a sight under every condition; each has a home of its own and computes everything anew."""
    monkeypatch.setattr(demo, "start", lambda: None)
    monkeypatch.setattr(layouts, "start", lambda: None)

    def look(sight: Sight) -> dict[str, Seen]:
        found = {}
        for name, change in CONDITIONS.items():
            monkeypatch.setenv("PUSHPULL_HOME", homes[name])
            st.cache_resource.clear()
            st.cache_data.clear()
            link = SMALL | dict(sight.link)
            if change is not None:
                link |= change if "loss.kind" not in change else {"loss.kind": other_loss(link)}
                folders = [train(link)]
                if "lane.loss.kind" in link:
                    folders.append(train(link | {"loss.kind": link["lane.loss.kind"], "lane.on": "off"}))
                for folder in folders if name == "forged" else ():
                    forge(folder)
                if sight.page == "start":
                    demo.remember(folders[0])
            found[name] = seen(opened(sight.page, link))
        return found

    return look


def forge(run: RunFolder) -> None:
    """Put other embeddings and other metrics into a finished run, so that only who reads them shows them."""
    g = np.random.default_rng(0)
    for file in [run.path / "embeddings.npz", *(run.path / "snapshots").glob("*.npz")]:
        with np.load(file) as arrays:
            forged = {name: noise(g, array) if array.ndim == 2 else array for name, array in arrays.items()}
        write_arrays(file, forged)
    rows = [{n: v if n == "step" else v * g.uniform(0.5, 0.9) for n, v in row.items()} for row in run.metrics()]
    write_atomically(
        run.path / "metrics.jsonl", lambda file: file.write("".join(json.dumps(row) + "\n" for row in rows).encode())
    )


def noise(g: np.random.Generator, like: np.ndarray) -> np.ndarray:
    """Random unit rows in place of others."""
    z = g.standard_normal(like.shape)
    return (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(like.dtype)


def other_loss(link: Mapping[str, str]) -> str:
    return "triplet" if link.get("loss.kind") == "ranking" else "dcl"


def alike(one: Seen, other: Seen) -> set[str]:
    """Charts that two sights have in common and that show the same numbers."""
    shared = one.panels.keys() & other.panels.keys()
    return {key for key in shared if one.panels[key].numbers == other.panels[key].numbers}


def differences(one: Seen, other: Seen) -> list[str]:
    """Where two sights that must be equal are not."""
    texts = [f"{a!r} is not {b!r}" for a, b in zip(one.texts, other.texts, strict=False) if a != b]
    charts = [key for key in one.panels.keys() | other.panels.keys() if one.panels.get(key) != other.panels.get(key)]
    lengths = [] if len(one.texts) == len(other.texts) else [f"{len(one.texts)} and {len(other.texts)} texts"]
    return texts + charts + lengths


@pytest.mark.parametrize("sight", SIGHTS, ids=lambda sight: sight.name)
def test_a_page_shows_what_it_computed_from_the_network_it_is_about(sight, look):
    found = look(sight)
    base = found["seed 0"]
    assert base.panels, "a page about a trained network shows no chart"
    assert all(panel.numbers for panel in base.panels.values())
    assert differences(base, found["seed 0 again"]) == []
    for name in ("untrained", "seed 1", "another loss", "forged"):
        assert alike(base, found[name]) == set(SAME.get(sight.name, {}).get(name, {})), name
        if name != "forged" and alike(base, found[name]) != set(base.panels):
            assert base.numbers() != found[name].numbers(), name


def panel(key: str, *numbers: float, sentence: str = "") -> Panel:
    return Panel(key, "", sentence, "", "", "", numbers)


def test_a_chart_that_never_changes_is_found():
    one = Seen(("0.5",), {"a": panel("a", 1, 2), "b": panel("b", 3)})
    other = Seen(("0.6",), {"a": panel("a", 1, 2), "b": panel("b", 4), "c": panel("c")})
    assert alike(one, other) == {"a"}
    assert alike(one, replace(other, panels={})) == set()


def test_a_sight_that_is_not_repeatable_is_found():
    one = Seen(("0.5",), {"a": panel("a", 1, 2)})
    assert differences(one, one) == []
    assert differences(one, replace(one, texts=("0.6",))) == ["'0.5' is not '0.6'"]
    assert differences(one, replace(one, texts=("0.5", "x"))) == ["1 and 2 texts"]
    assert differences(one, replace(one, panels={"a": panel("a", 1, 2, sentence="x")})) == ["a"]
    assert differences(one, replace(one, panels={})) == ["a"]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("**12 of 48** sit nearest; chance is 1.", [12, 48, 1]),
        ("average −0.02, the hills share 34%.", [-0.02, 34]),
        ("1,594 items, +0.63", [1594, 0.63]),
        ("no number, R@1 aside x2", [1]),
    ],
)
def test_the_numbers_in_a_sentence_are_read(text, numbers):
    assert numbers_in(text) == numbers
