"""The parts of Inspect: health of a run or a file, its steps, what a checkpoint holds, and what changed to another."""

import itertools
from typing import Any

import streamlit as st

from core.addresses import read
from core.checkpoints import comparison, fence
from core.checkpoints.embedding import Embedded, as_file
from core.checkpoints.opened import open_checkpoint
from core.data import brought, npz
from core.data.loading import load
from core.diagnostics.guessing import Guess, guess
from core.diagnostics.verdicts import Verdict
from core.home import home
from core.params import Params
from core.refusal import Refusal
from core.runs.worker import recipe_of
from dashboard import compare_panels, weights_panels, words
from dashboard import embedded as embed_view
from dashboard.compare_view import both, steps_of
from dashboard.controls import option
from dashboard.health import Health, tally
from dashboard.link import plain, replace, view
from dashboard.opened import open_run, readable
from dashboard.panel import chip, panel
from dashboard.picker import candidates, finished, label
from dashboard.tiles import TILES, spectrum_panel, tile, training_tile
from dashboard.weights_view import looked_into, title


def headline(name: str, health: Health) -> None:
    """What is open, and how many readings ask for a look."""
    verdicts = health.verdicts()
    st.markdown(f"**{name}** {chip(tally(verdicts, 'healthy'))}")
    st.markdown(f":small[{len(verdicts)} readings of {health.items}. {health.note}]")


def card(name: str, health: Health) -> None:
    headline(name, health)
    shown = [key for key in TILES if key in health.readings] + (["training"] if health.training else [])
    for row in range(0, len(shown), 2):
        for place, key in zip(st.columns(2, gap="large"), shown[row : row + 2], strict=False):
            with place:
                training_tile(health) if key == "training" else tile(key, health)
    spectrum_panel(health)


@st.cache_resource(max_entries=8, show_spinner=False)
def _guess(p: Params) -> Guess | None:
    z = npz.read(getattr(p, "digest", "")).vectors
    pair = next(((a, b) for a, b in itertools.combinations(z.values(), 2) if a.shape == b.shape), None)
    return None if pair is None else guess(*pair)


def guessed(p: Params) -> None:
    """Which family of losses probably made the embeddings of a file with two modalities of one width."""
    found = _guess(p)
    if found is None:
        return
    setting = ", ".join(f"{name} {words.number(value)}" for name, value in found.setting.items())
    between = ", ".join(f"{words.number(low)} to {words.number(high)}" for low, high in found.between.values())
    said = f"Probably a **{found.family}** loss, {setting} ({between} fit nearly as well)." if found.family else ""
    why = (
        "The loss under which the last layer would be at rest, if it was linear and saw these very items.",
        "Under the loss that made the embeddings, what positives pull and what negatives push cancel. Of 54 networks "
        "that it was not set on and that were trained to rest, 48 were named rightly, 2 wrongly, and 4 were *not "
        "sure*. Short trainings, pairs learned by heart and items that were not trained on are mostly *not sure*.",
        r"\sum_i t_iz_i^\top\approx 0",
    )
    verdict = Verdict(found.family or "not sure", "info", "")
    with panel("guess", "Which loss made it?", said, why=why, verdict=verdict):
        st.markdown(":small[" + " ".join(found.evidence) + "]")


def steps(folder: str) -> None:
    """Which recorded step of a run is the best, asked without labels."""
    run, _, _ = open_run(folder)
    compare_panels.steps(steps_of(folder, (run.path / "embeddings.npz").stat().st_mtime_ns))


def runs_beside(folder: str) -> dict[str, str]:
    """Other finished runs on the same data, by id, with what they are called."""
    _, recipe, _ = open_run(folder)
    found = candidates(lambda run: run.path.name != folder and readable(run) and finished(run))
    return {run.path.name: label(run) for run in found if recipe_of(run).data == recipe.data}


def files_beside(digest: str) -> dict[str, str]:
    """Other files that were added on this machine, by hash."""
    kept = sorted((home() / "data").glob("*.npz"), key=lambda file: -file.stat().st_mtime)
    return {file.stem: _called(file.stem) for file in kept if file.stem != digest}


def _called(digest: str) -> str:
    """A file as the user named it, with the first letters of its hash."""
    found = brought.reading(digest)
    return f"{', '.join(found.files)[:80]} · {digest[:4]}" if found else f"File {digest[:8]}"


def checkpoints_beside(key: str) -> dict[str, str]:
    """Other checkpoints that are kept, by hash."""
    return {other: title(other) for other in fence.listed() if other != key}


def changed(of: Any, name: str) -> None:
    """A run or a file beside another of its kind."""
    others = runs_beside(name) if of == "run" else files_beside(name)
    if not others:
        what = "Train another run on the same data" if of == "run" else "Add a second file with the same rows"
        st.markdown(f"There is nothing to compare it with yet. {what}, and it is listed here.")
        return
    other = option("inspect.other", "Compared with", list(others), view().inspect.other, names=others, roomy=True)
    found = both(of, name, other)
    for one in found.changed:
        compare_panels.changed(found, one, others[other])


def weights(key: str) -> None:
    """What a checkpoint holds."""
    seen = looked_into(key)
    weights_panels.headline(title(key), seen)
    weights_panels.findings(seen.verdicts)
    weights_panels.recognised(seen)
    weights_panels.where(seen)
    weights_panels.table(seen)
    weights_panels.spectrum(key, seen)
    weights_panels.save(seen)


def embedded(key: str) -> None:
    """A checkpoint at work on the data that it fits: its health card beside random weights; else what is needed."""
    open_checkpoint(key)
    try:
        names = {digest: load(each.recipe.data).title for digest, each in embed_view.fitting(key).items()}
        now = view().inspect.on if view().inspect.on in names else next(iter(names), "")
        if len(names) > 1:
            now = option("inspect.on", "Run on", list(names), now, names=names, roomy=True)
        seen = embed_view.on(key, now)
    except Refusal as error:
        st.markdown(f"It embeds nothing here yet. {plain(str(error))}.")
        return
    weights_panels.findings(seen.health.training)
    card(plain(title(key)), seen.health)
    st.markdown("\n".join(f"- :small[{plain(text)}]" for text in seen.found.said))
    st.button(
        "Open them as a file of embeddings",
        icon=":material/file_open:",
        type="tertiary",
        help="For their map, and for what is left when a modality is missing.",
        key="embeddings_out",
        on_click=_as_file,
        args=(seen.found,),
    )


def _as_file(found: Embedded) -> None:
    link = {"data.kind": "npz", "data.digest": npz.add(as_file(found)), "inspect.of": "file", "at": "-1"}
    replace(read(link, view())[0])


def weights_changed(key: str) -> None:
    """A checkpoint beside another."""
    others = checkpoints_beside(key)
    if not others:
        st.markdown("There is nothing to compare it with yet. Drop a second checkpoint, and it is listed here.")
        return
    other = option("inspect.other", "Compared with", list(others), view().inspect.other, names=others, roomy=True)
    seen = looked_into(key, other)
    if seen.against is not None:
        weights_panels.findings(comparison.findings(seen.against))
        weights_panels.against(others[other], seen.against)
