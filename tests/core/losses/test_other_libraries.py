"""Losses that pytorch-metric-learning has as well: what is paid, anchor by anchor, and every gradient.

Where the conventions differ, its numbers are converted in the open: it hands out one number for each pair or triplet.
"""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pytorch_metric_learning.distances import CosineSimilarity, DotProductSimilarity, LpDistance
from pytorch_metric_learning.losses import (
    AngularLoss,
    ArcFaceLoss,
    CircleLoss,
    ContrastiveLoss,
    CosFaceLoss,
    GeneralizedLiftedStructureLoss,
    LiftedStructureLoss,
    MultiSimilarityLoss,
    NCALoss,
    NormalizedSoftmaxLoss,
    NPairsLoss,
    NTXentLoss,
    ProxyAnchorLoss,
    ProxyNCALoss,
    SelfSupervisedLoss,
    SupConLoss,
    TripletMarginLoss,
    VICRegLoss,
)
from pytorch_metric_learning.miners import BatchEasyHardMiner, BatchHardMiner, MultiSimilarityMiner
from pytorch_metric_learning.reducers import DoNothingReducer
from pytorch_metric_learning.regularizers import LpRegularizer
from torch import Tensor

from core.losses.registry import LOSSES
from core.losses.scores import similarity
from core.procedures.hard_pairs import HardPairs, hard_pairs
from tests.core.losses.batches import Batch, example, leaves

Case = Callable[[Batch], tuple[Tensor, Tensor]]
B, K, V = 6, 4, 3
TAU = 0.3
HERE = torch.arange(B)
EMBEDDINGS = (
    "a",
    "b",
    "negatives",
    "joint",
    "modalities",
    "views",
    "teacher",
    "bank",
    "other_teacher",
    "other_bank",
    "proxies",
)
INPUTS = (*EMBEDDINGS, "labels", "clusters", "rehearsed", "node_weight")
CASES: dict[str, Case] = {}


def case(call: Case) -> Case:
    CASES[call.__name__] = call
    return call


def each(kind: type, *args: Any, like: Any = None, **settings: Any) -> Callable[..., Tensor]:
    """Their loss over inner products, or `like` another distance, unreduced."""
    compare = DotProductSimilarity(normalize_embeddings=False) if like is None else like
    loss = kind(*args, distance=compare, reducer=DoNothingReducer(), **settings)
    return lambda *given, **more: loss(*given, **more)["loss"]["losses"].flatten()


def euclidean(power: int = 1) -> LpDistance:
    return LpDistance(normalize_embeddings=False, p=2, power=power)


def nt_xents(z: Tensor, labels: Tensor, other: Tensor | None = None, other_labels: Tensor | None = None) -> Tensor:
    """One number for each positive pair, anchor by anchor."""
    return each(NTXentLoss, temperature=TAU)(z, labels, ref_emb=other, ref_labels=other_labels)


def one_way(a: Tensor, b: Tensor) -> Tensor:
    return nt_xents(a, HERE, b, HERE.clone())


def paid(key: str, x: Batch, *names: str, **settings: Any) -> Tensor:
    """What ours asks, each term times its weight."""
    entry = LOSSES[key]
    found = entry.call(**{name: x[name] for name in names}, p=entry.params(**settings))
    weighed = [t.per * (1 / len(t.per) if t.weight is None else t.weight) for t in found.terms.values()]
    return torch.cat(weighed)


def anchors(key: str, x: Batch, *names: str, **settings: Any) -> Tensor:
    """What each anchor pays, where there is one term."""
    entry = LOSSES[key]
    (term,) = entry.call(**{name: x[name] for name in names}, p=entry.params(**settings)).terms.values()
    assert term.weight is None
    return term.per


def off_diagonal() -> tuple[Tensor, Tensor]:
    """Anchor and negative of every pair that is none."""
    anchor, other = (~torch.eye(B, dtype=torch.bool)).nonzero().T
    return anchor, other


