"""What the losses over several modalities plan, and what they are equal to."""

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from core.losses.clip import Clip, clip
from core.losses.cwcl import CWCL, cwcl
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.lco_emb import LCOEmb, lco_emb
from core.losses.m3col import M3Col, MultiSClip, m3col, multi_sclip
from core.losses.registry import LOSSES
from core.losses.sample4geo import Sample4Geo, sample4geo
from core.losses.secla import SECLA, secla
from core.losses.symile import PairwiseClip, Symile, pairwise_clip, symile
from core.streams import stream
from tests.core.losses.batches import example


def planned(key: str, seed: int = 0, given: dict[str, Tensor] | None = None, **knobs: object) -> dict[str, Tensor]:
    entry = LOSSES[key]
    made = entry.complete(given or {}, entry.params(**knobs), stream(seed, "plan"))
    return {name: made[name] for name in entry.planned}


def nothing(count: int) -> Tensor:
    return torch.empty(count, count, 0, dtype=torch.int64)


def test_symile_shuffles_every_other_modality_in_an_order_of_its_own():
    z = torch.zeros(3, 50, 2)
    orders = planned("symile", given={"modalities": z})["shuffles"]
    assert orders.shape == (3, 3, 50)
    assert torch.equal(orders.sort(dim=-1).values, torch.arange(50).expand(3, 3, 50))
    assert len(orders.flatten(0, 1).unique(dim=0)) == 9
    assert torch.equal(orders, planned("symile", given={"modalities": z})["shuffles"])
    assert not torch.equal(orders, planned("symile", 1, {"modalities": z})["shuffles"])


@pytest.mark.parametrize("tau", [0.07, 1.0])
def test_symile_of_two_modalities_with_every_candidate_is_clip(tau: float):
    a, b = example("a", 0), example("b", 0)
    theirs = clip(a, b, Clip(temperature=tau, margin=0.2)).total()
    z = torch.stack([a, b])
    every = Symile(temperature=tau, margin=0.2, candidates="n_squared")
    assert_close(symile(z, nothing(2), every).total(), theirs)
    unmoved = torch.arange(len(a)).expand(2, 2, -1)
    assert_close(symile(z, unmoved, Symile(temperature=tau, margin=0.2)).total(), theirs)
    assert_close(pairwise_clip(z, PairwiseClip(temperature=tau, margin=0.2)).total(), theirs)


def test_a_dimension_turned_in_two_modalities_changes_nothing_for_symile_and_everything_for_pairs():
    z = example("modalities", 0)
    turned = z.clone()
    turned[0, :, 1] *= -1
    turned[2, :, 1] *= -1
    every = Symile(candidates="n_squared")
    assert_close(symile(turned, nothing(3), every).total(), symile(z, nothing(3), every).total())
    p = PairwiseClip()
    assert abs(pairwise_clip(turned, p).total() - pairwise_clip(z, p).total()) > 0.1


def test_pairwise_clip_adds_up_clip_over_the_three_pairs():
    z, exclude = example("modalities", 0), example("exclude", 0)
    both = exclude | exclude.T
    each = sum(clip(z[q], z[r], Clip(), exclude=both).total() for q, r in ((0, 1), (0, 2), (1, 2)))
    assert_close(pairwise_clip(z, PairwiseClip(), exclude=both).total(), each)


def test_what_two_modalities_tell_only_together_is_seen_by_symile_alone():
    """c = ab: each two are independent, so pairs score true and false tuples alike; the three score apart."""
    signs = torch.tensor([[a, b, a * b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)], dtype=torch.float64)
    z = signs.T[:, :, None]
    scores = symile(z, nothing(3), Symile(candidates="n_squared")).pairs[0].scores.reshape(3, 4, 4, 4)
    here = torch.arange(4)
    assert scores[:, here, here, here].eq(1).all()
    assert scores.mean() == 0
    for q, r in ((0, 1), (0, 2), (1, 2)):
        assert (z[q] * z[r]).mean() == 0


