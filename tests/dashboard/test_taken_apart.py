"""Inspect, the other doors: a checkpoint behind the fence, two embeddings of the same items, and the steps of a run."""

import io
import re

import numpy as np
import pytest
import torch

from core.checkpoints import comparison, fence
from core.checkpoints.opened import open_checkpoint
from core.checkpoints.report import report
from core.data import npz
from core.data.loading import load
from core.diagnostics.choosing import CRITERIA, choose, measure
from core.diagnostics.comparing import compare
from core.diagnostics.guessing import guess
from core.diagnostics.verdicts import agrees
from dashboard import compare_view, weights_view
from dashboard.words import number, share
from tests.dashboard.apps import SMALL, link_of, opened, recipe_of, seen, train, well
from tests.dashboard.planted import plant, unit


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    for kept in (compare_view.both, compare_view.steps_of, weights_view._report, weights_view.spectrum_of):
        kept.clear()


def saved(state: object) -> bytes:
    written = io.BytesIO()
    torch.save(state, written)
    return written.getvalue()


def network(seed: int = 0) -> dict[str, torch.Tensor]:
    torch.manual_seed(seed)
    return {
        "backbone.first.weight": torch.randn(64, 48) / 7,
        "backbone.first.bias": torch.zeros(64),
        "backbone.second.weight": torch.randn(32, 64) / 8,
    }


def drop(app, **files: bytes):
    given = [(name.replace("__", "."), data, "application/octet-stream") for name, data in files.items()]
    door = next(each for each in app.file_uploader if (each.key or "").startswith("checkpoint_"))
    return well(door.set_value(given).run())


def text(app) -> str:
    return "\n".join(seen(app).texts)


def test_a_checkpoint_is_taken_in_and_every_finding_of_the_report_is_shown():
    app = drop(opened("inspect", {}), mine__pt=saved({"state_dict": network(), "epoch": 7}))
    found = link_of(app)
    (key,) = fence.listed()
    assert (found["inspect.of"], found["inspect.key"]) == ("checkpoint", key)
    expected = report(open_checkpoint(key))
    shown = text(app)
    assert f"**mine.pt · {key[:4]}**" in shown
    for verdict in expected.verdicts:
        assert verdict.word in shown
    assert "3 tensors" in shown
    table = next(each.value for each in app.dataframe if "effective rank" in each.value)
    assert table["tensor"].tolist() == [each.name for each in expected.tensors]
    assert table["norm"].tolist() == pytest.approx([each.norm for each in expected.tensors])
    first = max(expected.spectra.spectra, key=lambda each: each.most)
    assert f"Effective rank {number(first.effective_rank, 1)} of {first.most}" in shown
    assert text(opened("inspect", found)) == shown


def test_a_checkpoint_that_would_run_something_is_refused_and_nothing_is_kept():
    app = drop(opened("inspect", {}), evil__pt=saved(torch.nn.Linear(2, 2)))
    (error,) = app.error
    assert error.value.startswith("evil.pt: The file wants to run or build 'torch.nn.modules.linear.Linear'")
    assert fence.listed() == []
    assert "inspect.of" not in link_of(app)


def test_names_out_of_a_file_are_never_markup():
    app = drop(opened("inspect", {}), **{"[x](http__evil)__pt": saved({"[click](http://evil.example)": torch.ones(2)})})
    assert not re.search(r"(?<!\\)\[click\]\(", re.sub(r"`[^`]*`", "", text(app)))
    assert not re.search(r"(?<!\\)\[x\]\(", text(app))


def test_two_checkpoints_are_compared_and_a_copy_shows_no_change():
    one, two = network(), network()
    two["backbone.second.weight"] = two["backbone.second.weight"] * 1.5
    app = drop(opened("inspect", {}), one__pt=saved(one))
    first = link_of(app)["inspect.key"]
    app = drop(app, two__pt=saved({"state_dict": two}))
    second = link_of(app)["inspect.key"]
    link = {"inspect.of": "checkpoint", "inspect.key": first, "inspect.other": second, "inspect.part": "compare"}
    app = well(opened("inspect", link))
    assert "2 of 3 tensors that both have are the same to the last bit" in text(app)
    table = app.dataframe[-1].value
    assert table["tensor"][0] == "backbone.second.weight"
    assert table["change, % of the norm"].tolist() == pytest.approx([50, np.nan, 0], abs=1e-4, nan_ok=True)


def test_two_checkpoints_with_nothing_in_common_are_told_so_and_nothing_else_is_found():
    app = drop(opened("inspect", {}), one__pt=saved(network()))
    first = link_of(app)["inspect.key"]
    second = link_of(drop(app, two__pt=saved({"elsewhere": torch.ones(3)})))["inspect.key"]
    link = {"inspect.of": "checkpoint", "inspect.key": first, "inspect.other": second, "inspect.part": "compare"}
    found = report(open_checkpoint(first), open_checkpoint(second))
    (only,) = comparison.findings(found.against)
    shown = text(well(opened("inspect", link)))
    assert only.word in shown
    assert not any(verdict.sentence in shown for verdict in found.verdicts if verdict != only)