def triplets(x: Batch, **settings: Any) -> Tensor:
    """(B, B - 1) what they ask of every triplet of an anchor, its positive and another's."""
    anchor, other = off_diagonal()
    theirs = each(TripletMarginLoss, **settings)(x["a"], indices_tuple=(anchor, anchor, other), ref_emb=x["b"])
    return theirs.unflatten(0, (B, B - 1))


@case
def info_nce(x: Batch) -> tuple[Tensor, Tensor]:
    return anchors("info_nce", x, "a", "b", temperature=TAU), one_way(x["a"], x["b"])


@case
def info_nce_at_temperature_one_is_n_pairs(x: Batch) -> tuple[Tensor, Tensor]:
    """They pick the two items of each class themselves."""
    z, labels = torch.stack([x["a"], x["b"]], dim=1).flatten(0, 1), HERE.repeat_interleave(2)
    return anchors("info_nce", x, "a", "b", temperature=1), each(NPairsLoss)(z, labels)


@case
def info_nce_with_a_margin_is_cosface_over_the_batch(x: Batch) -> tuple[Tensor, Tensor]:
    return anchors("info_nce", x, "a", "b", temperature=TAU, margin=0.2), over_classes(CosFaceLoss, x, 0.2)


@case
def angular_is_arcface_over_the_batch(x: Batch) -> tuple[Tensor, Tensor]:
    """Short of a straight angle, past which the two are continued differently."""
    angle = torch.acos((x["a"] * x["b"]).sum(dim=1))
    assert (angle + 0.2 < torch.pi).all()
    return anchors("angular", x, "a", "b", temperature=TAU, margin=0.2), over_classes(
        ArcFaceLoss, x, 0.2 * 180 / torch.pi
    )


def over_classes(kind: type, x: Batch, margin: float) -> Tensor:
    """Their margin on a linear layer, with the positives in the place of the centres of the classes."""
    loss = kind(B, x["b"].shape[1], margin=margin, scale=1 / TAU, reducer=DoNothingReducer())
    del loss.W
    loss.W = x["b"].T
    loss.cast_types = lambda dtype, device: None
    return loss(x["a"], HERE)["loss"]["losses"]


def with_centres(kind: type, x: Batch, name: str, centres: Tensor, **settings: Any) -> Any:
    """What their loss says of a, its own centres under `name` replaced."""
    loss = kind(*x["proxies"].shape, reducer=DoNothingReducer(), **settings)
    delattr(loss, name)
    setattr(loss, name, centres)
    loss.cast_types = lambda dtype, device: None
    return {key: each["losses"] for key, each in loss(x["a"], x["labels"]).items() if torch.is_tensor(each["losses"])}


@case
def arcface(x: Batch) -> tuple[Tensor, Tensor]:
    settings = {"margin": 0.2 * 180 / torch.pi, "scale": 1 / TAU}
    theirs = with_centres(ArcFaceLoss, x, "W", x["proxies"].T, **settings)["loss"]
    return anchors("arcface", x, "a", "labels", "proxies", temperature=TAU, margin=0.2), theirs


@case
def cosface(x: Batch) -> tuple[Tensor, Tensor]:
    theirs = with_centres(CosFaceLoss, x, "W", x["proxies"].T, margin=0.2, scale=1 / TAU)["loss"]
    return anchors("cosface", x, "a", "labels", "proxies", temperature=TAU, margin=0.2), theirs


@case
def cosface_without_a_margin_is_the_normalised_softmax(x: Batch) -> tuple[Tensor, Tensor]:
    theirs = with_centres(NormalizedSoftmaxLoss, x, "W", x["proxies"].T, temperature=TAU)["loss"]
    return anchors("cosface", x, "a", "labels", "proxies", temperature=TAU, margin=0), theirs