def test_cwcl_takes_its_own_first_side_for_the_frozen_one_unless_features_are_handed_in():
    a, b, teacher = (example(name, 0) for name in ("a", "b", "teacher"))
    assert torch.equal(planned("cwcl", given={"a": a, "b": b})["teacher"], a)
    assert torch.equal(planned("cwcl", given={"a": a, "b": b, "teacher": teacher})["teacher"], teacher)


def test_cwcl_of_items_that_the_frozen_side_finds_opposite_is_clip_in_both_directions():
    a, b, t = (example(name, 0)[:2] for name in ("a", "b", "teacher"))
    opposite = torch.stack([t[0], -t[0]])
    assert_close(cwcl(a, b, opposite, CWCL()).total(), 2 * clip(a, b, Clip()).total())


def test_cwcl_pulls_to_every_item_alike_where_the_frozen_side_finds_them_the_same():
    a, b, t = (example(name, 0) for name in ("a", "b", "teacher"))
    logits = a @ b.T / 0.07
    flat = -torch.log_softmax(logits, dim=1).mean(dim=1)
    assert_close(cwcl(a, b, t[:1].expand_as(t), CWCL(sharpness=9)).terms["a_to_b"].per, flat)


def test_sharpness_of_the_weights_leads_to_clip():
    a, b, t = (example(name, 0) for name in ("a", "b", "teacher"))
    hard = 2 * clip(a, b, Clip()).total()
    away = [float(abs(cwcl(a, b, t, CWCL(sharpness=s)).total() - hard)) for s in (1, 8, 50)]
    assert away == sorted(away, reverse=True)
    assert away[-1] < 0.1 * away[0]


def test_lco_emb_is_info_nce_in_which_the_hard_negatives_are_items_too():
    a, b, negatives = (example(name, 0) for name in ("a", "b", "negatives"))
    flat = negatives.flatten(0, 1)
    whole = info_nce(torch.cat([a, flat]), torch.cat([b, flat]), InfoNCE(temperature=0.03))
    paid = lco_emb(a, b, negatives, LCOEmb()).terms[""].per
    assert_close(paid, whole.terms[""].per[: len(a)])
    assert (paid >= info_nce(a, b, InfoNCE(temperature=0.03)).terms[""].per).all()


def test_sample4geo_without_smoothing_is_clip_and_smoothing_sets_where_it_stops():
    a, b = example("a", 0), example("b", 0)
    assert_close(sample4geo(a, b, Sample4Geo(smoothing=0)).total(), clip(a, b, Clip()).total())
    perfect = torch.eye(4, dtype=torch.float64)
    for smoothing, tau in ((0.1, 0.05), (0.1, 0.5), (0.4, 0.5)):
        z = perfect.clone().requires_grad_()
        p = Sample4Geo(smoothing=smoothing, temperature=tau)
        (force,) = torch.autograd.grad(sample4geo(z, perfect, p).total(), z)
        certain = 1 / (1 + 3 * torch.exp(torch.tensor(-1 / tau)))
        pulled = float(force.diagonal().mean()) < 0
        assert pulled == (float(certain) < 1 - smoothing + smoothing / 4)


def test_m3col_draws_a_partner_and_a_share_in_each_modality():
    z = {"modalities": torch.zeros(3, 4000, 1)}
    plan = planned("m3col", given=z)
    partners, shares = plan["partners"], plan["shares"]
    assert torch.equal(partners.sort(dim=1).values, torch.arange(4000).expand(3, -1))
    assert not torch.equal(partners[0], partners[1])
    assert 0 <= shares.min() < shares.max() <= 1
    assert all(torch.equal(plan[name], planned("m3col", given=z)[name]) for name in plan)


@pytest.mark.parametrize("alpha", [0.15, 1.0, 4.0])
def test_shares_of_m3col_have_the_moments_of_beta_and_some_items_are_left_alone(alpha: float):
    z = {"modalities": torch.zeros(1, 40_000, 1, dtype=torch.float64)}
    every = planned("m3col", given=z, alpha=alpha, chance=1)["shares"]
    variance = 1 / (4 * (2 * alpha + 1))
    assert abs(float(every.mean()) - 0.5) < 4 * (variance / 40_000) ** 0.5
    assert abs(float(every.var()) / variance - 1) < 0.05
    some = planned("m3col", given=z, alpha=alpha, chance=0.3)["shares"]
    assert abs(float((some < 1).double().mean()) / float((every < 1).double().mean()) - 0.3) < 0.02
    assert planned("m3col", given=z, alpha=alpha, chance=0)["shares"].eq(1).all()


