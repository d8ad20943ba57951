"""What must hold of the mixed margin, whatever the loss: values, gradients, probabilities and trajectories.

That the numbers of the authors' own classes are met is asked in tests/golden.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck
from torch.testing import assert_close

from core.data.loading import load
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.ranking import Ranking, ranking
from core.losses.registry import LOSSES
from core.losses.triplet import Triplet, triplet
from core.mixing import dmm
from core.mixing.dmm import DMM, DynamicMixedMargin, draw_lam, mixed_margin
from core.mixing.negative_item import MixedNegatives, NegativeItem
from core.mixing.registry import Known, Plan, Step
from core.mixing.targets import partner_pairs, weighted
from core.runs.trainer import Trainer
from core.streams import stream
from tests.core.runs.conftest import small

MIX = DynamicMixedMargin()
N, D = 6, 5
PARTNERS = (
    "flip", "roll", "shuffle", "derangement", "hard", "farthest", "same_class", "other_class", "bank"
)  # fmt: skip
DRAWS = 100, 100
PAIRWISE = [entry.key for entry in LOSSES if entry.pairwise]


def points(name: str, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=stream(0, name), dtype=torch.float64)


def unit(name: str, *shape: int) -> Tensor:
    return F.normalize(points(name, *(shape or (N, D))), dim=-1)


def plan(p: DMM, *, n: int = N, seed: int = 0, margin: float = 0.2, **known: Any) -> Plan:
    """A plan for points of which everything is known that a partner can be chosen by."""
    labels = torch.arange(n) // 2
    known = {"z": points("z", n, D), "labels": labels, "memory": {"bank.a": unit("bank", 9, D)}} | known
    return MIX.plan(n, p, stream(seed, "mixing", 0), Known(margin=margin, **known))


def exactly(drawn: Plan) -> Plan:
    """The same plan in float64, so that a margin of lam m is one."""
    return replace(drawn, lam=drawn.lam.double(), margin=drawn.margin.double())


# 1


@pytest.mark.parametrize("renormalise", ["unit", "none", "geodesic"])
@pytest.mark.parametrize("partner", PARTNERS)
def test_at_lambda_one_the_mixed_loss_is_the_clean_one_in_value_and_gradient(partner: str, renormalise: str):
    p = DMM(law="fixed", fixed=1, partner=partner, renormalise=renormalise, level="embedding")
    drawn = plan(p, margin=0.5)
    raw, b = points("raw", N, D).requires_grad_(), unit("b")
    z = F.normalize(raw, dim=-1)
    mixed = MIX.apply({"a": z, "bank.a": unit("bank", 9, D)}, drawn, p)["a"]
    clean = ranking(z, b, Ranking(margin=0.5)).total()
    same = ranking(mixed, b, Ranking(margin=0.5), margin=drawn.margin).total()
    assert_close(same, clean)
    assert_close(*(torch.autograd.grad(value, raw, retain_graph=True)[0] for value in (same, clean)))


@pytest.mark.parametrize("side", ["a", "b", "both"])
@pytest.mark.parametrize("key", PAIRWISE)
def test_at_lambda_one_mixed_inputs_pay_every_loss_as_clean_ones_do(key: str, side: str):
    p, entry = DMM(law="fixed", fixed=1, side=side), LOSSES[key]
    settings = entry.params()
    drawn = exactly(plan(p, margin=getattr(settings, "margin", 0.0)))
    x, y = points("x", N, D).requires_grad_(), points("y", N, D).requires_grad_()
    labels = {"labels": torch.arange(N) // 2} if entry.inputs.get("labels") else {}
    asked = {"margin": drawn.margin} if "margin" in entry.inputs else {}
    mixed = MIX.apply({"a": x, "b": y}, drawn, p)

    def paid(a: Tensor, b: Tensor, **more: Any) -> Tensor:
        z = {"a": F.normalize(a, dim=-1), "b": F.normalize(b, dim=-1)}
        return entry.pay({**z, **labels, **more}, settings, stream(0, "plan")).total()

    same, clean = paid(mixed["a"], mixed["b"], **asked), paid(x, y)
    assert_close(same, clean)
    for one, other in zip(*(torch.autograd.grad(value, (x, y)) for value in (same, clean)), strict=True):
        assert_close(one, other)


# 2


def gradient_of_separated(p: DMM, lam: float) -> Tensor:
    """dL/dz of the mixed hinge where each clean pair leads each other one by 0.8, with a margin of 0.2."""
    z, t = torch.eye(8, dtype=torch.float64).requires_grad_(), 0.8 * torch.eye(8, dtype=torch.float64)
    share = torch.full((8,), lam, dtype=torch.float64)
    drawn = Plan(share, torch.arange(7, -1, -1), mixed_margin(p.rule, share, 0.2))
    exclude = partner_pairs(drawn, "a") if p.target == "mask_partner" else None
    paid = ranking(MIX.apply({"a": z}, drawn, p)["a"], t, Ranking(), margin=drawn.margin, exclude=exclude)
    return torch.autograd.grad(paid.total(), z)[0]


@pytest.mark.parametrize("lam", [0.501, 0.55, 0.6, 0.75, 1.0])
@pytest.mark.parametrize("ablation", [{"rule": "zero"}, {"target": "mask_partner"}])
def test_without_the_margin_or_without_the_partner_separated_pairs_have_exactly_no_gradient(
    ablation: dict[str, str], lam: float
):
    assert gradient_of_separated(DMM(**ablation), lam).count_nonzero() == 0


@pytest.mark.parametrize("lam", [0.501, 0.55])
def test_with_both_separated_pairs_have_a_gradient_again(lam: float):
    assert gradient_of_separated(DMM(), lam).abs().max() > 0


# 3


def test_the_margin_of_the_loss_is_the_same_after_a_thousand_calls():
    """The released recommender multiplied its margin in place: 1.5 became 0 after some hundred steps."""
    p, settings = DMM(), Ranking(margin=0.5)
    said = (p.model_dump(), settings.model_dump())
    a, b = unit("a"), unit("b")
    before = ranking(a, b, settings).total()
    margins = []
    for step in range(1000):
        drawn = MIX.plan(N, p, stream(0, "mixing", step), Known(margin=settings.margin))
        mixed = ranking(MIX.apply({"a": a}, drawn, p)["a"], b, settings, margin=drawn.margin)
        MIX.combine(ranking(a, b, settings), mixed, Step(step, step), p)
        margins.append(drawn.margin[0].item())
    assert (p.model_dump(), settings.model_dump()) == said
    assert torch.equal(ranking(a, b, settings).total(), before)
    assert sum(margins[-100:]) / 100 == pytest.approx(0.75 * 0.5, abs=4 * 0.5 / math.sqrt(12 * 4 * 100))


# 4


@pytest.mark.parametrize("n", [1, 2, 7, 8])
def test_turning_round_twice_is_nothing_and_the_middle_of_an_odd_batch_is_flagged(n: int):
    drawn = plan(DMM(), n=n)
    assert drawn.partner[drawn.partner].tolist() == list(range(n))
    assert drawn.alone.nonzero().flatten().tolist() == ([n // 2] if n % 2 else [])


# 6


@pytest.mark.parametrize("gap", [0.3, 0.5, 0.8, 1.0])
def test_a_partner_beyond_the_margin_wakes_with_probability_m_over_2d_minus_m(gap: float):
    (n, batches), margin = DRAWS, 0.2
    z, t = torch.eye(n), gap * torch.eye(n)
    p = DMM(per_sample=True)
    assert ranking(z, t, Ranking(margin=margin)).total() == 0
    awake = others = 0
    for batch in range(batches):
        drawn = plan(p, n=n, seed=batch, margin=margin)
        paid = ranking(MIX.apply({"a": z}, drawn, p)["a"], t, Ranking(margin=margin), margin=drawn.margin)
        scores = paid.pairs[0].scores
        short = torch.relu(drawn.margin[:, None] + scores - scores.diagonal()[:, None])
        active = (short > 0).fill_diagonal_(False)
        assert_close(paid.terms["a_to_b"].per, (short * active).sum(1))
        awake += int(active[torch.arange(n), drawn.partner].sum())
        others += int(active.sum())
    share = margin / (2 * gap - margin)
    assert abs(awake / (n * batches) - share) <= 3 * math.sqrt(share * (1 - share) / (n * batches))
    assert others == awake


# 7


@pytest.mark.parametrize("gap", [0.5, 0.8, 1.0])
def test_a_softmax_pushes_the_partner_as_its_closed_form_says(gap: float):
    """E[1 - p] = 2τ / (2D - m) (softplus(m / 2τ) - softplus((m - D) / τ)) over λ ~ U(½, 1), of two terms."""
    (n, batches), margin, tau = DRAWS, 0.2, 0.07
    z, t, p = torch.eye(n), gap * torch.eye(n), DMM(per_sample=True)
    pushed = []
    for batch in range(batches):
        drawn = plan(p, n=n, seed=batch, margin=margin)
        third = ~(torch.eye(n, dtype=torch.bool) | partner_pairs(drawn, "a"))
        mixed = MIX.apply({"a": z}, drawn, p)["a"]
        paid = info_nce(mixed, t, InfoNCE(temperature=tau), margin=drawn.margin, exclude=third)
        pushed.append(1 - torch.exp(-paid.terms[""].per.double()))
    found, soft = torch.cat(pushed), lambda x: math.log1p(math.exp(x))
    expected = 2 * tau / (2 * gap - margin) * (soft(margin / (2 * tau)) - soft((margin - gap) / tau))
    assert abs(float(found.mean()) - expected) <= 3 * float(found.std()) / math.sqrt(len(found))


# 8


@pytest.mark.parametrize(
    ("gaps", "active"), [((0.1, 0.1), (1, 1)), ((0.1, 0.9), (1, 0)), ((0.9, 0.1), (0, 1)), ((0.9, 0.9), (0, 0))]
)
def test_the_push_on_a_partner_is_one_minus_lambda_of_the_anchors_hinge_less_lambda_of_its_own(
    gaps: tuple[float, float], active: tuple[int, int]
):
    """The gradient on z_pi is [(1 - lam) a_i - lam a_pi] (t_pi - t_i): attraction, repulsion, or nothing."""
    lam, m = 0.6, 0.2
    z = torch.diag(torch.tensor(gaps, dtype=torch.float64)).requires_grad_()
    t = torch.eye(2, dtype=torch.float64)
    share = torch.full((2,), lam, dtype=torch.float64)
    drawn = Plan(share, torch.tensor([1, 0]), mixed_margin("lam", share, m))
    paid = ranking(MIX.apply({"a": z}, drawn, DMM())["a"], t, Ranking(normalise=False), margin=drawn.margin)
    assert (paid.terms["a_to_b"].per > 0).int().tolist() == list(active)
    (gradient,) = torch.autograd.grad(paid.terms["a_to_b"].value(), z)
    own, partner = active[1], active[0]
    assert_close(gradient[1], ((1 - lam) * partner - lam * own) * (t[1] - t[0]))


# 9


@pytest.mark.parametrize("lam", [0.1, 0.5, 0.9])
def test_by_stewart_mixed_negatives_pay_the_calibrated_lead_less_the_chord(lam: float):
    """[mu + d_p² - d(u, n~)²]_+ with d(u, n~)² = lam d_p² + (1 - lam) d_n² - lam (1 - lam) d(p, n)²."""
    u, b, n = points("u", N, D), points("p", N, D), points("n", N, 4, D)
    p = NegativeItem(low=lam, high=lam)
    drawn = exactly(MixedNegatives().plan(N, p, stream(0), Known(margin=1.5)))
    made = MixedNegatives().apply({"a": u, "b": b, "negatives": n}, drawn, p)
    paid = triplet(**made, p=Triplet(over="sum", squared=True), margin=drawn.margin).total()
    positive = (u - b).square().sum(-1)[:, None]
    negative, chord = (u[:, None] - n).square().sum(-1), (b[:, None] - n).square().sum(-1)
    share, asked = drawn.lam[:, None], drawn.margin[:, None]
    expected = torch.relu(asked + (1 - share) * (positive - negative) + share * (1 - share) * chord).mean()
    assert_close(paid, expected, atol=1e-12, rtol=1e-12)


# 10


@pytest.mark.parametrize("partner", ["flip", "shuffle", "bank"])
@pytest.mark.parametrize("level", ["input", "hidden", "embedding"])
def test_at_weight_zero_training_goes_the_way_it_goes_without_mixing(level: str, partner: str):
    base = {"loss__kind": "ranking", "encoder__vector__dropout": "0.3"}
    mixing = {"mixing__weight": "zero", "mixing__level": level, "mixing__partner": partner}
    ways = [small(**base), small(**base, mixing__kind="dmm", **mixing)]
    plain, mixed = (Trainer(recipe, load(recipe.data), torch.device("cpu")) for recipe in ways)
    for _ in range(12):
        plain.advance()
        mixed.advance()
    for one, other in zip(plain.model.parameters(), mixed.model.parameters(), strict=True):
        assert torch.equal(one, other)


# 11


def gradient_of_the_first(negatives: Tensor, as_released: bool) -> Tensor:
    u, b = 0.5 * unit("u"), 0.5 * unit("p")
    u = u.clone().requires_grad_()
    paid = triplet(u, b, Triplet(over="min", as_released=as_released), negatives=negatives, margin=torch.tensor(0.3))
    return torch.autograd.grad(paid.total(), u)[0][0]


def test_a_users_gradient_does_not_hang_on_the_negatives_of_other_users_except_as_released():
    negatives = 0.5 * unit("n", N, 4, D)
    other = negatives.clone()
    other[1:] = 9 * negatives[1:]
    assert torch.equal(gradient_of_the_first(negatives, False), gradient_of_the_first(other, False))
    assert not torch.allclose(gradient_of_the_first(negatives, True), gradient_of_the_first(other, True))


# 12


SMOOTH: dict[str, DMM] = {
    "inputs": DMM(per_sample=True),
    "side b": DMM(per_sample=True, side="b"),
    "both sides": DMM(per_sample=True, side="both"),
    "unit": DMM(per_sample=True, level="embedding"),
    "as short as they come": DMM(per_sample=True, level="embedding", renormalise="none"),
    "along the arc": DMM(per_sample=True, level="embedding", renormalise="geodesic"),
    "bank": DMM(per_sample=True, partner="bank", level="embedding"),
    "learned margin": DMM(per_sample=True, rule="learned"),
}


def mixed_payment(p: DMM, loss: Callable[..., Any], settings: Any) -> Callable[..., Tensor]:
    def pay(x: Tensor, y: Tensor, level: Tensor, slope: Tensor) -> Tensor:
        scalars = {"margin_level": level, "margin_slope": slope}
        drawn = plan(p, margin=0.4, learned=scalars)
        at_end = p.level == "embedding"
        a, b = (F.normalize(v, dim=-1) if at_end else v for v in (x, y))
        mixed = MIX.apply({"a": a, "b": b, "bank.a": unit("bank", 9, D)}, drawn, p)
        a, b = (v if at_end else F.normalize(v, dim=-1) for v in (mixed["a"], mixed["b"]))
        paid = weighted(loss(a, b, settings, margin=drawn.margin, exclude=partner_pairs(drawn, "a")), drawn.lam)
        return paid.total() + (drawn.penalty if drawn.penalty is not None else 0)

    return pay


@pytest.mark.parametrize("loss", [(ranking, Ranking()), (info_nce, InfoNCE())], ids=["hinge", "softmax"])
@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_through_the_mixture_are_those_of_finite_differences(
    name: str, loss: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(dmm, "draw_lam", lambda n, p, g: draw_lam(n, p, g).double())
    given = [points("x", N, D), points("y", N, D), torch.tensor(0.1, dtype=torch.float64)]
    given.append(torch.tensor(1.7, dtype=torch.float64))
    assert gradcheck(mixed_payment(SMOOTH[name], *loss), tuple(value.requires_grad_() for value in given))


# 13


@pytest.mark.parametrize("key", [e.key for e in LOSSES if e.pairwise and "margin" in e.inputs])
def test_equal_lambdas_per_sample_are_one_lambda(key: str):
    """The plans are the same, and a loss pays the same for one margin as for an equal one per anchor."""
    each = DMM(low=0.8, high=0.8, per_sample=True)
    shared = each.model_copy(update={"per_sample": False})
    one, other = plan(each), plan(shared)
    assert torch.equal(one.lam, other.lam)
    assert torch.equal(one.margin, other.margin)
    entry = LOSSES[key]
    labels = {"labels": torch.arange(N) // 2} if entry.inputs.get("labels") else {}
    inputs = {"a": unit("a").requires_grad_(), "b": unit("b").requires_grad_()}
    mixed = MIX.apply(inputs, one, each)
    margin = one.margin.double()
    g = stream(0, "plan")
    paid = [entry.pay({**mixed, **labels, "margin": m}, entry.params(), g).total() for m in (margin, margin[0])]
    assert_close(paid[0], paid[1])
    gradients = [torch.autograd.grad(value, list(inputs.values()), retain_graph=True) for value in paid]
    for first, second in zip(*gradients, strict=True):
        assert_close(first, second)


# A margin of its own for each anchor: which one is asked of whom


def test_along_a_column_the_margin_is_that_of_the_querys_own_positive():
    a, b, margin = unit("a"), unit("b"), torch.rand(N, generator=stream(0, "mu"), dtype=torch.float64)
    s = a @ b.T
    paid = ranking(a, b, Ranking(), margin=margin).terms
    for k in range(N):
        row = sum(max(0.0, float(margin[k] + s[k, j] - s[k, k])) for j in range(N) if j != k)
        column = sum(max(0.0, float(margin[k] + s[i, k] - s[k, k])) for i in range(N) if i != k)
        assert float(paid["a_to_b"].per[k]) == pytest.approx(row, abs=1e-12)
        assert float(paid["b_to_a"].per[k]) == pytest.approx(column, abs=1e-12)


@pytest.mark.parametrize("key", ["clip", "nt_xent"])
def test_a_softmax_takes_the_margin_of_a_pair_off_in_both_directions(key: str):
    """Only the anchors of the raised pair pay more: its own row and its own column, or both of its views."""
    a, b, entry = unit("a"), unit("b"), LOSSES[key]
    margin = torch.full((N,), 0.1, dtype=torch.float64)
    raised = margin.clone().index_fill_(0, torch.tensor(2), 0.6)
    before, after = (
        torch.cat([t.per for t in entry.call(a=a, b=b, p=entry.params(), margin=m).terms.values()])
        for m in (margin, raised)
    )
    assert ((after - before) > 1e-9).nonzero().flatten().tolist() == [2, N + 2]