@case
def proxy_nca_with_the_positive_below(x: Batch) -> tuple[Tensor, Tensor]:
    """Theirs has the positive in the denominator, as Proxy-NCA++."""
    theirs = with_centres(ProxyNCALoss, x, "proxies", x["proxies"], softmax_scale=1 / TAU)["loss"]
    return anchors("proxy_nca", x, "a", "labels", "proxies", temperature=TAU, below=True), theirs


@case
def proxy_nca(x: Batch) -> tuple[Tensor, Tensor]:
    """The share q of the positive in theirs is 1 / (1 + e^ours)."""
    theirs = with_centres(ProxyNCALoss, x, "proxies", x["proxies"], softmax_scale=1 / TAU)["loss"]
    return anchors("proxy_nca", x, "a", "labels", "proxies", temperature=TAU), torch.log(torch.expm1(theirs))


@case
def proxy_anchor(x: Batch) -> tuple[Tensor, Tensor]:
    theirs = with_centres(ProxyAnchorLoss, x, "proxies", x["proxies"], margin=0.2, alpha=1 / TAU)
    pull, push, there = theirs["pos_loss"].flatten(), theirs["neg_loss"].flatten(), len(x["labels"].unique())
    assert there < len(push), "a class is absent"
    ours = paid("proxy_anchor", x, "a", "labels", "proxies", temperature=TAU, margin=0.2)
    return ours, torch.cat([pull / there, push / len(push)])


@case
def clip(x: Batch) -> tuple[Tensor, Tensor]:
    both = torch.cat([one_way(x["a"], x["b"]), one_way(x["b"], x["a"])])
    return paid("clip", x, "a", "b", temperature=TAU), both / (2 * B)


@case
def sample4geo_without_smoothing(x: Batch) -> tuple[Tensor, Tensor]:
    both = torch.cat([one_way(x["a"], x["b"]), one_way(x["b"], x["a"])])
    return paid("sample4geo", x, "a", "b", temperature=TAU, smoothing=0), both / (2 * B)


@case
def pairwise_clip(x: Batch) -> tuple[Tensor, Tensor]:
    z = x["modalities"]
    rest = [sum(one_way(z[q], z[r]) for r in range(len(z)) if r != q) for q in range(len(z))]
    return paid("pairwise_clip", x, "modalities", temperature=TAU), torch.cat(rest) / (2 * B)


@case
def nt_xent(x: Batch) -> tuple[Tensor, Tensor]:
    return anchors("nt_xent", x, "a", "b", temperature=TAU), nt_xents(torch.cat([x["a"], x["b"]]), HERE.repeat(2))


@case
def nt_xent_of_views_that_supervise_each_other(x: Batch) -> tuple[Tensor, Tensor]:
    loss = NTXentLoss(temperature=TAU, distance=DotProductSimilarity(), reducer=DoNothingReducer())
    theirs = SelfSupervisedLoss(loss, symmetric=True)(x["a"], x["b"])["loss"]["losses"]
    return anchors("nt_xent", x, "a", "b", temperature=TAU), theirs


@case
def nt_xent_is_nca_where_everyone_has_one_neighbour(x: Batch) -> tuple[Tensor, Tensor]:
    """They leave minus the squared distance to the softmax: twice the cosine, less a constant."""
    theirs = each(NCALoss, softmax_scale=1 / (2 * TAU), like=euclidean(2))
    return anchors("nt_xent", x, "a", "b", temperature=TAU), theirs(torch.cat([x["a"], x["b"]]), HERE.repeat(2))


@case
def csgcl_without_team_up(x: Batch) -> tuple[Tensor, Tensor]:
    ours = anchors("csgcl", x, "a", "b", "node_weight", temperature=TAU, team_up=0)
    return ours, nt_xents(torch.cat([x["a"], x["b"]]), HERE.repeat(2))


