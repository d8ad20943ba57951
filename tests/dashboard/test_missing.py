"""Missing: what stands there is what the diagnostics say of the run; a run that cannot answer is not asked."""

import io

import numpy as np
import pytest
import torch

from core.data import npz
from core.data.loading import load
from core.diagnostics.filled import filled
from core.diagnostics.missing import along_rates, outcomes
from core.diagnostics.probes import knn_accuracy
from dashboard.missing_view import RATES, measured, only_modality, parts, refilled
from dashboard.words import number, share
from tests.dashboard.apps import SMALL, opened, recipe_of, seen, train, well
from tests.dashboard.planted import plant, unit


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    for kept in (parts, measured, refilled):
        kept.clear()
    return tmp_path


def blurred(z: np.ndarray, noise: float, seed: int) -> np.ndarray:
    x = z + noise * unit(*z.shape, seed=seed)
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def test_without_a_run_the_page_teaches():
    page = opened("missing", {})
    well(page)
    assert "needs a finished run with two modalities" in " ".join(seen(page).texts)
    assert [button.label for button in page.button][-1] == "Train the emoji on Play"


def test_the_numbers_are_those_of_the_diagnostics():
    data = load(recipe_of(SMALL).data)
    centres = unit(len(data.classes), 8, seed=5)[data.labels.numpy()]
    z = {"left": blurred(centres, 0.4, 1), "right": blurred(centres, 0.9, 2)}
    run = plant(z)
    page = seen(well(opened("missing", SMALL | {"run": run.path.name})))
    parts = {name: torch.from_numpy(value) for name, value in z.items()}
    known, asked = data.split.train, data.split.test
    found = outcomes(
        {name: value[known] for name, value in parts.items()},
        data.labels[known],
        {name: value[asked] for name, value in parts.items()},
        data.labels[asked],
    )
    rates = along_rates(found, RATES)
    accuracy = found.correct.double().mean(dim=1).tolist()
    sentence = page.panels["c_subsets"].sentence
    assert share(accuracy[-1]) in sentence
    assert f"right alone {share(accuracy[1])}" in sentence
    assert f"commonest class {share(found.majority)}" in sentence
    assert share(rates[5].accuracy.mean) in page.panels["c_rates"].sentence
    assert "c_across" in page.panels
    drawn = page.panels["c_rates"].numbers
    assert all(any(abs(100 * rate.accuracy.mean - value) < 1e-3 for value in drawn) for rate in rates)


def test_the_joint_encoder_of_a_run_stands_for_its_complete_items():
    link = SMALL | {"loss.kind": "gmc", "encoder.joint": "on"}
    run = train(link)
    data, joint = load(recipe_of(link).data), run.joint()
    assert joint is not None
    np.testing.assert_allclose(np.linalg.norm(joint, axis=1), 1, atol=1e-5)
    known, asked = data.split.train, data.split.test
    whole = knn_accuracy(joint[known], data.labels[known], joint[asked], data.labels[asked])
    app = well(opened("missing", link | {"run": run.path.name}))
    assert f"With everything {share(whole.accuracy)}," in seen(app).panels["c_subsets"].sentence
    assert any("that of the joint encoder, as in GMC" in each.value for each in app.markdown)
    assert train(SMALL).joint() is None


def test_a_run_with_torn_embeddings_is_not_offered():
    run = plant({"left": unit(120, 4), "right": unit(120, 4, 1)})
    (run.path / "embeddings.npz").write_bytes(b"PK\x03\x04 torn")
    page = opened("missing", {})
    well(page)
    assert "needs a finished run" in " ".join(seen(page).texts)


def test_a_run_with_one_modality_is_named_and_another_is_asked_for():
    run = plant({"left": unit(120, 4)})
    page = well(opened("missing", {"run": run.path.name}))
    assert [each.value for each in page.warning] == [
        f"The run {run.path.name} has one modality, left, so nothing can go missing; choose a run with two or more."
    ]
    assert "needs a finished run with two modalities" in " ".join(seen(page).texts)


def test_a_run_of_several_or_an_unknown_one_is_no_such_case():
    several = plant({"left": unit(120, 4), "right": unit(120, 4, 1)})
    assert only_modality(several.path.name) == ""
    assert only_modality("") == only_modality("0" * 16) == ""


def kept_file(**arrays: np.ndarray) -> dict[str, str]:
    """The link that opens a file of these arrays."""
    content = io.BytesIO()
    np.savez(content, **arrays)
    return {"data.kind": "npz", "data.digest": npz.add(content.getvalue()), "missing.of": "file"}


def test_what_fills_the_gap_is_what_the_diagnostic_says():
    data = load(recipe_of(SMALL).data)
    centres = unit(len(data.classes), 8, seed=5)[data.labels.numpy()]
    z = {"left": blurred(centres, 0.4, 1), "right": blurred(centres, 0.9, 2)}
    run = plant(z)
    link = SMALL | {"run": run.path.name, "missing.gone": "left", "missing.fill": "linear", "missing.rate": "0.4"}
    page = seen(well(opened("missing", link)))
    known, asked = data.split.train, data.split.test
    found = filled(
        {name: torch.from_numpy(value[known]) for name, value in z.items()},
        {name: torch.from_numpy(value[asked]) for name, value in z.items()},
        "left",
        data.labels[known],
        data.labels[asked],
    )
    sentence = page.panels["c_fills"].sentence
    best = max(found.rules, key=lambda rule: found.area(rule, "accuracy"))
    for value in (
        found.at("zeros", "accuracy", 0),
        found.at("zeros", "accuracy", 0.4),
        found.at(best, "accuracy", 0.4),
    ):
        assert share(value) in sentence
    assert "of 6 rules by area" in sentence
    lost = 100 * found.damage("linear", "accuracy", data.labels[asked]).mean
    worst = int(lost.argmax())
    assert f"{data.classes[worst]} loses {number(float(lost[worst]), 0)} points" in page.panels["c_damage"].sentence


def test_a_file_of_unequal_widths_without_labels_shows_what_its_neighbours_lose():
    link = kept_file(image=unit(60, 8), text=unit(60, 5, 1))
    app = well(opened("missing", link))
    page = seen(app)
    assert set(page.panels) == {"c_fills"}
    assert "of 5 rules by area" in page.panels["c_fills"].sentence
    assert "Guessing: " in page.panels["c_fills"].sentence
    assert app.selectbox(key="missing.gone").value == "text"
    well(app.selectbox(key="missing.gone").select("image").run())
    assert "**image** gone" in seen(app).panels["c_fills"].sentence


def test_a_file_of_one_modality_is_told_so():
    app = opened("missing", kept_file(image=unit(60, 8)))
    assert [each.value for each in app.error] == [
        "The file holds one modality, 'image'; expected two or more: add another"
    ]
