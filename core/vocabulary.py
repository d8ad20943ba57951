"""One vocabulary of named inputs: a loss's signature is the declaration of what it needs.

Sizes: B items in the batch, D dimensions, V views, M modalities, C classes or heads, K negatives or bank entries,
T time steps, P classes with a centre each, H and W of a map, n members of a bag, N and Q candidates and queries,
A anchors.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

Sizes = Mapping[str, int]
SMALL: Sizes = {
    "A": 6, "B": 6, "C": 3, "D": 5, "H": 4, "K": 4, "M": 3, "N": 4, "P": 4, "Q": 3, "T": 7, "V": 3, "W": 4, "n": 4,
}  # fmt: skip


@dataclass(frozen=True)
class Slot:
    """A named input: its shape in symbols, what it means, and a maker of a small random example (float64 or int64).

    `constant`: no gradient flows into it. `places`: the symbol whose rows its whole numbers name, where they do.
    """

    shape: str
    meaning: str
    example: Callable[[tuple[int, ...], Generator], Tensor]
    constant: bool = False
    places: str = ""

    def make(self, g: Generator, sizes: Sizes = SMALL) -> Tensor:
        shape = tuple(sizes[symbol] if symbol in sizes else int(symbol) for symbol in self.shape.split())
        value = self.example(shape, g)
        return value % sizes[self.places] if self.places else value


def _unit(shape: tuple[int, ...], g: Generator) -> Tensor:
    return F.normalize(torch.randn(shape, generator=g, dtype=torch.float64), dim=-1)


def _normal(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.randn(shape, generator=g, dtype=torch.float64)


def _share(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.rand(shape, generator=g, dtype=torch.float64)


def _classes(shape: tuple[int, ...], g: Generator) -> Tensor:
    """Two items of each class, so that every anchor has a positive beside itself."""
    return (torch.arange(shape[0]) // 2)[torch.randperm(shape[0], generator=g)]


def _graph(shape: tuple[int, ...], g: Generator) -> Tensor:
    upper = torch.triu(torch.rand(shape, generator=g) < 0.4, diagonal=1)
    return (upper | upper.T).double()


def _present(shape: tuple[int, ...], g: Generator) -> Tensor:
    """At least the first entry of each row is present."""
    mask = torch.rand(shape, generator=g) < 0.7
    mask[..., 0] = True
    return mask


def _places(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.randint(0, SMALL["n"], shape, generator=g)


def _item(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.randperm(shape[0], generator=g)


def _orders(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.rand(shape, generator=g).argsort(dim=-1)


def _place_in_bank(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.randint(0, SMALL["K"], shape, generator=g)


def _step(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.randint(0, SMALL["T"], shape, generator=g)


def _corner(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.randint(0, 2, shape, generator=g)


def _rows(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.softmax(torch.randn(shape, generator=g, dtype=torch.float64), dim=-1)


def _mixed_role(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.randint(-1, 2, shape, generator=g)


def _moments(shape: tuple[int, ...], g: Generator) -> Tensor:
    """Any roles, but the last sequence ends with two points and begins with what they are told from."""
    role = _mixed_role(shape, g)
    role[:, -1, 0], role[:, -1, -2:] = -1, 1
    return role


def _mask(shape: tuple[int, ...], g: Generator) -> Tensor:
    return torch.rand(shape, generator=g) < 0.4


def _stretch(shape: tuple[int, ...], g: Generator) -> Tensor:
    return 1 + _share(shape, g)


def _positive(shape: tuple[int, ...], g: Generator) -> Tensor:
    return 0.1 + _share(shape, g)


def _one_other(shape: tuple[int, ...], g: Generator) -> Tensor:
    """One candidate of each anchor, never its own."""
    anchor = torch.arange(shape[0])
    other = (anchor + torch.randint(1, shape[1], (shape[0],), generator=g)) % shape[1]
    return torch.zeros(shape, dtype=torch.bool).index_put_((anchor, other), torch.tensor(True))


VOCABULARY: Mapping[str, Slot] = {
    "a": Slot("B D", "embedding of each anchor", _unit),
    "b": Slot("B D", "embedding of each anchor's positive, row by row", _unit),
    "views": Slot("V B D", "embeddings of several views of each item", _unit),
    "modalities": Slot("M B D", "embeddings of each modality of each item, in the order of the data set's", _unit),
    "joint": Slot("B D", "embedding of each item from all its modalities together", _unit),
    "context": Slot("B D", "embedding of the context of each anchor", _unit),
    "other_context": Slot("B D", "embedding of the context of each anchor's positive; with `context` only", _unit),
    "heads": Slot("C B D", "embeddings under several heads", _unit),
    "negatives": Slot("B K D", "embeddings of each anchor's own negatives", _unit),
    "labels": Slot("B", "class of each item", _classes),
    "proxies": Slot("P D", "embedding that stands for each class, learned along", _unit),
    "targets": Slot("B", "continuous target of each item", _normal),
    "bank": Slot("K D", "embeddings kept from earlier steps, without gradient", _unit, constant=True),
    "bank_labels": Slot("K", "class of each entry of the bank", _classes),
    "teacher": Slot("B D", "embedding by the teacher, without gradient", _unit, constant=True),
    "sequence": Slot("B T D", "embedding of each time step", _unit),
    "mask": Slot("B T", "which time steps are present", _present),
    "maps": Slot("B C H W", "feature maps", _normal),
    "bags": Slot("B n D", "embeddings of the members of each bag, of any length", _normal),
    "other_bags": Slot("B n D", "embeddings of the members' counterparts, in the same order, of any length", _normal),
    "bag_mask": Slot("B n", "which members, and their counterparts, are present; one a bag at least", _present),
    "tags": Slot("B N D", "embeddings of what a bag's members may be, of any length", _normal),
    "tag_mask": Slot("B N", "which tags of each bag are present; one a bag at least", _present),
    "partner": Slot("B", "the item that is mixed into each", _item, constant=True, places="B"),
    "share": Slot("B", "share of each item in its own mixture, between 0 and 1", _share, constant=True),
    "shuffles": Slot("M M B", "order of the items of one modality for the anchors of another", _orders, True, "B"),
    "partners": Slot("M B", "the item that is mixed into each, in each modality", _orders, True, "B"),
    "shares": Slot("M B", "share of each item in its own mixture, in each modality, from 0 to 1", _share, True),
    "picks": Slot("B N", "places in the bank, chosen for each anchor", _place_in_bank, constant=True, places="K"),
    "other_picks": Slot("B N", "the place that each pick is mixed with", _place_in_bank, constant=True, places="K"),
    "pick_share": Slot("B N", "share of each pick in its mixture, between 0 and 1", _share, constant=True),
    "own_picks": Slot("B N", "places in the bank, each mixed with the anchor", _place_in_bank, True, "K"),
    "own_share": Slot("B N", "share of the anchor in its own mixtures, between 0 and 1", _share, constant=True),
    "fixed": Slot("B D", "embedding of each anchor as it stands, without gradient", _unit, constant=True),
    "other_fixed": Slot("B D", "embedding of each positive as it stands, without gradient", _unit, constant=True),
    "fixed_views": Slot("V B D", "embeddings of the views as they stand, without gradient", _unit, constant=True),
    "neighbours": Slot("B K", "entries of the bank that are further positives of each anchor", _mask, constant=True),
    "stretch": Slot("B D", "by how much each coordinate of a pair is drawn apart, 1 for not at all", _stretch, True),
    "bank_partner": Slot("K", "the entry that is mixed into each of the bank", _item, constant=True, places="K"),
    "bank_share": Slot("K D", "share of each coordinate of the bank in its mixture", _share, constant=True),
    "memory": Slot("K D", "embeddings of every item as last seen, without gradient", _unit, constant=True),
    "memory_clusters": Slot("K", "cluster of each entry of the memory", _classes, constant=True),
    "memory_positive": Slot("B", "place in the memory of each anchor's positive", _place_in_bank, True, "K"),
    "memory_picks": Slot("B N", "places in the memory, chosen for each anchor", _place_in_bank, True, "K"),
    "memory_neighbours": Slot("V B N", "places in the bank, chosen for each view", _place_in_bank, True, "K"),
    "projections": Slot("V B D", "embeddings of the views before the predictor", _unit),
    "teacher_views": Slot("V B D", "embeddings of the views by the teacher, without gradient", _unit, constant=True),
    "other_teacher": Slot("B D", "embedding of each positive by the teacher, without gradient", _unit, constant=True),
    "other_bank": Slot("K D", "embeddings of positives kept from earlier steps, without gradient", _unit, True),
    "parts": Slot("B N D", "embeddings of the parts of each item, without gradient", _unit, constant=True),
    "other_parts": Slot("B T D", "embeddings of the parts of each positive, without gradient", _unit, constant=True),
    "part_mask": Slot("B T", "which parts of each positive are present", _present, constant=True),
    "target_temperature": Slot("", "temperature of the targets, without gradient", _positive, constant=True),
    "target": Slot("B B", "what share of a positive each candidate is; rows add up to 1", _rows, constant=True),
    "clusters": Slot("B", "cluster of each item", _classes, constant=True),
    "counterpart": Slot("B", "another item of the same class, or itself where there is none", _item, True, "B"),
    "members": Slot("2 B", "one member of each bag and one of its counterpart, by place", _places, constant=True),
    "graph": Slot("B B", "symmetric adjacency of the items", _graph, constant=True),
    "node_weight": Slot("B", "weight of each node, between 0 and 1", _share, constant=True),
    "partner_labels": Slot("B", "class that each item is paired with", _classes, constant=True),
    "item_temperature": Slot("B", "temperature of each item's class, without gradient", _positive, constant=True),
    "salient": Slot("B D", "what sets each item apart, of any length", _normal),
    "other_salient": Slot("B D", "what sets each positive apart, of any length", _normal),
    "domain": Slot("B", "whether each item is a target (1) or background (0)", lambda s, g: _classes(s, g) % 2),
    "rehearsed": Slot("B", "which items are replayed from earlier tasks", _present, constant=True),
    "pair_temperatures": Slot("C B B", "temperature of each pair under each head", _positive),
    "gate": Slot("B D", "share of each dimension that is let through, between 0 and 1", _share),
    "candidate_scores": Slot("Q N", "scores of each query's candidates, the positive first", _normal),
    "teacher_scores": Slot("Q N", "the teacher's scores of the same candidates", _normal, constant=True),
    "real_logits": Slot("A", "logit of a critic for each real item", _normal),
    "made_logits": Slot("K", "logit of a critic for each item that is made", _normal),
    "log_prob_policy": Slot("2 3 B", "log-likelihood of both texts given either image or none, by policy", _normal),
    "log_prob_reference": Slot("2 3 B", "the same log-likelihoods by the reference", _normal, constant=True),
    "refusal_scores": Slot("Q N", "scores of the answer no for the same candidates", _normal),
    "query_weight": Slot("Q", "weight of each query's distillation, held fixed", _share, constant=True),
    "held_weight": Slot("Q N", "weight of each candidate's score, held fixed", _share, constant=True),
    "augmented": Slot("B D", "embedding of each anchor by its learned augmenter", _unit),
    "other_augmented": Slot("B D", "embedding of each anchor's positive by the other learned augmenter", _unit),
    "predicted": Slot("B D", "embedding as a learned predictor makes it of each anchor, of any length", _normal),
    "other_predicted": Slot("B D", "embedding as the predictor makes it of each positive, of any length", _normal),
    "predicted_mean": Slot("B D", "what is predicted of b from a: mean of a Gaussian", _normal),
    "predicted_log_variance": Slot("B D", "what is predicted of b from a: log variance of a Gaussian", _normal),
    "other_heads": Slot("C B D", "embeddings of each anchor's positive under the same heads", _unit),
    "head_means": Slot("C C B D", "what each head predicts of each other head: mean of a Gaussian", _normal),
    "head_log_variances": Slot("C C B D", "what each head predicts of each other head: log variance", _normal),
    "synthetic": Slot("2 B K D", "mixtures made for each anchor of both views, without gradient", _unit, constant=True),
    "synthetic_targets": Slot("2 B K", "continuous target of each mixture", _normal, constant=True),
    "synthetic_role": Slot("2 B K", "whether a mixture is a positive (1), a negative (0) or absent (-1)", _mixed_role),
    "synthetic_shift": Slot("2 B", "what is added to the scores of an anchor's mixtures", _normal, constant=True),
    "margin": Slot("B", "margin of each anchor, in units of similarity", _share),
    "temperature": Slot("", "a learned temperature", lambda shape, g: torch.rand(shape, generator=g).double() + 0.1),
    "bias": Slot("", "a learned bias of the logits", lambda shape, g: torch.randn(shape, generator=g).double()),
    "pair_weight": Slot("2 B 2 B", "weight of each pair among both views, held fixed", _share, constant=True),
    "channel_orders": Slot("V D", "order of the dimensions for each view", _orders, constant=True),
    "whitening": Slot("V D D", "whitening matrix of each view, held fixed", _normal, constant=True),
    "turns": Slot("N B", "place of each item in each order that is cut into sub-batches", _orders, constant=True),
    "predictor": Slot("D D", "linear predictor of what the teacher makes of the other side, held fixed", _normal, True),
    "other_sequence": Slot("B T D", "embedding of each time step of each positive", _unit),
    "moments": Slot("2 B T", "steps of each sequence: points (1), told from them (-1) or neither (0)", _moments, True),
    "hardest": Slot("B B", "which candidates are the hardest negatives of each anchor", _mask, constant=True),
    "window_start": Slot("", "step at which the windows of a series begin", _step, True),
    "compactness": Slot("2 B", "bound of the compactness of each node in either view", _normal),
    "bandwidth": Slot("", "bandwidth of a kernel, held fixed", _positive, constant=True),
    "other_maps": Slot("B C H W", "feature maps of each positive, in the same places", _normal),
    "regions": Slot("N 2", "row and column at which each region of a map begins", _corner, constant=True),
    "rivals": Slot("N K 2", "row and column of the negatives of each region", _corner, constant=True),
    "near_maps": Slot("N B C H W", "feature maps that each item is to be near", _normal),
    "far_maps": Slot("K B C H W", "feature maps that each item is to be far from", _normal),
    "exclude": Slot("B B", "pairs (a_i, b_j) that take no part; a positive always does", _one_other),
}