@case
def dcl(x: Batch) -> tuple[Tensor, Tensor]:
    """Theirs has the positive below: log(1 + e^d), of which d is the inverse."""
    whole = nt_xents(torch.cat([x["a"], x["b"]]), HERE.repeat(2))
    return anchors("dcl", x, "a", "b", temperature=TAU), whole + torch.log(-torch.expm1(-whole))


@case
def gmc(x: Batch) -> tuple[Tensor, Tensor]:
    theirs = [nt_xents(torch.cat([x["joint"], z]), HERE.repeat(2)) / (2 * B) for z in x["modalities"]]
    return paid("gmc", x, "joint", "modalities", temperature=TAU), torch.cat(theirs)


@case
def mv_pvc(x: Batch) -> tuple[Tensor, Tensor]:
    pairs = nt_xents(x["views"].flatten(0, 1), HERE.repeat(V))
    return anchors("mv_pvc", x, "views", temperature=TAU), pairs.unflatten(0, (V * B, V - 1)).mean(dim=1)


@case
def mv_pwe(x: Batch) -> tuple[Tensor, Tensor]:
    z, found = x["views"], torch.zeros(V, B, dtype=torch.float64)
    for one in range(V):
        for other in range(one):
            pair = nt_xents(torch.cat([z[one], z[other]]), HERE.repeat(2)).unflatten(0, (2, B)) / (V - 1)
            found = found.index_add(0, torch.tensor([one, other]), pair)
    return anchors("mv_pwe", x, "views", temperature=TAU), found.flatten()


@case
def mv_avg(x: Batch) -> tuple[Tensor, Tensor]:
    z, every = x["views"], x["views"].sum(dim=0)
    theirs = [nt_xents(torch.cat([one, (every - one) / (V - 1)]), HERE.repeat(2)) for one in z]
    return paid("mv_avg", x, "views", temperature=TAU), torch.cat(theirs) / (2 * V * B)


@case
def lco_emb(x: Batch) -> tuple[Tensor, Tensor]:
    """The hard negatives of everyone are of a class that no anchor has."""
    candidates = torch.cat([x["b"], x["negatives"].flatten(0, 1)])
    labels = torch.cat([HERE, torch.full((B * K,), B)])
    return anchors("lco_emb", x, "a", "b", "negatives", temperature=TAU), nt_xents(x["a"], HERE, candidates, labels)


def against_a_bank(key: str) -> Case:
    def compared(x: Batch) -> tuple[Tensor, Tensor]:
        keys = torch.cat([x["teacher"], x["bank"]])
        pairs = (HERE, HERE, HERE.repeat_interleave(K), B + torch.arange(K).repeat(B))
        theirs = each(NTXentLoss, temperature=TAU)(x["a"], indices_tuple=pairs, ref_emb=keys)
        return anchors(key, x, "a", "teacher", "bank", temperature=TAU), theirs

    return compared


CASES |= {key: against_a_bank(key) for key in ("moco", "ts_moco")}


@case
def msd_momentum_without_distillation(x: Batch) -> tuple[Tensor, Tensor]:
    """Each side against the teacher's keys of the other, with those of a bank among the negatives."""
    names, labels = ("teacher", "other_teacher", "bank", "other_bank"), torch.cat([HERE, torch.full((K,), B)])
    sides = ((x["a"], "other_teacher", "other_bank"), (x["b"], "teacher", "bank"))
    both = [nt_xents(z, HERE, torch.cat([x[keys], x[kept]]), labels) for z, keys, kept in sides]
    ours = paid("msd_momentum", x, "a", "b", *names, temperature=TAU, distillation=0)
    return ours, torch.cat(both) / (2 * B)


