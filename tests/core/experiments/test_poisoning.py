"""The poisoning probe: its marks keep to their bound and to one class, its controls are controls, nothing leaves it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from core.__main__ import main
from core.diagnostics.harm import Harm
from core.environment import ROOT
from core.experiments import poisoning
from core.experiments.poisoning import MEASURES, VICTIMS, Poisoning, asked, control, keep, probe, summary
from core.refusal import Refusal

SHIPPED = json.loads((ROOT / "assets" / "results" / "poisoning-digits.json").read_text(encoding="utf-8"))


@pytest.fixture
def short(monkeypatch) -> Poisoning:
    """Settings of a probe that takes a moment."""
    monkeypatch.setattr(poisoning, "ROUNDS", 2)
    monkeypatch.setattr(poisoning, "INNER", 3)
    monkeypatch.setattr(poisoning, "OUTER", 15)
    return Poisoning(steps=3, seeds=2)


def test_marks_keep_to_their_bound_and_poison_a_share_of_all_items_out_of_one_class(short, monkeypatch):
    marks, trained, data = [], [], poisoning._digits()
    harm, train = poisoning._harm, poisoning._trained
    monkeypatch.setattr(poisoning, "_harm", lambda n, d, mark, t: marks.append((mark, t)) or harm(n, d, mark, t))
    monkeypatch.setattr(poisoning, "_trained", lambda p, x, *rest: trained.append(x) or train(p, x, *rest))
    probe(short, 3)
    assert {target for _, target in marks} == {3}
    assert all(mark.abs().max() <= short.epsilon + 1e-6 for mark, _ in marks)
    assert marks[2][0].abs().max() > 0.2
    clean, *poisoned = trained
    assert torch.equal(clean, data.train)
    for x in poisoned:
        touched = (x != data.train).any(dim=1)
        assert int(touched.sum()) == round(short.share * len(x))
        assert (data.labels[touched] == 3).all()
        assert x.min() >= 0
        assert x.max() <= 1


def test_without_poison_a_victim_is_its_own_control_and_without_a_mark_there_is_no_attack(short):
    found = probe(short.model_copy(update={"share": 0.0}), 1)
    assert found["clean_fixed"] == found["poisoned_fixed"]
    assert found["clean_optimised"] == found["poisoned_optimised"]
    assert found["clean_fixed"] == control(short, 1)
    none = probe(short.model_copy(update={"epsilon": 0.0}), 1)
    assert len(set(none.values())) == 1


def test_all_losses_meet_the_same_marks(short, monkeypatch):
    marks: list[torch.Tensor] = []
    harm = poisoning._harm
    monkeypatch.setattr(poisoning, "_harm", lambda n, d, mark, t: marks.append(mark) or harm(n, d, mark, t))
    for flat in ({}, {"loss.kind": "ranking"}):
        probe(asked({**flat, "steps": "2"}), 0)
    for ours, theirs in zip(marks[:4], marks[4:], strict=True):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("flat", "said"),
    [({"loss.kind": "moco"}, "loss.kind moco"), ({"epsilon": "2"}, "epsilon 2"), ({"losss": "1"}, "losss 1")],
)
def test_what_it_cannot_do_is_refused(flat, said):
    with pytest.raises(Refusal, match=said):
        asked(flat)


def harm(value: float) -> dict[str, Harm]:
    return {victim: Harm(value, value, value) for victim in VICTIMS}


def test_a_file_keeps_one_row_a_loss_and_begins_anew_with_other_settings(tmp_path: Path):
    file = tmp_path / "found.json"
    for flat, value in (({}, 0.1), ({"loss.kind": "ranking"}, 0.2), ({}, 0.3)):
        keep(file, asked(flat), [harm(value), harm(value + 0.1)])
    rows = json.loads(file.read_text())["losses"]
    assert [row["loss"]["kind"] for row in rows] == ["ranking", "info_nce"]
    assert rows[1]["seeds"][0]["clean_fixed"] == {"accuracy": 0.3, "success": 0.3, "cosine": 0.3}
    keep(file, asked({"share": "0.02"}), [harm(0.5), harm(0.6)])
    assert len(json.loads(file.read_text())["losses"]) == 1
    file.write_text("[1]")
    with pytest.raises(Refusal, match="name a new file"):
        keep(file, asked({}), [harm(0.5)])


def test_the_command_prints_means_with_intervals_and_hands_out_no_mark(short, tmp_path, capsys):
    file = tmp_path / "found.json"
    assert main(["poisoning", "--loss.kind", "ranking", "--steps", "2", "--seeds", "2", "--out", str(file)]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(said["victims"]) == set(VICTIMS)
    found = said["victims"]["clean_fixed"]["accuracy"]
    assert found["low"] <= found["mean"] <= found["high"]

    def leaves(value: Any) -> list[Any]:
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
        return [value] if parts is None else [leaf for part in parts for leaf in leaves(part)]

    kept = json.loads(file.read_text())
    assert len(leaves(kept["losses"][0]["seeds"])) == 2 * len(VICTIMS) * len(MEASURES)
    assert main(["poisoning", "--loss.kind", "moco"]) == 2
    assert "--loss.kind moco" in capsys.readouterr().err


def test_a_summary_is_the_mean_over_the_seeds():
    found = summary(Poisoning(), [harm(0.1), harm(0.3)])
    assert found["victims"]["clean_fixed"]["success"]["mean"] == pytest.approx(0.2)


def test_the_shipped_numbers_are_those_of_the_present_code():
    """A clean victim of the first loss is trained once more; another machine's sums may round otherwise."""
    assert SHIPPED["asked"] == Poisoning().model_dump(mode="json", exclude={"loss"})
    assert len(SHIPPED["losses"]) == 4
    for row in SHIPPED["losses"]:
        again = Poisoning.model_validate({"loss": row["loss"]}).loss.model_dump(mode="json")
        assert row["loss"] == again
        assert [set(seed) for seed in row["seeds"]] == [set(VICTIMS)] * Poisoning().seeds
    found = control(Poisoning.model_validate({"loss": SHIPPED["losses"][0]["loss"]}), 0)
    assert vars(found) == pytest.approx(SHIPPED["losses"][0]["seeds"][0]["clean_fixed"], abs=0.03)
