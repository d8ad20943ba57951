"""One step of the trainer: on any device, from addresses alone, and equal to the step written out by hand."""

import pytest
import torch
import torch.nn.functional as F

from core.data.loading import load
from core.encoders.registry import build
from core.losses.registry import LOSSES
from core.runs.fit import offered
from core.runs.payment import pay_all
from core.runs.trainer import Trainer, Unfit, check_fit
from core.streams import stream
from tests.core.runs.conftest import BAGS, VARIANTS, small

TRAINABLE = [e.key for e in LOSSES if e.pairwise]


def trainer(recipe, device="cpu"):
    return Trainer(recipe, load(recipe.data), torch.device(device))


def spoken(variant):
    return {key.replace(".", "__"): value for key, value in variant.items()}


@pytest.mark.parametrize("mixing", ["none", "dmm"])
@pytest.mark.parametrize("key", TRAINABLE)
def test_a_step_runs_on_the_meta_device_with_every_loss(key, mixing):
    on_meta = trainer(small(loss__kind=key, mixing__kind=mixing), "meta")
    columns = on_meta.record(on_meta.payment())
    columns["loss"].backward()
    assert columns["loss"].device.type == "meta"
    assert all(p.grad is not None and p.grad.device.type == "meta" for p in on_meta.model.parameters())


@pytest.mark.parametrize("mixing", ["none", "dmm"])
@pytest.mark.parametrize("key", [*TRAINABLE, "coot"])
def test_every_loss_trains_on_bags_on_any_device(key, mixing):
    link = spoken(BAGS) | {"loss__kind": key, "mixing__kind": mixing, "mixing__weight": "constant"}
    recipe = small(**{name: value for name, value in link.items() if mixing == "dmm" or name != "mixing__weight"})
    assert trainer(recipe).advance()["loss"].isfinite()
    on_meta = trainer(recipe, "meta")
    columns = on_meta.record(on_meta.payment())
    columns["loss"].backward()
    assert columns["loss"].is_meta
    assert all(p.grad is not None and p.grad.is_meta for p in on_meta.model.parameters())


def test_gmc_on_bags_pays_for_a_joint_embedding_of_the_members_that_are_there():
    ours = trainer(small(**spoken(BAGS) | {"loss__kind": "gmc", "encoder__joint": "on"}))
    items = ours.train_items[:9]
    batch = ours.encode({name: values[items] for name, values in ours.inputs.items()}, items)
    joint, means = ours.model.joint, []
    for m, branch in zip(ours.data.modalities, joint.branches, strict=True):
        rows = [branch.members.each(m.values[i][m.mask[i]]).mean(dim=0) for i in items.tolist()]
        means.append(torch.stack(rows))
    by_hand = F.normalize(joint.head(torch.cat(means, dim=1)), dim=1)
    torch.testing.assert_close(batch.joint, by_hand)
    paid = pay_all(ours.recipe, batch).total()
    each = torch.stack(list(batch.z.values()))
    torch.testing.assert_close(paid, LOSSES["gmc"].call(joint=by_hand, modalities=each, p=ours.recipe.loss).total())
    paid.backward()
    assert all(p.grad.abs().sum() > 0 for p in joint.parameters())


