"""Where a loss with one part taken out is another one: both pay the same, and move their inputs alike.

Relations that are told by their formulas alone stand in `test_closed_forms`; those of plans beside the plans.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.registry import LOSSES
from core.procedures.hard_pairs import HardPairs, hard_pairs
from tests.core.losses.batches import Batch, example, leaves

Case = Callable[[Batch], tuple[Tensor, Tensor]]
B, TAU = 6, 0.3
HERE = torch.arange(B)
CASES: dict[str, Case] = {}


def case(call: Case) -> Case:
    CASES[call.__name__] = call
    return call


def total(key: str, settings: dict[str, Any] | None = None, **given: Tensor) -> Tensor:
    entry = LOSSES[key]
    return entry.call(**given, p=entry.params(**(settings or {}))).total()


def pairs(x: Batch) -> Batch:
    return {"a": x["a"], "b": x["b"]}


@case
def csgcl_without_team_up_is_nt_xent(x: Batch) -> tuple[Tensor, Tensor]:
    plain = {"temperature": TAU, "margin": 0.2}
    ours = total("csgcl", {**plain, "team_up": 0}, **pairs(x), node_weight=x["node_weight"])
    return ours, total("nt_xent", plain, **pairs(x))


@case
def csgcl_of_one_community_is_nt_xent(x: Batch) -> tuple[Tensor, Tensor]:
    ours = total("csgcl", {"temperature": TAU, "team_up": 3}, **pairs(x), node_weight=torch.full((B,), 0.4))
    return ours, total("nt_xent", {"temperature": TAU}, **pairs(x))


@case
def pot_gcl_without_its_regulariser_is_nt_xent(x: Batch) -> tuple[Tensor, Tensor]:
    plain = {"temperature": TAU, "margin": 0.2}
    ours = total("pot_gcl", {**plain, "regulariser": 0}, **pairs(x), compactness=x["compactness"])
    return ours, total("nt_xent", plain, **pairs(x))


@case
def local_global_of_two_views_and_no_shared_part_is_nt_xent_twice(x: Batch) -> tuple[Tensor, Tensor]:
    ours = total("local_global", {"temperature": TAU}, views=torch.stack([x["a"], x["b"]]), labels=HERE)
    return ours, 2 * total("nt_xent", {"temperature": TAU}, **pairs(x))


@case
def local_global_of_more_views_is_each_pair_against_all_views(x: Batch) -> tuple[Tensor, Tensor]:
    ours = total("local_global", {"temperature": TAU}, views=x["views"], labels=HERE)
    return ours, 2 * total("mv_pvc", {"temperature": TAU}, views=x["views"])


@case
def local_regions_that_all_meet_are_nt_xent_of_the_places_of_one_map(x: Batch) -> tuple[Tensor, Tensor]:
    """Four places of a map, each with the three others as its negatives in both views."""
    maps, other = x["maps"][:1], x["other_maps"][:1]
    places = torch.tensor([[0, 0], [1, 3], [2, 1], [3, 2]])
    others = torch.stack([places[torch.arange(4) != i] for i in range(4)])
    ours = total(
        "local_regions", {"temperature": TAU, "side": 1}, maps=maps, other_maps=other, regions=places, rivals=others
    )
    a, b = (F.normalize(z[0, :, places[:, 0], places[:, 1]].T, dim=1) for z in (maps, other))
    return ours, 2 * total("nt_xent", {"temperature": TAU}, a=a, b=b)


@case
def autotcl_without_windows_is_info_nce_of_the_largest_values(x: Batch) -> tuple[Tensor, Tensor]:
    series = {name: x[name] for name in ("sequence", "other_sequence")}
    ours = total("autotcl", {"temperature": TAU, "local": 0}, **series, window_start=torch.tensor(0))
    a, b = (F.normalize(z.amax(dim=1), dim=1) for z in series.values())
    return ours, total("info_nce", {"temperature": TAU}, a=a, b=b)


@case
def series_of_one_step_are_nt_xent(x: Batch) -> tuple[Tensor, Tensor]:
    series = {"sequence": x["a"][:, None], "other_sequence": x["b"][:, None]}
    return total("ts_forecast", {"temperature": TAU, "alpha": 1}, **series), total(
        "nt_xent", {"temperature": TAU}, **pairs(x)
    )


@case
def series_with_a_bank_are_moco(x: Batch) -> tuple[Tensor, Tensor]:
    given = {name: x[name] for name in ("a", "teacher", "bank")}
    plain = {"temperature": TAU, "margin": 0.2}
    unit = given | {"a": F.normalize(x["a"], dim=1)}
    return total("ts_moco", {**plain, "normalise": True}, **given), total("moco", plain, **unit)


@case
def moco_whose_bank_is_the_rest_of_the_batch_is_info_nce(x: Batch) -> tuple[Tensor, Tensor]:
    plain, each = {"temperature": TAU, "margin": 0.2}, []
    for i in range(B):
        own = i == HERE
        each.append(total("moco", plain, a=x["a"][own], teacher=x["b"][own], bank=x["b"][~own]))
    return torch.stack(each).mean(), total("info_nce", plain, **pairs(x))


@case
def whitening_that_changes_nothing_leaves_info_nce_of_centred_views(x: Batch) -> tuple[Tensor, Tensor]:
    views = torch.stack([x["a"], x["b"]])
    same = torch.eye(views.shape[2], dtype=torch.float64).expand(2, -1, -1)
    order = torch.arange(views.shape[2]).expand(2, -1)
    ours = total("whitenedcse", {"temperature": TAU}, views=views, channel_orders=order, whitening=same)
    a, b = F.normalize(views - views.mean(dim=1, keepdim=True), dim=2)
    return ours, total("info_nce", {"temperature": TAU}, a=a, b=b)


@case
def ntpt_without_a_teacher_is_supcon(x: Batch) -> tuple[Tensor, Tensor]:
    """All items are rehearsed, and the model of the task before is this one."""
    z, labels = torch.cat([x["a"], x["b"]]), x["labels"].repeat(2)
    given = {"a": z, "teacher": z, "labels": labels, "rehearsed": torch.ones(2 * B, dtype=torch.bool)}
    plain = {"temperature": TAU}
    return total("coconut_ntpt", plain, **given), total("supcon", plain, **pairs(x), labels=x["labels"])


@case
def nspt_without_a_teacher_is_ntpt(x: Batch) -> tuple[Tensor, Tensor]:
    given = {"a": x["a"], "teacher": x["a"], "labels": x["labels"], "rehearsed": x["rehearsed"]}
    plain = {"temperature": TAU}
    return total("coconut_nspt", plain, **given), total("coconut_ntpt", plain, **given)


@case
def contrastive_without_a_margin_is_half_of_alignment(x: Batch) -> tuple[Tensor, Tensor]:
    unit = {name: F.normalize(z, dim=1) for name, z in pairs(x).items()}
    return total("contrastive", {"margin": 0}, **unit), total("alignment", **unit) / 2


@case
def coot_with_nothing_but_its_cycles_is_cycle(x: Batch) -> tuple[Tensor, Tensor]:
    nothing = dict.fromkeys(("high", "low", "context", "cluster_high", "cluster_low"), 0)
    bags = {name: x[name] for name in ("bags", "other_bags", "bag_mask")}
    return total("coot", {**nothing, "cycle": 1}, **pairs(x), **bags), total("cycle", **bags)


@case
def n_pair_without_its_lengths_is_info_nce_at_temperature_one(x: Batch) -> tuple[Tensor, Tensor]:
    ours = total("n_pair", {"l2": 0, "margin": 0.2}, **pairs(x))
    return ours, total("info_nce", {"temperature": 1, "margin": 0.2}, **pairs(x))


@case
def n_pair_of_one_negative_is_bpr(x: Batch) -> tuple[Tensor, Tensor]:
    given = pairs(x) | {"negatives": x["negatives"][:, :1]}
    return total("n_pair", {"l2": 0, "margin": 0.2}, **given), total("bpr", {"margin": 0.2}, **given)


@case
def circle_of_equal_weights_is_nt_xent_with_a_margin(x: Batch) -> tuple[Tensor, Tensor]:
    same = torch.ones(2, B, 2, B, dtype=torch.float64)
    ours = total("circle", {"relaxation": 0.4, "gamma": 1 / TAU}, **pairs(x), labels=HERE, pair_weight=same)
    return ours, total("nt_xent", {"temperature": TAU, "margin": 0.2}, **pairs(x))


def one_rival(x: Batch) -> Batch:
    """Two items; each view is to be told from the same view of the other."""
    return {"a": x["a"][:2], "b": x["b"][:2], "labels": HERE[:2], "exclude": ~torch.eye(2, dtype=torch.bool)}


@case
def multi_similarity_of_one_positive_and_one_negative_is_siglip(x: Batch) -> tuple[Tensor, Tensor]:
    given, own = one_rival(x), torch.eye(4, dtype=torch.bool)
    z, other = (torch.cat([given[one], given[two]]) for one, two in ("ab", "ba"))
    theirs = total("siglip", {"temperature": TAU, "bias": -0.4 / TAU}, a=z, b=other, exclude=~(own | own.flip(0)))
    return total("multi_similarity", {"alpha": 1 / TAU, "beta": 1 / TAU, "base": 0.4}, **given), TAU * theirs


@case
def generalised_lifted_structure_of_one_positive_and_one_negative_is_batch_hard(x: Batch) -> tuple[Tensor, Tensor]:
    ours = total("lifted_structure", {"margin": 0.9, "form": "generalised"}, **one_rival(x))
    return ours, total("batch_hard", {"margin": 0.9}, **one_rival(x))


@case
def batch_hard_of_items_is_triplet_over_the_nearest_of_both_views(x: Batch) -> tuple[Tensor, Tensor]:
    z, other = torch.cat([x["a"], x["b"]]), torch.cat([x["b"], x["a"]])
    itself = torch.eye(2 * B, dtype=torch.bool).roll(B, dims=1)
    theirs = total("triplet", {"margin": 0.4}, a=z, b=other, exclude=itself)
    return total("batch_hard", {"margin": 0.4}, **pairs(x), labels=HERE), theirs


@case
def batch_hard_is_triplet_of_the_hardest_pairs(x: Batch) -> tuple[Tensor, Tensor]:
    z, labels = torch.cat([x["a"], x["b"]]), x["labels"].repeat(2)
    far, near = hard_pairs(z, labels, HardPairs())
    theirs = total("triplet", {"margin": 0.4}, a=z, b=z[far], negatives=z[near][:, None])
    return total("batch_hard", {"margin": 0.4}, **pairs(x), labels=x["labels"]), theirs


@case
def angular_loss_with_n_pair_is_both(x: Batch) -> tuple[Tensor, Tensor]:
    beside = total("angular_triplet", **pairs(x)) + 0.5 * total("nt_xent", {"temperature": 1}, **pairs(x))
    return total("angular_triplet", {"n_pair": 0.5}, **pairs(x)), beside


def in_front(scores: Tensor) -> Tensor:
    """(B, B) each row with its own candidate first."""
    order = torch.stack([torch.cat([HERE[i : i + 1], HERE[i != HERE]]) for i in range(B)])
    return scores.gather(1, order)


@case
def reranking_the_batch_by_a_softmax_is_info_nce(x: Batch) -> tuple[Tensor, Tensor]:
    ours = total("rerank_cl", candidate_scores=in_front(x["a"] @ x["b"].T / TAU))
    return ours, total("info_nce", {"temperature": TAU}, **pairs(x))


@case
def reranking_the_batch_by_yes_or_no_is_siglip(x: Batch) -> tuple[Tensor, Tensor]:
    """The bias of a logit is what no gets."""
    yes = in_front(x["a"] @ x["b"].T / TAU)
    ours = total("rerank_sft", {"reduction": "sum"}, candidate_scores=yes, refusal_scores=torch.full_like(yes, 2.5))
    return ours, total("siglip", {"temperature": TAU, "bias": -2.5}, **pairs(x))


@case
def dcd_under_a_teacher_in_doubt_of_everything_is_reranking(x: Batch) -> tuple[Tensor, Tensor]:
    scores = x["candidate_scores"]
    given = {"teacher_scores": torch.zeros_like(scores), "query_weight": torch.ones(len(scores))}
    ours = total("dcd", {"distillation": 0}, candidate_scores=scores, **given)
    return ours, total("rerank_sft", candidate_scores=scores, refusal_scores=torch.zeros_like(scores))


@case
def dcd_of_soft_labels_without_distillation_is_reranking_by_a_softmax(x: Batch) -> tuple[Tensor, Tensor]:
    scores = x["candidate_scores"]
    given = {"teacher_scores": x["teacher_scores"], "query_weight": torch.ones(len(scores))}
    ours = total("dcd", {"distillation": 0, "form": "soft_label"}, candidate_scores=scores, **given)
    return ours, total("rerank_cl", candidate_scores=scores)


@case
def arcface_without_a_margin_is_cosface(x: Batch) -> tuple[Tensor, Tensor]:
    given = {name: x[name] for name in ("a", "labels", "proxies")}
    plain = {"temperature": TAU, "margin": 0}
    return total("arcface", plain, **given), total("cosface", plain, **given)


@case
def proxy_nca_with_the_positive_below_is_cosface_at_half_the_temperature(x: Batch) -> tuple[Tensor, Tensor]:
    given = {name: x[name] for name in ("a", "labels", "proxies")}
    ours = total("proxy_nca", {"temperature": TAU, "below": True}, **given)
    return ours, total("cosface", {"temperature": TAU / 2, "margin": 0}, **given)


@case
def cosface_of_centres_that_are_the_positives_is_info_nce(x: Batch) -> tuple[Tensor, Tensor]:
    """Every item is a class of its own, and its positive the centre."""
    settings = {"temperature": TAU, "margin": 0.2}
    return total("cosface", settings, a=x["a"], labels=HERE, proxies=x["b"]), total("info_nce", settings, **pairs(x))


@case
def debiased_without_false_negatives_is_nt_xent(x: Batch) -> tuple[Tensor, Tensor]:
    plain = {"temperature": TAU, "margin": 0.2}
    return total("debiased", {**plain, "tau_plus": 0}, **pairs(x)), total("nt_xent", plain, **pairs(x))


@case
def hcl_of_equal_negatives_is_debiased(x: Batch) -> tuple[Tensor, Tensor]:
    plain = {"temperature": TAU, "margin": 0.2, "tau_plus": 0.15}
    return total("hcl", {**plain, "beta": 0}, **pairs(x)), total("debiased", plain, **pairs(x))


@case
def align_uniform_without_its_push_is_alignment(x: Batch) -> tuple[Tensor, Tensor]:
    return total("align_uniform", {"uniformity": 0}, **pairs(x)), total("alignment", **pairs(x))


@case
def vicreg_of_nothing_but_invariance_is_alignment(x: Batch) -> tuple[Tensor, Tensor]:
    unit = {name: F.normalize(z, dim=1) for name, z in pairs(x).items()}
    return total("vicreg", {"invariance": 1, "variance": 0, "covariance": 0}, **unit), total("alignment", **unit)


@case
def barlow_twins_of_equal_sides_is_the_covariance_of_vicreg(x: Batch) -> tuple[Tensor, Tensor]:
    """Of standardised dimensions, so long that what is added to a variance does not count."""
    z = x["a"]
    ours = total("barlow_twins", {"redundancy": 1}, a=1e4 * z, b=1e4 * z)
    standard = (z - z.mean(dim=0)) / z.std(dim=0)
    covariance = {"invariance": 0, "variance": 0, "covariance": 1, "stretch": False}
    return ours, z.shape[1] / 2 * total("vicreg", covariance, a=standard, b=standard)


@case
def w_mse_that_only_centres_is_alignment(x: Batch) -> tuple[Tensor, Tensor]:
    views = torch.stack([x["a"], x["b"]])
    a, b = F.normalize(views - views.mean(dim=1, keepdim=True), dim=2)
    return total("w_mse", {"shrink": 1}, views=views, turns=HERE[None]), total("alignment", a=a, b=b)


def predictions(x: Batch) -> Batch:
    return {"predicted": x["a"] @ x["predictor"].T, "other_predicted": x["b"] @ x["predictor"].T}


@case
def byol_whose_teacher_is_the_network_is_simsiam_four_times_and_four(x: Batch) -> tuple[Tensor, Tensor]:
    held = {"fixed": x["teacher"], "other_fixed": x["other_teacher"]}
    ours = total("byol", **predictions(x), teacher=x["teacher"], other_teacher=x["other_teacher"])
    return ours, 4 + 4 * total("simsiam", **predictions(x), **held)


@case
def byol_by_a_linear_predictor_is_directpred(x: Batch) -> tuple[Tensor, Tensor]:
    taught = {name: x[name] for name in ("teacher", "other_teacher")}
    ours = total("byol", {"standardise": False}, **predictions(x), **taught)
    return ours, 4 + total("directpred", **pairs(x), **taught, predictor=x["predictor"])


PAIRS = ("a", "b", "negatives", "views", "bank", "rehearsed", "node_weight", "compactness")
FORETOLD = ("teacher", "other_teacher", "predictor")
CLASSES = ("labels", "proxies")
WHOLES = ("sequence", "other_sequence", "maps", "other_maps", "bags", "other_bags", "bag_mask")
SCORES = ("candidate_scores", "teacher_scores")


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", CASES)
def test_the_two_pay_and_move_alike(name: str, seed: int):
    x = leaves({name: example(name, seed) for name in (*PAIRS, *FORETOLD, *CLASSES, *WHOLES, *SCORES)})
    both = CASES[name](x)
    exact = {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(*both, **exact)
    learning = [z for z in x.values() if z.requires_grad]
    ours, theirs = (
        torch.autograd.grad(z, learning, allow_unused=True, materialize_grads=True, retain_graph=True) for z in both
    )
    assert max(float(z.abs().max()) for z in theirs) > 1e-3
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, **exact)


def test_regions_of_a_map_keep_inside_it_and_each_meets_the_nearest_others():
    entry, maps = LOSSES["local_regions"], example("maps", 0).new_zeros(2, 3, 15, 11)
    for side in (1, 3, 5):
        p = entry.params(side=side)
        made = entry.complete({"maps": maps, "other_maps": maps}, p, torch.Generator())
        regions, rivals = made["regions"], made["rivals"]
        assert (regions >= 0).all()
        assert (regions + side <= torch.tensor([15, 11])).all()
        assert len(regions.unique(dim=0)) == len(regions) == 13
        assert regions.amin(dim=0).tolist() == [0, 0]
        assert regions.amax(dim=0).tolist() == [15 - side, 11 - side]
        known = regions.tolist()
        for own, others in zip(known, rivals.tolist(), strict=True):
            assert own not in others
            assert len(others) == 5
            assert all(other in known for other in others)