@case
def hard_contrastive(x: Batch) -> tuple[Tensor, Tensor]:
    """The two hardest of five negatives, named to theirs as the only pairs."""
    scores = similarity(x["a"], x["b"]).detach().fill_diagonal_(-torch.inf)
    hard = scores.topk(2, dim=1).indices
    taken = {**x, "hardest": torch.zeros(B, B, dtype=torch.bool).scatter(1, hard, True)}
    pairs = (HERE, HERE, HERE.repeat_interleave(2), hard.flatten())
    theirs = each(NTXentLoss, temperature=TAU)(x["a"], indices_tuple=pairs, ref_emb=x["b"])
    return anchors("hard_contrastive", taken, "a", "b", "hardest", temperature=TAU), theirs


@case
def supcon(x: Batch) -> tuple[Tensor, Tensor]:
    theirs = each(SupConLoss, temperature=TAU)(torch.cat([x["a"], x["b"]]), x["labels"].repeat(2))
    return anchors("supcon", x, "a", "b", "labels", temperature=TAU), theirs


@case
def sbcl_with_the_plain_class_term(x: Batch) -> tuple[Tensor, Tensor]:
    z, classes = torch.cat([x["a"], x["b"]]), x["labels"].repeat(2)
    fine = each(SupConLoss, temperature=TAU)(z, classes * B + x["clusters"].repeat(2))
    coarse = each(SupConLoss, temperature=TAU)(z, classes)
    settings = {"temperature": TAU, "base_temperature": 0.1, "gamma": 0.4, "form": "plain"}
    theirs = torch.cat([TAU / 0.1 * fine, 0.4 * coarse]) / (2 * B)
    return paid("sbcl", x, "a", "b", "labels", "clusters", **settings), theirs


@case
def coconut_mm(x: Batch) -> tuple[Tensor, Tensor]:
    theirs, labels = each(SupConLoss, temperature=TAU), x["labels"]
    sides = ((x["a"], x["b"]), (x["b"], x["a"]))
    both = [theirs(z, labels, ref_emb=other, ref_labels=labels.clone()) / B for z, other in sides]
    return paid("coconut_mm", x, "a", "b", "labels", temperature=TAU), torch.cat(both)


@case
def coconut_ntpt(x: Batch) -> tuple[Tensor, Tensor]:
    """Theirs leaves an item's own place out where both sides share the labels; only rehearsed items are counted."""
    there = x["rehearsed"]
    theirs = each(SupConLoss, temperature=TAU)(x["a"], x["labels"], ref_emb=x["teacher"], ref_labels=x["labels"])
    ours = paid("coconut_ntpt", x, "a", "teacher", "labels", "rehearsed", temperature=TAU)
    return ours, theirs * there / there.sum()


@case
def triplet_over_all(x: Batch) -> tuple[Tensor, Tensor]:
    return anchors("triplet", x, "a", "b", over="sum", margin=0.4), triplets(x, margin=0.4, like=euclidean()).mean(
        dim=1
    )


@case
def triplet_over_squares(x: Batch) -> tuple[Tensor, Tensor]:
    ours = anchors("triplet", x, "a", "b", over="sum", squared=True, margin=0.4)
    return ours, triplets(x, margin=0.4, like=euclidean(2)).mean(dim=1)


@case
def triplet_over_the_nearest_that_they_mine(x: Batch) -> tuple[Tensor, Tensor]:
    mine = BatchHardMiner(distance=euclidean())
    found = mine(x["a"], HERE, ref_emb=x["b"], ref_labels=HERE.clone())
    assert torch.equal(found[0], HERE)
    theirs = each(TripletMarginLoss, margin=0.4, like=euclidean())
    return anchors("triplet", x, "a", "b", margin=0.4), theirs(x["a"], indices_tuple=found, ref_emb=x["b"])


def own_negatives(x: Batch, **settings: Any) -> Tensor:
    candidates = torch.cat([x["b"], x["negatives"].flatten(0, 1)])
    anchor = HERE.repeat_interleave(K)
    found = (anchor, anchor, B + torch.arange(B * K))
    theirs = each(TripletMarginLoss, **settings)(x["a"], indices_tuple=found, ref_emb=candidates)
    return theirs.unflatten(0, (B, K)).mean(dim=1)