def test_m3col_is_clip_where_nothing_is_mixed_or_everything_with_itself():
    z = example("modalities", 0)[:2]
    partners, shares = example("partners", 0)[:2], example("shares", 0)[:2]
    theirs = 2 * clip(z[0], z[1], Clip(temperature=0.1)).total()
    assert_close(m3col(z, partners, torch.ones_like(shares), M3Col()).total(), theirs)
    alone = torch.arange(z.shape[1]).expand(2, -1)
    assert_close(m3col(z, alone, shares, M3Col()).total(), theirs)
    assert abs(m3col(z, alone, shares, M3Col(as_released=True)).total() - theirs) > 0.1


def test_a_mixture_of_m3col_pulls_both_of_its_items_and_pushes_all_others():
    z = example("modalities", 0).requires_grad_()
    partners, shares = example("partners", 0), 0.5 + 0 * example("shares", 0)
    paid = m3col(z, partners, shares, M3Col(temperature=5))
    for q, pairs in enumerate(paid.pairs):
        (force,) = torch.autograd.grad(paid.total(), pairs.scores, retain_graph=True)
        asked = torch.eye(z.shape[1], dtype=torch.bool)
        asked[torch.arange(z.shape[1]), partners[q]] = True
        assert force[asked].max() < 0 < force[~asked].min()


def test_multi_sclip_is_clip_where_the_other_modality_holds_its_items_apart():
    a, apart = example("a", 0)[:5], torch.eye(5, dtype=torch.float64)
    p = MultiSClip(temperature=0.02)
    paid = multi_sclip(torch.stack([a, apart]), p)
    theirs = clip(a, apart, Clip(temperature=0.02)).total()
    assert_close(paid.terms["0.there"].value() + paid.terms["0.back"].value(), theirs)


def test_secla_of_bags_of_one_is_clip_in_both_directions():
    a, b = example("a", 0), example("b", 0)
    paid = secla(a[:, None], b[:, None], SECLA(temperature=0.07, alpha=10))
    assert_close(paid.total(), 2 * clip(a, b, Clip(temperature=0.07)).total())
    assert paid.terms["agree"].per.abs().max() < 1e-24


def test_absent_members_of_secla_have_no_part_whatever_stands_in_their_place():
    bags, tags = example("bags", 0), example("tags", 0)
    masks = {"bag_mask": example("bag_mask", 0), "tag_mask": example("tag_mask", 0)}
    other = [torch.where(m[..., None], x, 9.0) for x, m in zip((bags, tags), masks.values(), strict=True)]
    p = SECLA(agreement="full")
    assert_close(secla(*other, p, **masks).total(), secla(bags, tags, p, **masks).total())
    longer = [torch.cat([x, 7 + 0 * x[:, :2]], dim=1) for x in (bags, tags)]
    wider = {name: torch.nn.functional.pad(mask, (0, 2), value=False) for name, mask in masks.items()}
    assert_close(secla(*longer, p, **wider).total(), secla(bags, tags, p, **masks).total())


def test_secla_as_released_lets_an_absent_member_win_wherever_all_others_are_opposed():
    bag, tag = torch.tensor([[[-1.0], [0.0]]]), torch.tensor([[[1.0]]])
    mask = torch.tensor([[True, False]])
    fair, released = (secla(bag, tag, SECLA(as_released=x), bag_mask=mask).pairs for x in (False, True))
    assert [float(pairs.scores) for pairs in fair] == [-1, -1]
    assert [float(pairs.scores) for pairs in released] == [0, -0.5]


def test_secla_takes_the_members_of_a_bag_in_any_order():
    bags, tags = example("bags", 0), example("tags", 0)
    p = SECLA()
    assert_close(secla(bags.flip(1), tags.roll(1, dims=1), p).total(), secla(bags, tags, p).total())
