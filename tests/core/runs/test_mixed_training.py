"""Training with every option of the mixed margin: no dead knob, no stray device, the same bits after a resume."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from core.addresses import read
from core.data.loading import load
from core.losses.registry import LOSSES
from core.mixing.negative_item import NegativeItem
from core.mixing.options import DMM
from core.paid import Paid, Role, Term
from core.params import Params
from core.recipe import Recipe
from core.runs.fit import remarks
from core.runs.mixed_payment import pay_mixed
from core.runs.payment import Embedded
from core.runs.replay import moment
from core.runs.trainer import Trainer, Unfit, check_fit
from core.runs.worker import _take_over
from tests.core.runs.conftest import BAGS, SMALL

Link = Mapping[str, str]
BASE = SMALL | {"loss.kind": "ranking", "mixing.kind": "dmm", "mixing.weight": "constant"}
NEGATIVES = BASE | {"loss.kind": "triplet", "mixing.kind": "negative_item"}
BANK = {"mixing.partner": "bank"}
COOT = {**BAGS, "mixing.law": "fixed"}
# Field -> what has to be set for it to matter, and values that must all make a difference.
KNOBS: Mapping[str, tuple[Link, tuple[str, ...]]] = {
    "margin": ({}, ("none", "0.5")),
    "law": ({}, ("uniform", "beta", "beta_unfolded", "fixed")),
    "low": ({}, ("0.5", "0.2")),
    "high": ({}, ("1", "0.7")),
    "concentration": ({"mixing.law": "beta"}, ("2", "5")),
    "fixed": ({"mixing.law": "fixed"}, ("0.75", "0.6")),
    "per_sample": ({}, ("off", "on")),
    "share": ({"mixing.per_sample": "on"}, ("sample", "pair")),
    "partner": (
        {},
        ("flip", "roll", "shuffle", "derangement", "hard", "farthest", "same_class", "other_class", "bank"),
    ),
    "shift": ({"mixing.partner": "roll"}, ("1", "3")),
    "bank": (BANK, ("16", "64")),
    "append": (BANK, ("off", "on")),
    "alone": ({"method.batch": "15"}, ("keep", "leave_out")),
    "rule": (
        {"mixing.law": "beta"},
        ("lam", "constant", "one_minus_lam", "two_lam_minus_one", "zero", "learned", "released_decay"),
    ),
    "prior": ({"mixing.rule": "learned"}, ("0", "5")),
    "level": ({}, ("input", "hidden", "embedding")),
    "layer": ({"mixing.level": "hidden"}, ("1", "2")),
    "renormalise": ({"mixing.level": "embedding"}, ("unit", "none", "geodesic")),
    "side": ({}, ("a", "b", "alternate", "both", "each")),
    "margin_of": ({"mixing.side": "each"}, ("own", "last")),
    "target": ({}, ("hard", "soft", "mask_partner")),
    "asks": ({"loss.kind": "info_nce", "mixing.margin": "0.2"}, ("same", "ranking")),
    "dropout": ({"encoder.vector.dropout": "0.4"}, ("own", "shared")),
    "weight": ({}, ("ratio", "constant", "linear", "cosine", "zero")),
    "half": ({"mixing.weight": "ratio"}, ("30", "12")),
    "unit": ({"mixing.weight": "ratio"}, ("epoch", "step")),
    "start": ({"mixing.weight": "ratio"}, ("0", "1")),
    "scale": ({}, ("1", "2")),
    "terms": (COOT, ("all", "align")),
    "sequence": (COOT, ("union", "keep", "intersect")),
    "members": (COOT, ("item", "turned")),
}
OF_NEGATIVES: Mapping[str, tuple[Link, tuple[str, ...]]] = {
    "margin": ({}, ("none", "0.2")),
    "low": ({}, ("0", "0.3")),
    "high": ({}, ("1", "0.6")),
    "per_sample": ({}, ("off", "on")),
    "rule": ({}, ("one_minus_lam", "lam", "constant", "zero", "released_decay")),
    "weight": ({}, ("ratio", "constant", "linear", "cosine", "zero")),
    "half": ({"mixing.weight": "ratio"}, ("30", "12")),
    "unit": ({"mixing.weight": "ratio"}, ("epoch", "step")),
    "start": ({"mixing.weight": "ratio"}, ("0", "1")),
    "scale": ({}, ("1", "2")),
}
JOINT = {"encoder.joint": "on", "loss.kind": "gmc", "mixing.margin": "0.2"}
TOGETHER: Mapping[str, Link] = {
    "GMC, one plan": BASE | JOINT,
    "GMC, each its own": BASE | JOINT | {"mixing.side": "each"},
    "GMC, ranked": BASE | JOINT | {"mixing.side": "each", "mixing.asks": "ranking"},
    "GMC without the partner": BASE | JOINT | {"mixing.side": "each", "mixing.target": "mask_partner"},
    "bank of each side": BASE | BANK | {"mixing.side": "each", "mixing.append": "on", "mixing.level": "hidden"},
    "bank of side b": BASE | BANK | {"mixing.side": "b", "mixing.append": "on", "mixing.level": "embedding"},
    "bank in a softmax": BASE | BANK | {"loss.kind": "clip", "mixing.append": "on", "mixing.margin": "0.2"},
    "soft on each side": BASE | {"mixing.side": "each", "mixing.target": "soft", "mixing.per_sample": "on"},
    "soft with classes": BASE | {"loss.kind": "supcon", "mixing.side": "b", "mixing.target": "soft"},
    "learned on each side": BASE | {"mixing.side": "each", "mixing.rule": "learned"},
    "three modalities": BASE
    | {"data.kind": "emoji", "data.items": "16", "data.modalities": "noto,en,de", "mixing.side": "each"},
    "bags, hidden": BASE | COOT | {"mixing.level": "hidden", "mixing.layer": "2"},
    "bags, embedded": BASE | COOT | {"mixing.level": "embedding", "mixing.side": "b"},
    "bags from a bank": BASE | COOT | BANK | {"mixing.side": "each"},
    "embedded bags from a bank": BASE | COOT | BANK | {"mixing.level": "embedding", "mixing.side": "alternate"},
    "soft bags": BASE | COOT | {"mixing.target": "soft", "mixing.side": "each", "mixing.partner": "derangement"},
    "bags without the partner": BASE | COOT | {"mixing.target": "mask_partner", "mixing.side": "both"},
    "bags ranked": BASE | COOT | {"mixing.asks": "ranking", "mixing.members": "turned"},
}


def links() -> Iterator[Any]:
    """Every value of every knob, and what is set together; defaults that are spelt out are the same training once."""
    named = {f"{name}={v}": BASE | base | {f"mixing.{name}": v} for name, (base, vs) in KNOBS.items() for v in vs}
    of_negatives = {
        f"negatives {name}={v}": NEGATIVES | base | {f"mixing.{name}": v}
        for name, (base, vs) in OF_NEGATIVES.items()
        for v in vs
    }
    met: set[str] = set()
    for name, link in (named | of_negatives | TOGETHER).items():
        recipe = recipe_of(link).model_dump_json()
        if recipe not in met:
            yield pytest.param(link, id=name)
        met.add(recipe)


def recipe_of(link: Link) -> Recipe:
    recipe, refused = read(link, Recipe())
    assert refused == []
    return recipe


LINKS = list(links())


def trainer(link: Link, device: str = "cpu") -> Trainer:
    recipe = recipe_of(link)
    return Trainer(recipe, load(recipe.data), torch.device(device))


def course(t: Trainer, steps: int) -> list[dict[str, float]]:
    return [{name: float(value) for name, value in t.advance().items()} for _ in range(steps)]


# No dead knob


@pytest.mark.parametrize(("schema", "tried"), [(DMM, KNOBS.keys()), (NegativeItem, OF_NEGATIVES.keys())])
def test_every_knob_and_every_choice_is_tried(schema: type[Params], tried: set[str]):
    assert schema.model_fields.keys() - {"kind"} == tried
    table = KNOBS if schema is DMM else OF_NEGATIVES
    for name, (_, values) in table.items():
        choices = [str(choice) for choice in get_args(schema.model_fields[name].annotation) if choice is not type(None)]
        if all(isinstance(choice, str | int) for choice in get_args(schema.model_fields[name].annotation)):
            assert set(choices) <= set(values)


@pytest.mark.parametrize("name", KNOBS)
def test_a_knob_changes_the_training_with_each_of_its_values(name: str):
    base, values = KNOBS[name]
    courses = [course(trainer(BASE | base | {f"mixing.{name}": value}), 9) for value in values]
    losses = [tuple(row["loss"] for row in rows) for rows in courses]
    assert len(set(losses)) == len(values)


@pytest.mark.parametrize("name", OF_NEGATIVES)
def test_a_knob_of_the_mixed_negatives_changes_the_training(name: str):
    base, values = OF_NEGATIVES[name]
    courses = [course(trainer(NEGATIVES | base | {f"mixing.{name}": value}), 9) for value in values]
    assert len({tuple(row["loss"] for row in rows) for rows in courses}) == len(values)


def test_of_a_composite_loss_the_cycles_are_never_mixed_and_the_clusters_only_on_demand(monkeypatch):
    plain = LOSSES["ranking"]

    def composite(a, b, p, *, margin=None):
        per = plain.call(a, b, p, margin=margin).terms["a_to_b"].per
        return Paid({name: Term(per) for name in ("align.high", "cluster.high", "cycle.bags")})

    monkeypatch.setitem(LOSSES._entries, "ranking", dataclasses.replace(plain, call=composite))
    found = {}
    for terms in ("all", "align"):
        columns = trainer(BASE | {"mixing.terms": terms}).advance()
        found[terms] = {name.removeprefix("term.") for name in columns if name.startswith("term.")}
    clean = {"clean.align.high", "clean.cluster.high", "clean.cycle.bags"}
    assert found == {
        "all": clean | {"mixed.align.high", "mixed.cluster.high"},
        "align": clean | {"mixed.align.high"},
    }


@pytest.mark.parametrize("rule", ["union", "keep", "intersect"])
def test_mixed_bags_are_pooled_as_their_mask_says_and_paid_where_they_have_a_sentence(rule: str):
    t = trainer(BASE | COOT | {"mixing.fixed": "0.75", "mixing.sequence": rule})
    items = t.train_items[:9]
    x = {name: values[items] for name, values in t.inputs.items()}
    batch = t.encode(x, items)
    mixture, _ = t._mixed(x, batch, t.clock(0))
    clips = t.data.modality("clips")
    assert clips.mask is not None
    values, mask = clips.values[items], clips.mask[items]
    each = t.model.towers["clips"].members.each
    partners = 0
    for i in range(9):
        own, other = mask[i].tolist(), mask[8 - i].tolist()
        here = [
            {"union": mine or theirs, "keep": mine, "intersect": mine and theirs}[rule]
            for mine, theirs in zip(own, other, strict=True)
        ]
        rows = [each(0.75 * values[i, j] + 0.25 * values[8 - i, j]) for j in range(len(here)) if here[j]]
        assert mixture.bags["clips"].mask[i].tolist() == here
        torch.testing.assert_close(mixture.bags["clips"].members[i][here], torch.stack(rows))
        torch.testing.assert_close(mixture.z["clips"][i], F.normalize(torch.stack(rows).mean(dim=0), dim=0))
        partners += sum(here) - sum(own)
    assert {"union": partners > 0, "keep": partners == 0, "intersect": partners < 0}[rule]
    low = pay_mixed(t.recipe, batch, mixture).pairs[1]
    paid = (low.role.diagonal() == Role.POSITIVE).reshape(mask.shape)
    assert torch.equal(paid, mixture.bags["clips"].mask & mask)


def test_at_the_end_members_are_mixed_as_unit_vectors_as_their_items_are():
    t = trainer(BASE | COOT | {"mixing.fixed": "0.75", "mixing.level": "embedding", "mixing.sequence": "keep"})
    items = t.train_items[:8]
    x = {name: values[items] for name, values in t.inputs.items()}
    batch = t.encode(x, items)
    mixture, _ = t._mixed(x, batch, t.clock(0))
    members, mask = batch.bags["clips"]
    unit = F.normalize(members, dim=-1)
    expected = F.normalize(0.75 * unit + 0.25 * unit.flip(0), dim=-1)
    torch.testing.assert_close(mixture.bags["clips"].members[mask], expected[mask])


def test_a_bank_of_bags_keeps_members_and_masks():
    t = trainer(BASE | COOT | BANK | {"mixing.bank": "20", "mixing.level": "embedding"})
    course(t, 2)
    assert {name: tuple(value.shape) for name, value in t.memory.items()} == {
        "bank.clips": (20, 3),
        "bank.clips.members": (20, 5, 4),
    }
    at_input = trainer(BASE | COOT | BANK | {"mixing.bank": "20"})
    course(at_input, 2)
    assert {name: tuple(value.shape) for name, value in at_input.memory.items()} == {"bank.clips": (20, 5, 25)}


# On any device, from addresses and a memory alone


@pytest.mark.parametrize("link", LINKS)
def test_a_step_runs_on_the_meta_device_with_every_option(link: Link):
    on_meta = trainer(link, "meta")
    for _ in range(2):
        on_meta.memory = dict(on_meta.payment().memory or {})
        on_meta.step += 1
    columns = on_meta.record(on_meta.payment())
    columns["loss"].backward()
    assert columns["loss"].is_meta
    assert all(p.grad is not None and p.grad.is_meta for p in on_meta.model.parameters())
    assert all(p.grad is not None and p.grad.is_meta for p in on_meta.learned.parameters())


@pytest.mark.parametrize("link", LINKS)
def test_a_resumed_training_is_the_same_to_the_last_bit(link: Link, tmp_path):
    whole = trainer(link)
    course(whole, 4)
    torch.save(whole.state(), tmp_path / "checkpoint.pt")
    expected = course(whole, 3)
    second = trainer(link)
    second.restore(torch.load(tmp_path / "checkpoint.pt", weights_only=True, map_location="cpu"))
    assert course(second, 3) == expected
    assert second.memory.keys() == whole.memory.keys()
    assert all(torch.equal(second.memory[name], value) for name, value in whole.memory.items())


@pytest.mark.parametrize("link", LINKS)
def test_a_snapshot_replays_what_was_paid(link: Link):
    t = trainer(link)
    course(t, 4)
    arrays = t.snapshot()
    replayed = moment(t.recipe, t.data, t.step, arrays)
    items = t.probe()
    with torch.no_grad():
        z, bags = t.look(items)
        batch = Embedded(z, t.labels[items], t.learned(), t.embed_jointly(items), bags)
        x = {name: values[items] for name, values in t.inputs.items()}
        live = pay_mixed(t.recipe, batch, t._mixed(x, batch, t.clock(t.step))[0])
    assert replayed.mixed is not None
    again = {name: float(term.value().detach()) for name, term in replayed.mixed.terms.items()}
    assert again == pytest.approx(
        {name: float(term.value()) for name, term in live.terms.items() if name != "prior"}, abs=1e-6
    )
    assert replayed.lam is not None
    assert np.array_equal(replayed.lam.numpy(), arrays["lam"])


def test_a_bank_keeps_the_newest_items_and_is_not_changed_by_looking():
    t = trainer(BASE | BANK | {"mixing.bank": "40"})
    sizes = []
    for _ in range(4):
        t.advance()
        before = {name: value.clone() for name, value in t.memory.items()}
        t.snapshot()
        t.payment()
        assert all(torch.equal(t.memory[name], value) for name, value in before.items())
        sizes.append(len(t.memory["bank.left"]))
    assert sizes == [16, 32, 40, 40]
    assert list(t.memory) == ["bank.left"]


def test_the_first_step_of_a_bank_meets_the_turned_batch_and_later_ones_the_past():
    t = trainer(BASE | BANK)
    first = t.payment().plan
    t.advance()
    second = t.payment().plan
    assert first is not None
    assert second is not None
    assert first.from_bank is not None
    assert second.from_bank is not None
    assert first.partner.tolist() == list(range(15, -1, -1))
    assert not first.from_bank.any()
    assert second.from_bank.all()
    assert not second.alone.any()


def test_a_moment_names_the_partners_that_are_on_the_probe_and_no_others():
    t = trainer(BASE | BANK)
    assert moment(t.recipe, t.data, t.step, t.snapshot()).partner is not None
    t.advance()
    assert moment(t.recipe, t.data, t.step, t.snapshot()).partner is None


def test_sides_take_turns():
    t = trainer(BASE | {"mixing.side": "alternate"})
    sides = []
    for _ in range(4):
        plan = t.payment().plan
        assert plan is not None
        shown = moment(t.recipe, t.data, t.step, t.snapshot())
        assert list(shown.mixed_z or {}) == ["left" if plan.side == "a" else "right"]
        assert shown.side == plan.side
        sides.append(plan.side)
        t.advance()
    assert sides == ["a", "b", "a", "b"]


def test_each_side_has_a_lambda_of_its_own_and_the_released_margin_is_that_of_the_last():
    for margin_of, own in (("own", True), ("last", False)):
        t = trainer(BASE | {"mixing.side": "each", "mixing.margin_of": margin_of})
        left, right = t.payment().plans
        assert float(left.lam[0]) != float(right.lam[0])
        assert float(right.margin[0]) == pytest.approx(0.2 * float(right.lam[0]))
        assert (float(left.margin[0]) == pytest.approx(0.2 * float(left.lam[0]))) == own


def test_shared_dropout_hides_the_same_features_from_the_clean_and_the_mixed_pass():
    """With lambda 1 the mixed input is the clean one, so with the same masks they pay the same."""
    link = BASE | {"encoder.vector.dropout": "0.5", "mixing.law": "fixed", "mixing.fixed": "1"}
    for dropout, same in (("shared", True), ("own", False)):
        columns = trainer(link | {"mixing.dropout": dropout}).advance()
        assert (float(columns["term.clean.a_to_b"]) == float(columns["term.mixed.a_to_b"])) == same


def test_the_learned_margin_moves_and_a_prior_holds_it_near_the_papers_rule():
    """A hinge pays less for a smaller margin, so alone it learns one; the prior pulls back towards lambda m."""
    link = BASE | {"mixing.rule": "learned", "optimiser.lr": "0.05", "mixing.law": "beta"}
    ends = {}
    for prior in ("0", "100"):
        t = trainer(link | {"mixing.prior": prior})
        assert {name: value.item() for name, value in t.learned().items()} == {"margin_level": 0, "margin_slope": 2}
        rows = course(t, 120)
        ends[prior] = np.mean([row["margin"] / (0.2 * row["lam"]) for row in rows[-20:]])
    assert ends["0"] < 0.7
    assert ends["100"] == pytest.approx(1, abs=0.15)


def test_the_partners_positive_counts_as_a_negative_only_where_it_is_appended():
    link = BASE | BANK | {"mixing.law": "fixed", "mixing.fixed": "0.51"}
    shown = {}
    for append in ("off", "on"):
        t = trainer(link | {"mixing.append": append})
        course(t, 3)
        paid = t.payment().paid
        shown[append] = float(paid.terms["mixed.a_to_b"].value().detach())
        assert paid.pairs[1].scores.shape == ((16, 16) if append == "off" else (16, 32))
    assert shown["on"] > shown["off"]


def test_each_mixed_side_meets_the_positives_of_its_own_bank_partners():
    t = trainer(BASE | BANK | {"mixing.side": "each", "mixing.append": "on"})
    course(t, 3)
    found, kept = t.snapshot(), t.memory
    for mixed, other in (("left", "right"), ("right", "left")):
        rows = kept[f"bank.z.{other}"].numpy()[found[f"partner.{mixed}"]]
        assert np.array_equal(found[f"positives.{mixed} to {other}"], rows)
    assert not np.array_equal(found["partner.left"], found["partner.right"])


def test_a_branch_with_another_mixing_starts_with_an_empty_memory():
    parent, other, same = (
        trainer(BASE | BANK),
        trainer(BASE | BANK | {"mixing.level": "embedding"}),
        trainer(BASE | BANK),
    )
    course(parent, 3)
    _take_over(other, parent)
    _take_over(same, parent)
    assert other.memory == {}
    assert same.memory.keys() == parent.memory.keys()
    course(other, 2)


# What cannot be


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({"loss.kind": "alignment", "mixing.target": "mask_partner"}, "cannot leave a pair out; choose target hard"),
        ({"loss.kind": "alignment", "mixing.rule": "learned"}, "knows no margin; choose another rule"),
        ({"mixing.level": "hidden", "mixing.layer": "3"}, "hidden layer 3 .* has 2; choose a smaller layer"),
        ({"encoder.vector.depth": "0", "mixing.level": "hidden"}, "encoder mlp of left has 0"),
        ({"mixing.append": "on"}, "append is on and partner flip"),
        (BANK | {"loss.kind": "nt_xent", "mixing.append": "on"}, "cannot take one more negative"),
        ({"encoder.joint": "on"}, "takes no joint embedding; turn encoder.joint off"),
        ({"loss.kind": "gmc"}, "needs joint, and there is no joint encoder; turn encoder.joint on"),
        (JOINT | {"mixing.side": "both"}, "joint embedding stays clean, so choose side a or each"),
        (JOINT | BANK | {"mixing.append": "on"}, "a bank keeps no joint embeddings, so turn append off"),
        (JOINT | {"mixing.target": "soft"}, "is not paid by pairs; choose target hard"),
        ({"mixing.kind": "negative_item", "loss.kind": "clip"}, "takes none of its own; choose triplet"),
    ],
)
def test_what_does_not_fit_is_refused_before_training_in_one_sentence(link: Link, said: str):
    recipe = recipe_of({**BASE, **link})
    with pytest.raises(Unfit, match=said) as refused:
        check_fit(recipe, load(recipe.data))
    assert ". " not in str(refused.value)


@pytest.mark.parametrize("partner", ["same_class", "other_class"])
def test_partners_by_class_are_refused_where_there_are_none(partner: str):
    recipe = recipe_of(BASE | {"mixing.partner": partner})
    bare = dataclasses.replace(load(recipe.data), classes=())
    with pytest.raises(Unfit, match="has no classes; choose another partner"):
        check_fit(recipe, bare)


def test_a_batch_of_one_is_refused():
    recipe = recipe_of(BASE)
    data = load(recipe.data)
    lonely = dataclasses.replace(data, split=dataclasses.replace(data.split, train=data.split.train[:1]))
    with pytest.raises(Unfit, match="1 training item and mixing needs at least 2"):
        check_fit(recipe, lonely)


@pytest.mark.parametrize(
    ("link", "said"),
    [
        ({}, ""),
        ({"mixing.kind": "none"}, ""),
        ({"loss.kind": "alignment"}, "knows no margin, so mixing is plain mixup here"),
        ({"loss.kind": "info_nce"}, "The margin is 0"),
        ({"loss.kind": "info_nce", "mixing.margin": "0.2"}, ""),
        ({"loss.kind": "info_nce", "mixing.asks": "ranking"}, ""),
        ({"method.batch": "15"}, "In each batch of 15, 1 item is its own partner"),
        ({"mixing.partner": "roll", "mixing.shift": "32"}, "In each batch of 16, 16 items are their own partner"),
    ],
)
def test_what_may_surprise_is_said(link: Link, said: str):
    base = BASE if link.get("mixing.kind") != "none" else SMALL
    recipe = recipe_of({**base, **link})
    found = remarks(recipe, load(recipe.data))
    assert len(found) == bool(said)
    assert said in "".join(found)
