"""The panels of a checkpoint: what it is, what was found, where its numbers lie, and how far another one is."""

import json
from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.checkpoints.comparison import Comparison
from core.checkpoints.report import Report
from core.diagnostics.verdicts import Verdict
from dashboard import words
from dashboard.charts.sizes import sizes
from dashboard.charts.xy import Curve, lines
from dashboard.controls import option
from dashboard.health import tally
from dashboard.link import code, plain, view
from dashboard.panel import chip, panel, show
from dashboard.weights_view import branches, spectrum_of

TABLE_HEIGHT = 320
READ_AS = {
    "safetensors": "safetensors",
    "torch archive": "a file of torch",
    "torch legacy": "a file of torch before 1.6",
    "sharded": "several parts",
}


def headline(name: str, seen: Report) -> None:
    """Whose checkpoint it is, and how many findings ask for a look."""
    st.markdown(f"**{plain(name)}** {chip(tally(seen.verdicts, 'nothing odd'))}")
    kind = seen.recognition.title if seen.recognition.family else "Not sure which library wrote it"
    numbers = sum(each.numel for each in seen.tensors)
    st.markdown(
        f":small[{kind}. {len(seen.tensors):,} tensors, {words.count(numbers)} numbers, "
        f"{seen.summary.size / 1e6:,.1f} MB, {READ_AS[seen.summary.kind]}; nothing in it was run.]"
    )


def findings(verdicts: Sequence[Verdict]) -> None:
    """Each verdict with its sentence."""
    st.markdown("\n\n".join(f"{chip(each)} :small[{plain(each.sentence)}]" for each in verdicts))


def recognised(seen: Report) -> None:
    """What was understood, what is missing and what was not understood, in words."""
    found = seen.recognition
    kept_out = [f"{code(name)} was left out: {why}." for name, why in seen.summary.left.items()]
    tied = [f"{code(name)} shares its numbers with {code(other)}." for name, other in seen.summary.tied.items()]
    why = (
        "What the names and shapes of the tensors tell.",
        "Names of classes in the file are never believed and nothing of it was run. Where the names of two libraries "
        "are alike, the other one is named.",
        "",
    )
    also = f" {found.also}" if found.also else ""
    sentence = f"{plain(' '.join(found.evidence))}{also}" if found.family else "Its names fit no library that is known."
    with panel("recognised", "What is it?", sentence, why=why):
        listed = {
            "Understood": [*found.wrappers, *found.recognised, *tied],
            "Missing": found.missing,
            "Not understood": [*found.not_understood, *kept_out],
        }
        for head, sentences in listed.items():
            if sentences:
                st.markdown(f"**{head}**\n\n" + "\n".join(f"- :small[{plain(text)}]" for text in sentences))


def where(seen: Report) -> None:
    """Where the numbers lie, by the branches of the names."""
    found = branches(seen.tensors)
    total = sum(each.numel for each in seen.tensors)
    largest = max(found, key=lambda name: sum(each.numel for each in found[name]))
    share = sum(each.numel for each in found[largest]) / max(total, 1)
    sentence = f"{code(largest)} holds {words.share(share)} of {words.count(total)} numbers."
    why = ("The tensors by the first part of their names that differs.", "", "")
    chart = sizes(list(found), [sum(each.numel for each in inside) for inside in found.values()], what="numbers")
    show("where", "Where are the numbers?", sentence, chart, why=why)