def test_a_step_on_bags_is_the_one_written_out_by_hand():
    """Every clip goes through one network; a video is the mean of its own clips, and COOT sees both and the mask."""
    recipe = small(**spoken(BAGS))
    ours, data = trainer(recipe), load(recipe.data)
    networks = {
        m.tower: build(recipe.encoder.bag, (m.values.shape[1], 1 + m.values.shape[2]), 3, 0, m.tower)
        for m in data.modalities
    }
    optimiser = torch.optim.AdamW(
        [p for network in networks.values() for p in network.parameters()],
        lr=recipe.optimiser.lr,
        weight_decay=recipe.optimiser.weight_decay,
    )
    n = len(data.split.train)
    for step in range(5):
        order = torch.randperm(n, generator=stream(0, "batches", step // (n // 16)))
        batch = data.split.train[order[(step % (n // 16)) * 16 :][:16]]
        videos, bags = [], []
        for m in data.modalities:
            each = networks[m.tower].members.each
            rows = [each(m.values[i][m.mask[i]]) for i in batch.tolist()]
            videos.append(F.normalize(torch.stack([row.mean(dim=0) for row in rows]), dim=1))
            bags.append(torch.stack([F.pad(row, (0, 0, 0, m.mask.shape[1] - len(row))) for row in rows]))
        paid = LOSSES["coot"].call(*videos, *bags, recipe.loss, bag_mask=data.modalities[0].mask[batch])
        loss = paid.total()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert float(ours.advance()["loss"]) == pytest.approx(float(loss.detach()), rel=1e-5)


def test_a_step_is_the_one_written_out_by_hand():
    recipe = small(loss__kind="info_nce", loss__temperature="0.2")
    ours, data = trainer(recipe), load(recipe.data)
    encoders = {m.tower: build(recipe.encoder.vector, m.values.shape[1:], 3, 0, m.tower) for m in data.modalities}
    parameters = [p for encoder in encoders.values() for p in encoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=recipe.optimiser.lr, weight_decay=recipe.optimiser.weight_decay)
    n = len(data.split.train)
    for step in range(6):
        order = torch.randperm(n, generator=stream(0, "batches", step // (n // 16)))
        batch = data.split.train[order[(step % (n // 16)) * 16 :][:16]]
        torch.manual_seed(stream(0, "dropout", step).initial_seed())
        a, b = (F.normalize(encoders[m.tower](m.values[batch]), dim=1) for m in data.modalities)
        loss = F.cross_entropy(a @ b.T / 0.2, torch.arange(16))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        assert float(ours.advance()["loss"]) == pytest.approx(float(loss.detach()), rel=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_restored_trainer_goes_on_as_the_first_one_would(name):
    first, second = (trainer(small(**spoken(VARIANTS[name]))) for _ in range(2))
    for _ in range(7):
        first.advance()
    second.restore(first.state())
    for _ in range(7):
        one, two = first.advance(), second.advance()
        assert {k: v.tolist() for k, v in one.items()} == {k: v.tolist() for k, v in two.items()}


def test_looking_changes_nothing():
    seen, unseen = trainer(small(mixing__kind="dmm")), trainer(small(mixing__kind="dmm"))
    for _ in range(5):
        seen.snapshot()
        seen.embed()
        assert float(seen.advance()["loss"]) == float(unseen.advance()["loss"])


def test_the_total_is_the_sum_of_the_terms():
    columns = trainer(small(loss__kind="ranking", mixing__kind="dmm", mixing__weight="constant")).advance()
    terms = [value for name, value in columns.items() if name.startswith("term.")]
    assert len(terms) == 4
    assert float(columns["loss"]) == pytest.approx(float(sum(terms)), rel=1e-6)


def test_a_snapshot_holds_the_lambda_of_its_step():
    t = trainer(small(loss__kind="ranking", mixing__kind="dmm"))
    for _ in range(4):
        recorded = t.snapshot()
        applied = t.advance()
        assert float(recorded["lam"][0]) == pytest.approx(float(applied["lam"]), rel=1e-6)
        assert float(recorded["margin"][0]) == pytest.approx(0.2 * float(applied["lam"]), rel=1e-6)


def test_every_pair_of_modalities_is_worth_the_same():
    two, three = (
        trainer(small(data__kind="emoji", data__items="16", data__modalities=names, encoder__dim="4"))
        for names in ("noto,en", "noto,en,de")
    )
    assert two.pairs == [("noto", "en")]
    assert three.pairs == [("noto", "en"), ("noto", "de"), ("en", "de")]
    paying = three.payment().paid
    parts = {name.split(".")[0]: 0.0 for name in paying.terms}
    for name, term in paying.terms.items():
        parts[name.split(".")[0]] += float(term.value().detach())
    assert float(paying.total().detach()) == pytest.approx(sum(parts.values()), rel=1e-6)
    assert len(parts) == 3


@pytest.mark.parametrize(
    ("link", "said"),
    [
        (
            {"loss__kind": "coot"},
            "needs bags, other_bags, and the data set 'circle' has only a, b, labels; choose another",
        ),
        ({"loss__kind": "cycle"}, "needs bags, other_bags, and the data set 'circle'"),
        (spoken(BAGS) | {"loss__kind": "cycle"}, "pays for the order within bags and pairs no items; choose coot"),
    ],
)
def test_a_loss_of_bags_is_refused_before_training_where_it_does_not_fit(link, said):
    recipe = small(**link)
    with pytest.raises(Unfit, match=said) as refused:
        check_fit(recipe, load(recipe.data))
    assert ". " not in str(refused.value)


def test_a_loss_that_needs_labels_is_refused_where_there_are_none():
    import dataclasses

    recipe = small(loss__kind="supcon")
    bare = dataclasses.replace(load(recipe.data), classes=())
    with pytest.raises(Unfit, match=r"SupCon .* needs labels"):
        check_fit(recipe, bare)


def test_a_loss_of_three_modalities_is_refused_on_two_and_offered_on_three():
    two = small(loss__kind="symile")
    with pytest.raises(Unfit, match="needs 3 modalities and the data set 'circle' has 2"):
        check_fit(two, load(two.data))
    clip = small(loss__kind="clip")
    assert "symile" not in offered(clip, load(clip.data))
    three = small(data__kind="mfeat", data__modalities="fou,fac,kar", loss__kind="clip", method__batch="16")
    assert "symile" in offered(three, load(three.data))


def test_the_losses_that_are_offered_are_those_that_fit():
    recipe = small(loss__kind="clip")
    data, fit = load(recipe.data), []
    for entry in LOSSES:
        try:
            check_fit(recipe.model_copy(update={"loss": entry.params()}), data)
        except Unfit:
            continue
        fit.append(entry.key)
    assert offered(recipe, data) == fit
