"""Losses that foretell a teacher, in training: whose embedding is foretold, and what keeps the embeddings apart."""

import pytest
import torch
import torch.nn.functional as F

from core.data.loading import load
from core.diagnostics.geometry import effective_rank
from core.losses.contrastive_ucb import SPR, spr
from core.losses.directpred import DirectPred, directpred
from core.procedures.directpred import FeatureCorrelation, direct_predictor, feature_correlation
from core.runs.fit import Unfit, check_fit, remarks
from core.runs.replay import moment
from core.runs.trainer import Trainer
from tests.core.runs.conftest import small

QUEUE = {"method__kind": "queue", "method__batch": "16", "method__size": "40", "method__momentum": "0.9"}


def trainer(loss: str, **more: str) -> Trainer:
    recipe = small(**QUEUE, loss__kind=loss, **more)
    return Trainer(recipe, load(recipe.data), torch.device("cpu"))


def test_a_step_foretells_the_teacher_of_the_other_side_by_the_spectrum_of_both():
    ours = trainer("directpred")
    batch = ours.payment().batch
    one, other = (torch.stack([batch.z[m], batch.teacher[m]]) for m in ours.inputs)
    sides = torch.stack([one[0], other[0]]).detach()
    predictor = direct_predictor(feature_correlation(sides, FeatureCorrelation()), DirectPred())
    by_hand = directpred(one[0], other[0], one[1], other[1], predictor, DirectPred())
    torch.testing.assert_close(ours.payment().paid.total(), by_hand.total())


def test_a_step_of_spr_foretells_the_teacher_of_the_other_side_both_ways_round():
    ours = trainer("spr")
    batch = ours.payment().batch
    first, second = ours.inputs
    ways = [spr(batch.z[m], batch.teacher[n], SPR()).total() for m, n in ((first, second), (second, first))]
    torch.testing.assert_close(ours.payment().paid.total(), sum(ways) / 2)


def test_a_snapshot_keeps_what_a_foretelling_step_is_paid_by():
    ours = trainer("directpred")
    ours.advance()
    arrays = ours.snapshot()
    found = moment(ours.recipe, ours.data, ours.step, arrays)
    z = [torch.from_numpy(arrays[f"{kind}.{m}"]) for kind in ("z", "teacher") for m in ours.inputs]
    predictor = direct_predictor(feature_correlation(torch.stack(z[:2]), FeatureCorrelation()), DirectPred())
    torch.testing.assert_close(found.clean.total(), directpred(*z, predictor, DirectPred()).total())


def test_a_step_of_simsiam_foretells_the_other_side_as_it_stands_by_its_predictor():
    recipe = small(loss__kind="simsiam", loss__hidden="8")
    ours = Trainer(recipe, load(recipe.data), torch.device("cpu"))
    paying = ours.payment()
    a, b = paying.batch.z.values()
    ways = []
    for own, other in ((a, b), (b, a)):
        target = (other - other.mean(0)) / (other.var(0, correction=0) + 1e-5).sqrt()
        ways.append(-F.cosine_similarity(ours.companion.layers(own), target.detach()).mean() / 2)
    torch.testing.assert_close(paying.paid.total(), sum(ways))
    found, by_hand = (torch.autograd.grad(x, a, retain_graph=True)[0] for x in (paying.paid.total(), sum(ways)))
    torch.testing.assert_close(found, by_hand)


def rank_after(steps: int, loss: str, **more: str) -> float:
    """Effective rank of the embeddings of handwritten digits, in 16 dimensions, that one network has seen twice."""
    shape = {"data__kind": "digits", "encoder__dim": "16", "encoder__vector__width": "64", "method__batch": "64"}
    recipe = small(loss__kind=loss, seed="1", **shape, **more)
    ours = Trainer(recipe, load(recipe.data), torch.device("cpu"))
    for _ in range(steps):
        ours.advance()
    return min(effective_rank(z) for z in ours.embed(ours.train_items[:300]).values())


def test_a_learned_predictor_and_a_gradient_that_stops_keep_dimensions_that_fall_together_without():
    """The claim of SimSiam: only the gradient is let through; and BYOL, whose teacher has none."""
    assert rank_after(60, "simsiam") > 6.5
    assert rank_after(60, "byol", method__kind="queue", method__size="64", method__momentum="0.9") > 6.5
    assert rank_after(60, "simsiam", loss__stop_gradient="off") < 5


def spread_after(steps: int, loss: str) -> float:
    """How far embeddings stand from their mean, root mean square; 0 for one point, 1 for all round the origin."""
    ours = trainer(loss, seed="1")
    for _ in range(steps):
        ours.advance()
    return min(float((z - z.mean(0)).square().sum(1).mean().sqrt()) for z in ours.embed().values())


def test_the_predictor_keeps_embeddings_apart_that_collapse_without_it():
    """The claim of the paper: neither has negatives, and the teacher alone does not do it."""
    assert spread_after(60, "directpred") > 0.5
    assert spread_after(60, "spr") < 0.2
    assert spread_after(60, "alignment") < 0.2


@pytest.mark.parametrize("loss", ["byol", "directpred", "spr"])
def test_what_does_not_fit_a_teacher_is_refused_in_a_sentence(loss: str):
    plain = small(loss__kind=loss)
    with pytest.raises(Unfit, match="teacher, and method shuffle keeps none; choose method queue"):
        check_fit(plain, load(plain.data))
    mixed = small(**QUEUE, loss__kind=loss, mixing__kind="dmm")
    with pytest.raises(Unfit, match="meets a teacher and mixing is dmm; choose mixing none"):
        check_fit(mixed, load(mixed.data))


def test_a_density_ratio_is_learned_from_pairs_alone():
    recipe = small(loss__kind="density_ratio")
    ours = Trainer(recipe, load(recipe.data), torch.device("cpu"))
    paid = [float(ours.advance()["loss"]) for _ in range(40)]
    assert max(paid[-5:]) < 0.7 * paid[0]


@pytest.mark.parametrize("loss", ["byol", "simsiam"])
def test_what_foretells_across_two_towers_says_that_pairs_hardly_find_each_other(loss):
    apart, together = (small(**QUEUE, loss__kind=loss, data__kind=kind) for kind in ("circle", "digits"))
    (said,) = remarks(apart, load(apart.data))
    assert "turn one side into the other" in said
    assert remarks(together, load(together.data)) == []
    other = small(**QUEUE, loss__kind="directpred", data__kind="circle")
    assert remarks(other, load(other.data)) == []