def table(seen: Report) -> None:
    """Every tensor in a row."""
    role = seen.recognition.role_of()
    rank = {each.name: each.effective_rank for each in seen.spectra.spectra}
    columns = {
        "tensor": [each.name for each in seen.tensors],
        "role": [role.get(each.name, "other") for each in seen.tensors],
        "shape": [" × ".join(map(str, each.shape)) or "one number" for each in seen.tensors],
        "type": [each.dtype for each in seen.tensors],
        "norm": [each.norm for each in seen.tensors],
        "mean": [each.mean for each in seen.tensors],
        "sd": [each.std for each in seen.tensors],
        "zeros, %": [100 * each.zeros for each in seen.tensors],
        "not finite, %": [100 * each.broken for each in seen.tensors],
        "effective rank": [rank.get(each.name) for each in seen.tensors],
    }
    why = (
        "One row for each tensor; click on a head to sort, point at the table to search it.",
        "The norm is Euclidean over all numbers. The effective rank is of the tensor as a matrix, its first side "
        f"against all others. {seen.spectra.left_out}",
        r"\exp\Big(-\sum_kp_k\log p_k\Big),\quad p_k=\sigma_k\Big/\sum_l\sigma_l",
    )
    sentence = f"{len(seen.tensors):,} in the order of their names."
    with panel("tensors", "Which tensors are there?", sentence, why=why, columns=columns):
        formats = {name: st.column_config.NumberColumn(format="%.4g") for name in list(columns)[4:]}
        st.dataframe(pd.DataFrame(columns), hide_index=True, height=TABLE_HEIGHT, column_config=formats)


def spectrum(key: str, seen: Report) -> None:
    """The singular values of one matrix beside what random numbers reach."""
    names = [each.name for each in seen.spectra.spectra]
    if not names:
        return
    largest = max(seen.spectra.spectra, key=lambda each: each.most).name
    asked = view().inspect.tensor
    name = option("inspect.tensor", "Matrix", names, asked if asked in names else largest, roomy=True)
    found = spectrum_of(key, name)
    sentence = (
        f"{plain(found.sentence)} Effective rank {words.number(found.effective_rank, 1)} of {found.most}. Dashed: the "
        "edge of random numbers."
    )
    why = (
        "The singular values of one weight matrix, the largest first.",
        "A matrix of independent random numbers keeps all of them below an edge that its variance and its sides "
        "decide. Training makes some stand out; where none does, it looks as it was initialised.",
        r"s(\sqrt p+\sqrt q)",
    )
    places = range(1, len(found.values) + 1)
    drawn = [
        Curve(name, places, found.values, label="singular value"),
        Curve("edge", places, [found.edge] * len(found.values), dashed=True, label="edge"),
    ]
    show("spectrum_of", "Does it look trained?", sentence, lines(drawn, x_title="direction", y_title="value", right=92),
         why=why)  # fmt: skip


def against(name: str, found: Comparison) -> None:
    """How far another checkpoint is, tensor by tensor."""
    rows = sorted(found.moved, key=lambda each: -(each.change or 0))
    same = sum(each.same for each in rows)
    sentence = f"Beside {plain(name)}: {same:,} of {len(rows):,} tensors that both have are the same to the last bit."
    if rows and rows[0].change is not None and not rows[0].same:
        sentence += f" {code(rows[0].name)} changed most, by {words.share(rows[0].change)} of its norm."
    columns = {
        "tensor": [each.name for each in rows],
        "role": [each.role for each in rows],
        "change, % of the norm": [None if each.change is None else 100 * each.change for each in rows],
        "growth, %": [None if each.growth is None else 100 * each.growth for each in rows],
        "cosine": [each.cosine for each in rows],
    }
    why = (
        "The tensors that both files have, the most changed first.",
        f"{found.how} Change is the norm of the difference over the norm of the first; the cosine is of the two as one "
        "long vector, and independent weights have about 0.",
        r"\lVert w'-w\rVert/\lVert w\rVert",
    )
    with panel("against", "How far is the other one?", sentence, why=why, columns=columns):
        formats = {each: st.column_config.NumberColumn(format="%.4g") for each in list(columns)[2:]}
        st.dataframe(pd.DataFrame(columns), hide_index=True, height=TABLE_HEIGHT, column_config=formats)


def save(seen: Report) -> None:
    """All of it as one JSON file, as the command line gives it."""
    st.download_button(
        "Save the report",
        lambda: json.dumps(seen.plain(), indent=1).encode(),
        file_name="checkpoint.json",
        mime="application/json",
        icon=":material/download:",
        type="tertiary",
        on_click="ignore",
        key="save_report",
    )