@case
def triplet_with_own_negatives(x: Batch) -> tuple[Tensor, Tensor]:
    ours = anchors("triplet", x, "a", "b", "negatives", over="sum", margin=0.4)
    return ours, own_negatives(x, margin=0.4, like=euclidean())


@case
def bpr_is_the_smooth_triplet_over_inner_products(x: Batch) -> tuple[Tensor, Tensor]:
    return anchors("bpr", x, "a", "b", margin=0.1), triplets(x, margin=0.1, smooth_loss=True).mean(dim=1)


@case
def bpr_with_own_negatives(x: Batch) -> tuple[Tensor, Tensor]:
    ours = anchors("bpr", x, "a", "b", "negatives", margin=0.1)
    return ours, own_negatives(x, margin=0.1, smooth_loss=True)


@case
def ranking_is_the_triplet_over_inner_products_both_ways(x: Batch) -> tuple[Tensor, Tensor]:
    sides = (x, {"a": x["b"], "b": x["a"]})
    theirs = torch.cat([triplets(side, margin=0.4).sum(dim=1) for side in sides])
    return paid("ranking", x, "a", "b", margin=0.4), theirs / B**2


@case
def ranking_by_the_worst(x: Batch) -> tuple[Tensor, Tensor]:
    sides = (x, {"a": x["b"], "b": x["a"]})
    theirs = torch.cat([triplets(side, margin=0.4).amax(dim=1) for side in sides])
    return paid("ranking", x, "a", "b", margin=0.4, violation="max"), theirs / B**2


@case
def contrastive(x: Batch) -> tuple[Tensor, Tensor]:
    """They pay the distance and the hinge; Hadsell's loss is half their squares."""
    loss = ContrastiveLoss(neg_margin=1.5, distance=euclidean(), reducer=DoNothingReducer())
    found = loss(x["a"], HERE, ref_emb=x["b"], ref_labels=HERE.clone())
    near, far = (found[name]["losses"].square() / 2 for name in ("pos_loss", "neg_loss"))
    theirs = torch.cat([near, far.unflatten(0, (B, B - 1)).mean(dim=1)]) / B
    return paid("contrastive", x, "a", "b", margin=1.5), theirs


@case
def alignment(x: Batch) -> tuple[Tensor, Tensor]:
    return anchors("alignment", x, "a", "b"), euclidean(2)(x["a"], x["b"]).diagonal()


def both_views(x: Batch) -> tuple[Tensor, Tensor]:
    return torch.cat([x["a"], x["b"]]), x["labels"].repeat(2)


@case
def circle(x: Batch) -> tuple[Tensor, Tensor]:
    entry, plain = LOSSES["circle"], {"relaxation": 0.3, "gamma": 20}
    held = entry.complete({name: x[name] for name in entry.needed}, entry.params(**plain), torch.Generator())
    theirs = each(CircleLoss, m=0.3, gamma=20, like=CosineSimilarity())(*both_views(x))
    return anchors("circle", held, *held, **plain), theirs


def multi_similarities(x: Batch, mine: bool) -> tuple[Tensor, Tensor]:
    """They add up what an anchor pays for either side."""
    z, labels = both_views(x)
    ours = paid("multi_similarity", x, "a", "b", "labels", alpha=3, beta=20, base=0.4, mine=mine, epsilon=0.2)
    mined = MultiSimilarityMiner(epsilon=0.2)(z, labels) if mine else None
    theirs = each(MultiSimilarityLoss, alpha=3, beta=20, base=0.4)(z, labels, mined)
    return ours.unflatten(0, (2, 2 * B)).sum(dim=0), theirs / (2 * B)


@case
def multi_similarity(x: Batch) -> tuple[Tensor, Tensor]:
    return multi_similarities(x, mine=False)