def test_a_forgotten_checkpoint_and_an_unknown_one_end_in_a_sentence():
    app = drop(opened("inspect", {}), mine__pt=saved(network()))
    key = link_of(app)["inspect.key"]
    well(app.button(key=f"forget_{key}").click().run())
    assert fence.listed() == []
    assert "Nothing is open yet" in text(app)
    again = opened("inspect", {"inspect.of": "checkpoint", "inspect.key": key})
    assert [each.value for each in again.error] == [
        f"No checkpoint {key[:12]} is kept on this machine; expected one that was opened lately: add the file again"
    ]


def test_two_runs_are_compared_modality_by_modality_and_a_turned_copy_shows_no_change():
    z = {"left": unit(120, 8, 1), "right": unit(120, 8, 2)}
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(8, 8)))[0].astype(np.float32)
    one = plant(z)
    two = plant({"left": z["left"] @ turn, "right": unit(120, 8, 3)}, seed="1")
    data = load(recipe_of(SMALL).data)
    test = data.split.test.numpy()
    app = well(opened("inspect", {"run": one.path.name, "inspect.part": "compare", "inspect.other": two.path.name}))
    panels = seen(app).panels
    assert "no change" in panels["c_changed_left"].chip
    found = compare(z["right"][test], unit(120, 8, 3)[test])
    assert f"keeps {100 * found.overlap:.0f}% of its neighbours" in panels["c_changed_right"].sentence
    assert f"CKA {number(found.cka)}" in panels["c_changed_right"].sentence
    assert f"The {len(found.most_moved)} that moved most" in text(app)


def test_a_run_without_another_on_its_data_says_what_to_do():
    app = well(opened("inspect", {"run": plant({"left": unit(120, 8)}).path.name, "inspect.part": "compare"}))
    assert "Train another run on the same data" in text(app)


def test_files_of_different_lengths_are_not_compared():
    names = []
    for n in (40, 60):
        written = io.BytesIO()
        np.savez(written, image=unit(n, 8))
        names.append(npz.add(written.getvalue()))
    link = {"data.kind": "npz", "data.digest": names[0], "inspect.of": "file", "inspect.part": "compare"}
    app = opened("inspect", link | {"inspect.other": names[1]})
    assert [each.value for each in app.error] == [
        "The first has 40 items and the second 60; expected the same items, row by row: choose another"
    ]


def test_the_guess_of_the_loss_is_that_of_the_diagnostic_and_may_be_not_sure():
    z, written = {"image": 3 * unit(80, 8, 1), "text": np.float32(0.5) * unit(80, 8, 2)}, io.BytesIO()
    np.savez(written, **z)
    app = well(
        opened("inspect", {"data.kind": "npz", "data.digest": npz.add(written.getvalue()), "inspect.of": "file"})
    )
    found = guess(z["image"], z["text"])
    shown = text(app)
    assert found.family is None
    assert "**Which loss made it?** :gray-badge[not sure]" in shown
    assert "All rows have length 1" not in shown
    for sentence in found.evidence:
        assert sentence in shown


def test_the_steps_of_a_run_are_ranked_and_held_against_the_labels():
    run = train(SMALL | {"encoder.dim": "8", "steps": "60"})
    app = well(opened("inspect", {"run": run.path.name, "inspect.part": "steps"}))
    steps = [step for step in run.snapshots() if step]
    values, accuracy = [], []
    data = load(recipe_of(SMALL).data)
    for step in steps:
        shot = run.snapshot(step)
        z = {name[2:]: value for name, value in shot.items() if name.startswith("z.")}
        values.append(measure(z))
        labels, hits = data.labels.numpy()[shot["items"]], []
        for each in z.values():
            scores = each @ each.T
            np.fill_diagonal(scores, -2)
            for row in scores:
                near = labels[np.argsort(-row, kind="stable")[:5]].tolist()
                hits.append(max(near, key=lambda c, near=near: (near.count(c), -near.index(c))))
        accuracy.append(float(np.mean(np.array(hits) == np.tile(labels, len(z)))))
    shown = text(app)
    assert f"Of {len(steps)} recorded steps" in shown
    assert f"({share(max(accuracy))} of {len(labels)} items)" in shown
    for choice in choose(values, accuracy):
        assert choice.correlation is not None
        it = choice.correlation
        assert f"**{CRITERIA[choice.key].title}** takes step {steps[choice.order[0]]:,}, " in shown
        assert agrees(it.rho, it.p, it.n, it.beyond).sentence in shown
