"""Plans and identities of the losses over candidates' scores, log-likelihoods, augmenters, heads and mixed targets."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.dcd import DCD, weigh_queries
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.mclrec import MCLRec, mclrec, spread
from core.losses.nt_xent import NTXent, nt_xent
from core.losses.pdf_mim import PDFMIM, GaussianFit, gaussian_fit, pdf_mim
from core.losses.registry import LOSSES
from core.losses.sft_vs_cl import RerankCL, RerankSFT, RerankUnified, hold_weights
from core.losses.supcon import SupCon, supcon
from core.losses.supremix import SupReMix, draw_shares, mix, supremix
from core.losses.svco import DPO, SVCO, dpo, svco
from core.losses.vclub import VCLUB, vclub
from core.params import Params
from core.streams import stream
from tests.golden.families import HOME, load

Given = dict[str, Tensor]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=stream(seed, "plans"), dtype=torch.float64)


def unit(*shape: int, seed: int = 0) -> Tensor:
    return F.normalize(normal(*shape, seed=seed), dim=-1)


def paid(p: Params, given: Given, seed: int = 0) -> Tensor:
    return LOSSES.of(p).pay(given, p, stream(seed, "plan")).total()


def logits() -> Given:
    return {"candidate_scores": 2 * normal(5, 6, seed=1), "refusal_scores": normal(5, 6, seed=2)}


def gradients(p: Params, given: Given) -> list[Tensor]:
    leaves = {name: value.clone().requires_grad_() for name, value in given.items()}
    asked = {name: leaves[name] for name in LOSSES.of(p).needed}
    return list(torch.autograd.grad(paid(p, asked), list(leaves.values()), materialize_grads=True))


@pytest.mark.parametrize(
    ("whole", "apart"),
    [
        (RerankCL(), RerankUnified(weigh="softmax", direction="yes")),
        (RerankSFT(reduction="sum"), RerankUnified()),
        (RerankSFT(), RerankUnified(reduction="mean")),
    ],
)
def test_weight_times_direction_has_the_gradient_of_the_loss_that_both_are_of(whole: Params, apart: Params):
    torch.testing.assert_close(gradients(apart, logits()), gradients(whole, logits()))


def test_a_softmax_shares_one_weight_and_a_yes_or_no_gives_each_its_own():
    by_softmax, each, constant = (
        hold_weights(logits(), RerankUnified(weigh=weigh), stream(0))["held_weight"]
        for weigh in ("softmax", "sigmoid", "constant")
    )
    torch.testing.assert_close(by_softmax[:, 1:].sum(dim=1), by_softmax[:, 0])
    assert (by_softmax[:, 0] < 1).all()
    assert (each[:, 1:].sum(dim=1) > 1).any()
    assert constant.eq(1).all()


def test_the_mask_takes_the_weight_of_those_alone_that_are_answered_surely():
    given = logits()
    lead = given["candidate_scores"] - given["refusal_scores"]
    right = torch.cat([lead[:, :1], -lead[:, 1:]], dim=1).sigmoid()
    weight = hold_weights(given, RerankUnified(weigh="constant", sure=0.2), stream(0))["held_weight"]
    assert torch.equal(weight, (right <= 0.8).double())
    assert 0 < weight.mean() < 1


def of_teacher(**more: Tensor) -> Given:
    return {"candidate_scores": normal(4, 8, seed=3), "teacher_scores": 3 * normal(4, 8, seed=4)} | more


def test_where_the_teacher_is_sure_distillation_counts_more_and_the_weights_add_up_to_1():
    teacher = normal(1, 8) * torch.tensor([0.1, 1.0, 3.0, 9.0])[:, None]
    weight = weigh_queries(of_teacher(teacher_scores=teacher), DCD(), stream(0))["query_weight"]
    assert (weight.diff() > 0).all()
    assert weight.sum().item() == pytest.approx(1)


def test_as_released_the_weights_of_distillation_cancel():
    given = of_teacher()
    plain = (given["candidate_scores"] - given["teacher_scores"]).square().mean()
    entry = LOSSES["dcd"]
    terms = {kept: entry.pay(given, DCD(as_released=kept), stream(0)).terms["distillation"] for kept in (True, False)}
    assert terms[True].value().item() == pytest.approx(0.2 * plain.item())
    assert abs(terms[False].value().item() - 0.2 * plain.item()) > 1e-3


def test_a_student_that_lags_counts_more_and_one_that_says_the_same_counts_by_1_less_1_over_e():
    p, given = DCD(form="soft_label"), of_teacher()
    level = weigh_queries(given | {"candidate_scores": given["teacher_scores"]}, p, stream(0))["query_weight"]
    torch.testing.assert_close(level, torch.full_like(level, (1 - math.exp(-1)) / 4))
    ahead, behind = (given["teacher_scores"].clone() for _ in range(2))
    ahead[:, 0] += 1
    behind[:, 0] -= 1
    less, more = (weigh_queries(given | {"candidate_scores": x}, p, stream(0))["query_weight"] for x in (ahead, behind))
    assert (less > 0).all()
    assert (less < level).all()
    assert (level < more).all()
    assert (more < 1 / 4).all()


def test_a_policy_that_says_what_its_reference_says_pays_log_2_for_each_part():
    same = normal(2, 3, 5)
    assert svco(same, same, SVCO()).total().item() == pytest.approx(4 * math.log(2))
    assert svco(same, same, SVCO(symmetric=False)).total().item() == pytest.approx(2 * math.log(2))
    assert dpo(same, same, DPO()).total().item() == pytest.approx(math.log(2))


def test_winning_and_losing_may_change_places_and_each_side_pays_its_half():
    policy, reference = 5 * normal(2, 3, 5, seed=1), 5 * normal(2, 3, 5, seed=2)
    turned = [x[[1, 0]][:, [1, 0, 2]] for x in (policy, reference)]
    whole = svco(policy, reference, SVCO()).total()
    torch.testing.assert_close(svco(*turned, SVCO()).total(), whole)
    one, other = svco(policy, reference, SVCO(symmetric=False)), svco(*turned, SVCO(symmetric=False))
    torch.testing.assert_close(one.total() + other.total(), whole)


def test_what_a_text_is_worth_without_an_image_counts_for_svco_alone():
    policy, reference = normal(2, 3, 5, seed=1), normal(2, 3, 5, seed=2)
    likelier = policy.clone()
    likelier[0, 2] += 1
    before, after = (svco(x, reference, SVCO()).terms for x in (policy, likelier))
    assert (after["attend"].per[:5] > before["attend"].per[:5]).all()
    assert (after["reject"].per[:5] < before["reject"].per[:5]).all()
    assert torch.equal(dpo(policy, reference, DPO()).total(), dpo(likelier, reference, DPO()).total())


def test_mclrec_is_nt_xent_where_nothing_else_is_weighed():
    a, b, x, y = (unit(6, 4, seed=seed) for seed in range(4))
    alone = mclrec(a, b, x, y, MCLRec(encoded=1, augmented=0, regulariser=0)).total()
    torch.testing.assert_close(alone, nt_xent(a, b, NTXent(temperature=1)).total())


@pytest.mark.parametrize("whole", [True, False])
def test_the_regulariser_is_never_negative_and_0_where_all_scores_are_equal(whole: bool):
    pairs = nt_xent(unit(6, 4, seed=1), unit(6, 4, seed=2), NTXent()).pairs[0]
    assert (spread(pairs, whole) > 0).any()
    assert (spread(pairs, whole) >= 0).all()
    level = unit(1, 4).expand(6, 4)
    assert spread(nt_xent(level, level, NTXent()).pairs[0], whole).abs().max() < 1e-12


def test_a_prediction_that_is_the_same_for_all_shares_no_information():
    same = [normal(1, 4, seed=seed).expand(7, 4) for seed in (1, 2)]
    assert vclub(unit(7, 4), *same, p=VCLUB()).total().item() == pytest.approx(0, abs=1e-12)
    known = unit(7, 4)
    assert vclub(known, known, torch.zeros(7, 4).double(), p=VCLUB()).total() > 0.5


def test_the_predictor_is_best_at_the_mean_and_the_variance_of_what_it_predicts():
    b = normal(50, 3)
    m = b.mean(dim=0).requires_grad_()
    v = b.var(dim=0, unbiased=False).log().requires_grad_()
    value = gaussian_fit(b, m.expand(50, 3), v.expand(50, 3), GaussianFit()).total()
    for gradient in torch.autograd.grad(value, (m, v)):
        torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)


def test_one_head_pays_as_much_for_itself_as_for_the_mean_of_all():
    a, b, said = unit(1, 6, 4, seed=1), unit(1, 6, 4, seed=2), torch.zeros(1, 1, 6, 4).double()
    once = info_nce(a[0], b[0], InfoNCE(temperature=0.02)).total()
    torch.testing.assert_close(pdf_mim(a, b, said, said, PDFMIM()).total(), 2 * once)


def test_every_two_heads_are_kept_independent_once():
    z, other = unit(3, 6, 4, seed=1), unit(3, 6, 4, seed=2)
    said = [normal(3, 3, 6, 4, seed=seed) for seed in (3, 4)]
    terms = pdf_mim(z, other, *said, p=PDFMIM(independence=2)).terms
    for m, n in ((0, 1), (0, 2), (1, 2)):
        alone = vclub(z[n], said[0][m, n], said[1][m, n], VCLUB()).total()
        torch.testing.assert_close(terms[f"dependence.{m}.{n}"].value(), 2 * alone)
    assert sum(name.startswith("dependence") for name in terms) == 3


def regressed(size: int = 6) -> Given:
    return {"a": unit(size, 4, seed=1), "b": unit(size, 4, seed=2), "targets": torch.arange(size).double()}


BARE = SupReMix(negatives_each=0, positives_each=0, distance=False)


def test_without_mixtures_and_distance_it_is_nt_xent_and_with_equal_targets_supcon():
    given, labels = regressed(), torch.tensor([0, 1, 0, 2, 1, 0])
    torch.testing.assert_close(paid(BARE, given), nt_xent(given["a"], given["b"], NTXent()).total())
    grouped = supcon(given["a"], given["b"], labels, SupCon(temperature=0.5)).total()
    torch.testing.assert_close(paid(BARE, given | {"targets": labels.double()}), grouped)


def test_the_further_a_target_the_more_it_costs_and_every_mixed_negative_costs_something():
    given = regressed()
    near, far = (
        paid(BARE.model_copy(update={"distance": True}), given | {"targets": given["targets"] * k}) for k in (1, 3)
    )
    assert paid(BARE, given) < near < far
    some, all_of_them = (paid(BARE.model_copy(update={"negatives_each": k}), given) for k in (2, 64))
    assert paid(BARE, given) < some < all_of_them


def test_a_plan_makes_each_kind_of_mixture_for_every_anchor_and_draws_by_its_generator_alone():
    given, p = regressed(), SupReMix()
    made, again, other = (mix(given, p, stream(seed, "mix")) for seed in (0, 0, 1))
    assert all(torch.equal(made[name], again[name]) for name in made)
    assert not torch.equal(made["synthetic"], other["synthetic"])
    assert made["synthetic_shift"].eq(0).all()
    role, targets = made["synthetic_role"], made["synthetic_targets"]
    assert (role == 0).sum(dim=2).eq(10).all()
    assert (role[:, 1:-1] == 1).any(dim=2).all()
    own = given["targets"][None, :, None].expand_as(targets)
    torch.testing.assert_close(targets[role == 1], own[role == 1])
    assert (made["synthetic"].norm(dim=3) <= 1 + 1e-9).all()


@pytest.mark.parametrize(("own", "other"), [(2, 8), (8, 2), (5, 5), (1, 1)])
def test_the_shares_follow_the_beta_law(own: int, other: int):
    share, both = draw_shares(150, own, other, stream(0)), own + other
    assert 0 <= share.min() < share.max() <= 1
    assert share.mean().item() == pytest.approx(own / both, abs=0.005)
    assert share.var().item() == pytest.approx(own * other / (both**2 * (both + 1)), rel=0.05)


@pytest.mark.parametrize(("case", "value"), [("negonly_raw", 5.10182449), ("full_raw", 5.15186879)])
def test_with_the_stored_mixtures_the_formula_gives_its_own_value_and_as_released_another(case: str, value: float):
    z = load(HOME / "supremix.npz")
    a, b = z["N8_features"].unbind(1)
    stored = {"synthetic": "mixtures", "synthetic_targets": "mixlabel", "synthetic_role": "mask"}
    made = {name: z[f"N8_{case}_{key}"].double().unflatten(0, (2, 8)) for name, key in stored.items()}
    made |= {"synthetic_role": made["synthetic_role"].long(), "synthetic_shift": torch.zeros(2, 8).double()}
    clean = supremix(a, b, z["N8_labels"][:, 0].double(), **made, p=SupReMix()).total().item()
    assert clean == pytest.approx(value, abs=1e-8)
    assert abs(clean - float(z[f"N8_{case}_loss"])) > 0.05