@case
def multi_similarity_of_the_pairs_that_they_mine(x: Batch) -> tuple[Tensor, Tensor]:
    return multi_similarities(x, mine=True)


@case
def n_pair_with_its_lengths(x: Batch) -> tuple[Tensor, Tensor]:
    """They pick the two items of each class themselves, and regularise every embedding."""
    a, b = 1.5 * x["a"], 0.7 * x["b"]
    tuplets = each(NPairsLoss)(torch.stack([a, b], dim=1).flatten(0, 1), HERE.repeat_interleave(2))
    square = LpRegularizer(p=2, power=2, reducer=DoNothingReducer())
    length = sum(square(z)["loss"]["losses"] for z in (a, b))
    return paid("n_pair", {"a": a, "b": b}, "a", "b", l2=0.1), torch.cat([tuplets, 0.1 * length]) / B


@case
def lifted_structure(x: Batch) -> tuple[Tensor, Tensor]:
    """They ask every positive pair; an anchor has three."""
    theirs = each(LiftedStructureLoss, neg_margin=0.8, like=euclidean())(*both_views(x))
    ours = paid("lifted_structure", x, "a", "b", "labels", margin=0.8)
    return ours, theirs.unflatten(0, (2 * B, 3)).sum(dim=1) / (6 * B)


@case
def lifted_structure_generalised(x: Batch) -> tuple[Tensor, Tensor]:
    theirs = each(GeneralizedLiftedStructureLoss, neg_margin=0.8, like=euclidean())(*both_views(x))
    return anchors("lifted_structure", x, "a", "b", "labels", margin=0.8, form="generalised"), theirs


@case
def angular_triplet(x: Batch) -> tuple[Tensor, Tensor]:
    """Without N-pair, which is the second of ours."""
    theirs = each(AngularLoss, alpha=40, like=LpDistance())(torch.cat([x["a"], x["b"]]), HERE.repeat(2))
    return paid("angular_triplet", x, "a", "b", angle=40)[: 2 * B], theirs / (2 * B)


def batch_hards(x: Batch, miner: Any, smooth: bool, **settings: Any) -> tuple[Tensor, Tensor]:
    """An anchor for which they find no negative pays nothing."""
    z, labels = both_views(x)
    found = miner(z, labels)
    triplets = found if len(found) == 3 else (*found[:2], found[3])
    theirs = each(TripletMarginLoss, margin=0.3, smooth_loss=smooth, like=euclidean())(z, indices_tuple=triplets)
    every = torch.zeros(2 * B, dtype=theirs.dtype).index_add(0, triplets[0], theirs)
    return anchors("batch_hard", x, "a", "b", "labels", margin=0.3, soft=smooth, **settings), every


@case
def batch_hard(x: Batch) -> tuple[Tensor, Tensor]:
    return batch_hards(x, BatchHardMiner(distance=euclidean()), smooth=False)


@case
def batch_hard_with_a_soft_margin(x: Batch) -> tuple[Tensor, Tensor]:
    return batch_hards(x, BatchHardMiner(distance=euclidean()), smooth=True)


@case
def batch_hard_with_semi_hard_negatives(x: Batch) -> tuple[Tensor, Tensor]:
    mine = BatchEasyHardMiner(pos_strategy="hard", neg_strategy="semihard", distance=euclidean())
    return batch_hards(x, mine, smooth=False, mining="semi_hard")


@case
def vicreg(x: Batch) -> tuple[Tensor, Tensor]:
    """They hand out one number for all covariances."""
    ours, d = paid("vicreg", x, "a", "b", stretch=False, as_released=True), x["a"].shape[1]
    found = VICRegLoss(reducer=DoNothingReducer())(x["a"], ref_emb=x["b"])
    near, one, other, shared = (found[name]["losses"] for name in VICRegLoss()._sub_loss_names())
    return torch.cat([ours[:-d], ours[-d:].sum()[None]]), torch.cat([near / B, (one + other) / d, shared[None]])


