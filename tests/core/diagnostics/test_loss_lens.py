"""The lens on any loss: its force is the slope of what is paid, its motion what a small step really does."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics.forces import motion
from core.diagnostics.loss_lens import (
    Layer,
    Sample,
    Side,
    cosines,
    lens,
    moving,
    near,
    pay,
    sample,
    sides,
    through_scores,
)
from core.diagnostics.loss_marks import marks
from core.diagnostics.loss_paths import EDGE, along, path, surface, turning
from core.diagnostics.push_spread import flat, spread
from core.diagnostics.synthetic import synthetic
from core.losses.registry import LOSSES
from core.paid import Role
from core.streams import stream
from core.vocabulary import VOCABULARY

KINDS = LOSSES.keys()
PAIRED = [entry.key for entry in LOSSES if entry.needed == ["a", "b"]]
SCORED = [entry.key for entry in LOSSES if entry.needed[:1] == ["candidate_scores"] and entry.plan is None]
S = Sample(n=9, closeness=0.4, seed=3, dim=8)
STEP = 1e-6


def params(kind: str):
    return LOSSES[kind].params()


@pytest.mark.parametrize("kind", KINDS)
def test_every_loss_is_handed_what_it_needs_and_pays_a_finite_amount(kind: str):
    p = params(kind)
    given = sample(p, S)
    assert list(given) == LOSSES[kind].needed
    for name, value in given.items():
        assert value.ndim == len(VOCABULARY[name].shape.split()), name
    assert math.isfinite(float(pay(p, given, S.seed).total()))
    again = sample(p, S)
    assert all(torch.equal(given[name], again[name]) for name in given)


@pytest.mark.parametrize("kind", [entry.key for entry in LOSSES if "proxies" in entry.needed])
def test_items_stand_at_the_chosen_cosine_to_the_centre_of_their_class(kind: str):
    for closeness in (0.2, 0.7):
        seen = lens(params(kind), S._replace(closeness=closeness, spread=0))
        (layer,) = seen.layers
        own = layer.scores[layer.role == Role.POSITIVE]
        torch.testing.assert_close(own, torch.full((S.n,), closeness, dtype=torch.float64))


@pytest.mark.parametrize("kind", KINDS)
def test_the_motion_is_what_a_small_step_does_to_every_cosine(kind: str):
    seen = lens(params(kind), S)
    if seen.motion is None:
        assert sides(seen.given) is None
        return
    first, second = sides(seen.given) or pytest.fail("there is motion and nothing moves")
    leaves = [name for name, value in seen.given.items() if value.requires_grad]
    slopes = torch.autograd.grad(
        seen.paid.total(), [seen.given[name] for name in leaves], retain_graph=True, allow_unused=True
    )
    whole = math.sqrt(sum(float(g.square().sum()) for g in slopes if g is not None)) or 1.0
    size = 1e-5 / whole

    def after(step: float) -> Tensor:
        moved = dict(seen.given)
        for name, slope in zip(leaves, slopes, strict=True):
            moved[name] = moved[name].detach() - (0 if slope is None else step * slope)
        return cosines(first.of(moved), second.of(moved))

    change = (after(size) - after(-size)) / (2 * size)
    assert torch.allclose(-seen.motion.push, change, rtol=1e-4, atol=1e-6 * whole)


@pytest.mark.parametrize("kind", PAIRED)
def test_for_unit_pairs_the_motion_is_that_of_the_diagnostic(kind: str):
    seen = lens(params(kind), S)
    assert seen.motion is not None
    exact = motion(seen.given["a"], seen.given["b"], seen.paid.total())
    assert torch.allclose(-seen.motion.push, exact, atol=1e-12)


def test_the_force_is_the_slope_of_what_is_paid():
    """InfoNCE written out over free scores: the derivative by each score, by finite differences."""
    p = params("info_nce")
    seen = lens(p, S)
    (layer,) = seen.layers

    def paid(scores: Tensor) -> float:
        return float(F.cross_entropy(scores / p.temperature, torch.arange(S.n)))

    for i in range(S.n):
        for j in range(S.n):
            bump = torch.zeros_like(layer.scores)
            bump[i, j] = STEP
            slope = (paid(layer.scores + bump) - paid(layer.scores - bump)) / (2 * STEP)
            assert float(layer.push[i, j]) == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("kind", SCORED)
@pytest.mark.parametrize("place", [(0, 0), (1, 2)])
def test_candidate_scores_are_their_own_pairs(kind: str, place: tuple[int, int]):
    p = params(kind)
    seen = lens(p, S)

    def paid(by: float) -> float:
        given = sample(p, S)
        given["candidate_scores"][place] += by
        return float(pay(p, given, S.seed).total())

    slope = (paid(STEP) - paid(-STEP)) / (2 * STEP)
    assert seen.layers[0].kind == "force"
    assert seen.motion is None
    assert float(seen.layers[0].push[place]) == pytest.approx(slope, abs=1e-6)


def test_the_pairs_are_those_of_gradients_and_further_views_stand_as_close():
    made = synthetic(S.n, S.dim, S.closeness, S.spread, stream(S.seed, "pairs"))
    given = sample(params("info_nce"), S)
    assert torch.equal(given["a"], made.a)
    assert torch.equal(given["b"], made.b)
    close = near(made.a, S._replace(spread=0), stream(0, "near"))
    assert (close * made.a).sum(1).tolist() == pytest.approx([S.closeness] * S.n)
    assert close.norm(dim=1).tolist() == pytest.approx([1] * S.n)


def test_parts_stand_as_close_to_their_item_as_its_relatives_do():
    given = sample(params("tcl"), S._replace(spread=0))
    for part, item in (("parts", "a"), ("other_parts", "b")):
        rows = given[part].shape[:2]
        found = torch.einsum("bnd,bd->bn", given[part], given[item])
        torch.testing.assert_close(found, torch.full(rows, S.closeness, dtype=found.dtype))
    assert given["parts"].shape[1] != given["other_parts"].shape[1]


@pytest.mark.parametrize("kind", KINDS)
def test_weight_times_direction_never_makes_up_more_than_the_gradient(kind: str):
    share = through_scores(lens(params(kind), S))
    assert share is None or 0 <= share <= 1 + 1e-9


@pytest.mark.parametrize("kind", ["info_nce", "clip", "nt_xent", "triplet", "siglip", "ranking", "supcon"])
def test_losses_by_their_scores_alone_are_made_up_whole(kind: str):
    assert through_scores(lens(params(kind), S)) == pytest.approx(1)


def test_what_passes_beside_the_scores_is_missed():
    assert 0 < (through_scores(lens(params("coot"), S)) or 0) < 1 - 1e-6


@pytest.mark.parametrize("kind", ["info_nce", "nt_xent", "dcl", "bpr"])
def test_a_softmax_pulls_as_hard_as_it_pushes(kind: str):
    seen = lens(params(kind), S)
    found = spread(seen.layers)
    assert found.balanced == len(found.pull)
    assert found.pull.tolist() == pytest.approx(found.push.tolist())


def test_alignment_pulls_and_pushes_nobody():
    found = spread(lens(params("alignment"), S).layers)
    assert found.balanced == 0
    assert not bool(found.active.any())
    assert found.effective.tolist() == [0] * S.n


def test_the_effective_number_is_one_for_the_hardest_alone_and_all_for_equal_shares():
    role = torch.full((2, 5), Role.NEGATIVE, dtype=torch.int8)
    role[:, 0] = Role.POSITIVE
    push = torch.tensor([[-1.0, 0, 1, 0, 0], [-4, 1, 1, 1, 1]], dtype=torch.float64)
    found = spread([Layer(torch.zeros(2, 5), role, push, "force")])
    assert found.effective.tolist() == pytest.approx([1, 4])
    assert found.entropy.tolist() == pytest.approx([0, math.log(4)])
    assert (found.balanced, found.negatives.tolist()) == (2, [4, 4])
    everyone, pairs = flat([Layer(torch.zeros(2, 5), role, push, "force")] * 2)
    assert everyone.shape == pairs.role.shape == (1, 20)


def test_a_turn_brings_a_vector_to_its_cosine_and_keeps_all_lengths():
    g = stream(0, "turn")
    u, old, others = (torch.randn(shape, generator=g, dtype=torch.float64) for shape in (6, 6, (3, 6)))
    rotate = turning(u, old, 0.3)
    assert float(F.cosine_similarity(rotate(old), u, dim=0)) == pytest.approx(0.3)
    assert rotate(others).norm(dim=1).tolist() == pytest.approx(others.norm(dim=1).tolist())
    opposite = turning(u, -u, 0.5)
    assert float(F.cosine_similarity(opposite(-u), u, dim=0)) == pytest.approx(0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_moves_its_two_to_where_it_is_told(kind: str):
    p = params(kind)
    road = path(p, S, 1)
    if road is None or road.pair is None:
        return
    x, y = road.pair
    away = road.away or y
    moved = road.moved(positive=0.7, negative=-0.2)
    u = x.of(moved)[[road.anchor]]
    assert float(cosines(u, y.of(moved))[0, road.positive]) == pytest.approx(0.7)
    assert float(cosines(u, away.of(moved))[0, road.other]) == pytest.approx(-0.2)
    still = road.moved()
    assert all(torch.equal(still[name], road.given[name]) for name in still)


@pytest.mark.parametrize("kind", KINDS)
def test_pull_and_push_are_those_of_the_whole_batch(kind: str):
    p = params(kind)
    road = path(p, S)
    if road is None:
        return
    pull, push = road.pull_and_push(road.given)
    seen = lens(p, S)
    if road.pair is None:
        own = seen.layers[0].push[road.anchor]
        expected = -own[0], own[road.other]
    elif road.column is None:
        assert seen.motion is not None
        own = seen.motion.push[road.anchor]
        expected = -own[road.positive], own[road.other]
    else:
        table, near_to, far = road.column
        own = seen.layers[table].push[road.anchor]
        expected = -own[near_to], own[far]
    assert (pull, push) == pytest.approx(tuple(map(float, expected)), abs=1e-12)


def test_scores_that_are_handed_in_are_moved_themselves():
    road = path(params("rerank_cl"), S, 2)
    assert road is not None
    before = road.given["candidate_scores"]
    moved = road.moved(positive=3, negative=-4)["candidate_scores"]
    assert (float(moved[2, 0]), float(moved[2, road.other])) == (3, -4)
    assert int((moved != before).sum()) == 2
    low, high = road.ends
    assert low < before[2].min() < before[2].max() < high


@pytest.mark.parametrize(("kind", "column"), [("info_nce", 0), ("nt_xent", S.n), ("triplet", 0), ("clip", 0)])
def test_the_two_are_found_in_the_scores_of_the_loss(kind: str, column: int):
    road = path(params(kind), S, 2)
    assert road is not None
    assert road.column == (0, column + 2, column + road.other)


def test_a_loss_with_a_bank_is_asked_about_the_hardest_of_the_bank():
    road = path(params("moco"), S)
    assert road is not None
    assert (road.away, road.kind) == (Side("bank"), "force")
    scores = cosines(road.given["a"][:1], road.given["bank"])[0]
    assert road.other == int(scores.argmax())
    assert road.pull_and_push(road.given)[1] > 0
    moved = road.moved(negative=0.9)
    assert int((moved["bank"] != road.given["bank"]).any(1).sum()) == 1
    assert torch.equal(moved["a"], road.given["a"])


def test_the_curve_goes_through_where_the_negative_stands():
    road = path(params("triplet"), S)
    assert road is not None
    line = along(road)
    at = line.similarity.tolist()
    assert at == sorted(at)
    assert road.at in at
    assert (min(at), max(at)) == pytest.approx((-EDGE, EDGE))
    here = at.index(road.at)
    assert (float(line.pull[here]), float(line.push[here])) == pytest.approx(road.pull_and_push(road.given))


def test_the_surface_is_what_the_anchor_pays_there():
    p = params("info_nce")
    road = path(p, S)
    assert road is not None
    found = surface(road)
    i, j = 2, 8
    moved = road.moved(float(found.at[j]), float(found.at[i]))
    own = moved["a"][0] @ moved["b"].T / p.temperature
    assert float(found.value[i, j]) == pytest.approx(float(torch.logsumexp(own, 0) - own[0]))
    assert found.here == pytest.approx(float(pay(p, road.given, S.seed).terms[""].per[0]))
    pushed = surface(road, "push")
    assert bool((pushed.value >= 0).all())
    assert pushed.here == pytest.approx(road.pull_and_push(road.given)[1])


def test_the_marks_are_the_levels_of_the_loss():
    p = params("info_nce")
    found = marks(p, Sample(n=16))
    assert found is not None
    assert found.collapse == pytest.approx(math.log(16))
    assert found.floor is not None
    assert found.floor < float(found.paid[-1]) < found.unrelated
    assert float(found.paid[0]) == found.unrelated
    given = sample(p, Sample(n=16, closeness=float(found.closeness[10]), spread=0))
    assert float(found.paid[10]) == pytest.approx(float(pay(p, given).total()))


@pytest.mark.parametrize("kind", KINDS)
def test_every_loss_has_marks_or_no_embeddings(kind: str):
    found = marks(params(kind), S, points=3)
    embedded = any(VOCABULARY[name].meaning.startswith("embedding") for name in LOSSES[kind].needed)
    assert (found is not None) == embedded
    assert found is None or all(map(math.isfinite, [found.collapse, found.unrelated, *found.paid.tolist()]))


def test_constants_stand_still():
    given = moving(sample(params("moco"), S))
    assert not given["bank"].requires_grad
    assert any(value.requires_grad for value in given.values())
