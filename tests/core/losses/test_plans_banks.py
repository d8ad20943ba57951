"""What the plans of the losses with a bank draw, and the losses that they come down to."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.beclr import BECLR
from core.losses.feature_transform import FeatureTransform
from core.losses.hiclr import HiCLR
from core.losses.interclr import InterCLR
from core.losses.mochi import MoCHi
from core.losses.moco import MoCo, moco
from core.losses.registry import LOSSES
from core.params import Params
from core.streams import stream

B, K, D = 6, 40, 5


def unit(*shape: int, seed: int) -> Tensor:
    return F.normalize(torch.randn(shape, generator=stream(seed, "unit"), dtype=torch.float64), dim=-1)


def given() -> dict[str, Tensor]:
    return {"a": unit(B, D, seed=1), "teacher": unit(B, D, seed=2), "bank": unit(K, D, seed=3)}


def clustered() -> dict[str, Tensor]:
    groups = {"clusters": torch.arange(B) % 4, "memory_clusters": torch.arange(K) % 4}
    return given() | {"memory": unit(K, D, seed=4)} | groups


def planned(p: Params, inputs: dict[str, Tensor], seed: int = 0) -> dict[str, Tensor]:
    return LOSSES[p.kind].complete(inputs, p, stream(seed, "plan"))


def test_mochi_mixes_the_hardest_alone_and_the_anchor_never_prevails():
    made = planned(MoCHi(hardest=5, pairs=200, own=100), given())
    hardest = (made["a"] @ made["bank"].T).topk(5).indices
    for name in ("picks", "other_picks", "own_picks"):
        assert all(set(row.tolist()) == set(hard.tolist()) for row, hard in zip(made[name], hardest, strict=True))
    assert 0.9 < made["pick_share"].max() <= 1
    assert 0.45 < made["own_share"].max() <= 0.5
    assert made["picks"].shape == (B, 200)
    assert made["own_picks"].shape == (B, 100)


def test_mochi_mixtures_with_the_anchor_are_harder_than_what_they_are_made_of():
    made = planned(MoCHi(hardest=5, pairs=8, own=30), given())
    scores = LOSSES["mochi"].call(**made, p=MoCHi()).pairs[0].scores
    source = (made["a"] @ made["bank"].T).gather(1, made["own_picks"])
    assert (scores[:, -30:] >= source - 1e-12).all()


def test_mochi_without_mixtures_is_moco_and_with_them_dearer_for_everyone():
    plain = moco(**given(), p=MoCo(temperature=0.2)).terms[""].per
    none, some = (LOSSES["mochi"].pay(given(), p, stream(0)) for p in (MoCHi(pairs=0, own=0), MoCHi()))
    torch.testing.assert_close(none.terms[""].per, plain)
    assert (some.terms[""].per > plain).all()


def test_feature_transform_that_transforms_nothing_is_moco():
    p = FeatureTransform(positives="none", negatives=False)
    torch.testing.assert_close(
        LOSSES[p.kind].pay(given(), p, stream(0)).total(), moco(**given(), p=MoCo(temperature=0.2)).total()
    )


@pytest.mark.parametrize(("positives", "low"), [("extrapolate", 1.0), ("interpolate", 0.0)])
def test_feature_transform_draws_once_a_batch_or_for_each_coordinate(positives: str, low: float):
    one = planned(FeatureTransform(positives=positives), given())
    each = planned(FeatureTransform(positives=positives, by_dimension=True), given())
    for name, start in (("stretch", low), ("bank_share", 0.0)):
        assert len(one[name].unique()) == 1
        assert len(each[name].unique()) == each[name].numel()
        for made in (one, each):
            assert start < made[name].min() <= made[name].max() < start + 1
    assert each["bank_partner"].sort().values.tolist() == list(range(K))


def test_feature_transform_shares_have_the_moments_of_their_beta():
    bank = {**given(), "bank": unit(2000, D, seed=3)}
    share = planned(FeatureTransform(by_dimension=True), bank)["bank_share"]
    assert share.mean().item() == pytest.approx(0.5, abs=0.01)
    assert share.var().item() == pytest.approx(1 / (4 * (2 * 1.6 + 1)), abs=0.003)


def test_hiclr_mines_the_nearest_of_every_view_and_its_weakest_view_alone_is_moco():
    inputs = {"views": unit(3, B, D, seed=5), "teacher": given()["teacher"], "bank": given()["bank"]}
    near = (inputs["views"] @ inputs["bank"].T).argmax(-1)
    mined = planned(HiCLR(nearest=1), inputs)["neighbours"]
    assert [set(row.nonzero()[:, 0].tolist()) for row in mined] == [set(places.tolist()) for places in near.T]
    assert not planned(HiCLR(), inputs)["neighbours"].any()
    paid = LOSSES["hiclr"].pay(inputs, HiCLR(follow=0), stream(0)).total()
    torch.testing.assert_close(paid, moco(inputs["views"][0], inputs["teacher"], inputs["bank"], MoCo()).total())


def test_hiclr_sends_no_gradient_into_the_view_that_is_followed():
    views = unit(2, B, D, seed=5).requires_grad_()
    inputs = {"views": views, "teacher": given()["teacher"], "bank": given()["bank"]}
    paid = LOSSES["hiclr"].pay(inputs, HiCLR(), stream(0)).terms["follow.1"].value()
    (gradient,) = torch.autograd.grad(paid, views)
    assert gradient[0].eq(0).all()
    assert gradient[1].abs().sum() > 0


@pytest.mark.parametrize("sampling", ["random", "hard", "semihard", "semieasy"])
def test_interclr_takes_its_positive_from_the_cluster_and_its_negatives_from_others(sampling: str):
    made = planned(InterCLR(sampling=sampling, drawn=4, pool=0.5), clustered())
    assert torch.equal(made["memory_clusters"][made["memory_positive"]], made["clusters"])
    assert (made["memory_clusters"][made["memory_picks"]] != made["clusters"][:, None]).all()


def test_interclr_draws_where_its_strategy_says():
    inputs = clustered()
    score = inputs["a"] @ inputs["memory"].T
    others = score.masked_fill(inputs["clusters"][:, None] == inputs["memory_clusters"], -torch.inf)
    hard = planned(InterCLR(sampling="hard", drawn=4), inputs)["memory_picks"]
    assert torch.equal(hard, others.topk(4).indices)
    for sampling, ordered in (("semihard", score), ("semieasy", -score)):
        picks = planned(InterCLR(sampling=sampling, drawn=4, pool=0.5), inputs)["memory_picks"]
        pool = ordered.topk(20).indices
        assert all(set(row.tolist()) <= set(near.tolist()) for row, near in zip(picks, pool, strict=True))
        assert all(len(row.unique()) == 4 for row in picks)


def test_interclr_reaches_every_positive_and_every_random_negative():
    inputs = clustered()
    drawn = [planned(InterCLR(sampling="random", drawn=16), inputs, seed) for seed in range(60)]
    assert len(torch.stack([made["memory_positive"][0] for made in drawn]).unique()) == 10
    assert len(torch.stack([made["memory_picks"][0] for made in drawn]).unique()) == 30


def test_interclr_with_one_cluster_pays_nothing_for_others_and_without_them_is_moco():
    inputs = clustered()
    alone = inputs | {name: torch.zeros_like(inputs[name]) for name in ("clusters", "memory_clusters")}
    for sampling in ("random", "hard", "semihard", "semieasy"):
        paid = LOSSES["interclr"].pay(alone, InterCLR(sampling=sampling), stream(0))
        assert paid.terms["inter"].per.eq(0).all()
    paid = LOSSES["interclr"].pay(inputs, InterCLR(intra=1, inter=0), stream(0)).total()
    torch.testing.assert_close(paid, moco(**given(), p=MoCo(temperature=0.2)).total())


def test_beclr_finds_neighbours_in_the_nearest_cluster_or_anywhere_where_it_is_too_small():
    bank, labels = given()["bank"], torch.arange(K) % 4
    inputs = {"teacher_views": unit(2, B, D, seed=6), "bank": bank}
    inputs |= {"views": inputs["teacher_views"], "projections": inputs["teacher_views"]}
    score = inputs["teacher_views"] @ bank.T
    anywhere = score.topk(5).indices
    assert torch.equal(planned(BECLR(), inputs)["memory_neighbours"], anywhere)
    centres = torch.stack([bank[labels == c].mean(0) for c in range(4)])
    nearest = torch.cdist(inputs["teacher_views"], centres).argmin(-1)
    found = planned(BECLR(), inputs | {"bank_labels": labels})["memory_neighbours"]
    assert torch.equal(labels[found], nearest[..., None].expand_as(found))
    assert torch.equal(
        planned(BECLR(nearest=11), inputs | {"bank_labels": labels})["memory_neighbours"], score.topk(11).indices
    )


@pytest.mark.parametrize(
    ("p", "inputs"), [(MoCHi(), given()), (FeatureTransform(), given()), (InterCLR(drawn=8), clustered())]
)
def test_the_same_generator_draws_the_same_and_another_one_does_not(p: Params, inputs: dict[str, Tensor]):
    names = LOSSES[p.kind].planned
    first, again, other = (planned(p, inputs, seed) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in names)
    assert any(not torch.equal(first[name], other[name]) for name in names)