def drawn(seed: int) -> Batch:
    """One of each input that is compared here, on the sphere where it is an embedding."""
    return leaves({name: example(name, seed) for name in INPUTS})


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", CASES)
def test_pays_and_pulls_as_pytorch_metric_learning_does(name: str, seed: int):
    x = drawn(seed)
    unit = x | {key: F.normalize(x[key], dim=-1) for key in EMBEDDINGS}
    ours, theirs = CASES[name](unit)
    exact = {"rtol": 1e-9, "atol": 1e-12}
    torch.testing.assert_close(ours, theirs, **exact)
    learning = [z for z in x.values() if z.requires_grad]
    upstream = torch.linspace(0.5, 1.5, len(ours), dtype=torch.float64)
    pulls = [
        torch.autograd.grad(side @ upstream, learning, allow_unused=True, retain_graph=True) for side in (ours, theirs)
    ]
    assert any(z is not None and z.abs().max() > 1e-3 for z in pulls[0])
    for mine, other in zip(*pulls, strict=True):
        torch.testing.assert_close(mine, other, **exact)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.integers(2, 7), st.integers(1, 5), st.floats(0, 0.9), st.integers(0, 10_000))
def test_with_pairs_left_out_theirs_is_told_of_the_others_alone(size: int, dims: int, share: float, seed: int):
    g = torch.Generator().manual_seed(seed)
    a, b = F.normalize(torch.randn(2, size, dims, generator=g, dtype=torch.float64), dim=2)
    exclude = torch.rand(size, size, generator=g) < share
    own = torch.eye(size, dtype=torch.bool)
    anchor, other = (~exclude & ~own).nonzero().T
    assume(len(anchor) > 0)
    exact, here = {"rtol": 1e-9, "atol": 1e-12}, torch.arange(size)
    count = torch.bincount(anchor, minlength=size)

    def ours(key: str, **knobs: Any) -> Tensor:
        entry = LOSSES[key]
        return entry.call(a, b, entry.params(**knobs), exclude=exclude).terms[""].per

    theirs = each(NTXentLoss, temperature=TAU)(a, indices_tuple=(here, here, anchor, other), ref_emb=b)
    torch.testing.assert_close(ours("info_nce", temperature=TAU), theirs, **exact)
    for key, knobs, more in (
        ("triplet", {"over": "sum", "margin": 0.4}, {"margin": 0.4, "like": euclidean()}),
        ("bpr", {"margin": 0.1}, {"margin": 0.1, "smooth_loss": True}),
    ):
        found = each(TripletMarginLoss, **more)(a, indices_tuple=(anchor, anchor, other), ref_emb=b)
        mean = torch.zeros(size, dtype=torch.float64).index_add(0, anchor, found) / count.clamp_min(1)
        torch.testing.assert_close(ours(key, **knobs), mean, **exact)
    item, every = here.repeat(2), torch.arange(2 * size)
    out = item[:, None] == item
    out[:size, size:] |= exclude
    out[size:, :size] |= exclude.T
    pairs = (every, every.roll(size), *(~out).nonzero().T)
    theirs = each(NTXentLoss, temperature=TAU)(torch.cat([a, b]), indices_tuple=pairs)
    torch.testing.assert_close(ours("nt_xent", temperature=TAU), theirs, **exact)


@pytest.mark.parametrize("seed", range(5))
def test_hard_pairs_are_those_that_their_miner_finds(seed: int):
    """Among items that all have a mate and a stranger."""
    z, labels = example("a", seed), example("labels", seed)
    anchor, positive, negative = BatchHardMiner(distance=DotProductSimilarity())(z, labels)
    assert torch.equal(anchor, HERE)
    found = hard_pairs(z, labels, HardPairs())
    assert torch.equal(found[0], positive)
    assert torch.equal(found[1], negative)
