"""Slices of volumes: whole ones by the part that they show, and regions of two maps of one slice."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.banks import exactly
from core.losses.fields import temperature
from core.losses.log_sums import log_sum
from core.losses.registry import Claims, loss
from core.losses.scores import similarity
from core.losses.two_views import views_of_item
from core.paid import Paid, Pairs, Role, Term
from core.params import Params

SHORTEST = 1e-2
GRID = ((0, 0), (0, 2), (0, 4), (2, 0), (2, 2), (2, 4), (4, 0), (4, 2), (4, 4), (1, 1), (1, 3), (3, 1), (3, 3))
NEXT = 5


class LocalGlobal(Params):
    kind: Literal["local_global"] = "local_global"
    temperature: float = temperature(0.1)


@loss(
    LocalGlobal,
    title="Global contrast of slices (G^D-)",
    source="Chaitanya et al. 2020, arXiv:2006.10511",
    origin="code",
    papers=("local_global",),
    family="softmax",
    formula=r"\frac1{|L|}\sum_{v}-\log\frac{e^{s_{iv}/\tau}}{e^{s_{iv}/\tau}+\sum_{k:\,c_k\neq c_i}e^{s_{ik}/\tau}}",
    relations={"nt_xent": "over several views, with the slices of the same part left out of the negatives"},
    claims=Claims(margin="it takes no margin of its own"),
    variants=({}, {"temperature": 0.5}),
    work="Every view of N items is an anchor among all V: (VN)² scores.",
)
def local_global(views: Tensor, labels: Tensor, p: LocalGlobal) -> Paid:
    """Pulls all views of a slice together and pushes slices of other parts of the volumes away.

    Args:
        views: (V, B, D) the slice and its views, V >= 2.
        labels: (B,) the part of its volume that each slice shows.
        p: temperature.

    Returns:
        One term per view of each slice, (V * B,), over the number of pairs of views; (V * B, V * B) pairs.
    """
    count, size, _ = views.shape
    flat, part = views.flatten(0, 1), labels.repeat(count)
    item = torch.arange(size, device=views.device).repeat(count)
    same = item[:, None] == item[None, :]
    scores = similarity(flat, flat)
    role = torch.full(scores.shape, Role.NEGATIVE, dtype=torch.int8, device=scores.device)
    role = role.masked_fill(part[:, None] == part[None, :], Role.EXCLUDED).masked_fill(same, Role.POSITIVE)
    role = role.fill_diagonal_(Role.EXCLUDED)
    rest = log_sum(scores, role == Role.NEGATIVE, p.temperature).unflatten(0, (count, 1, size))
    cost = F.softplus(rest - views_of_item(scores, count) / p.temperature)
    itself = torch.eye(count, dtype=torch.bool, device=views.device)[:, :, None]
    paid = cost.masked_fill(itself, 0).sum(dim=1).flatten()
    return Paid({"": Term(paid, weight=2 / (count * (count - 1) * size))}, (Pairs(scores, role),))


class GlobalVolumes(Params):
    kind: Literal["global_volumes"] = "global_volumes"
    temperature: float = temperature(0.1)
    as_released: bool = Field(
        False,
        title="As released",
        description="Twice as much: a sum round a ring of volumes, over half as many pairs as are in it.",
    )


def _ring(given: Mapping[str, Tensor], p: GlobalVolumes, g: Generator) -> dict[str, Tensor]:
    """Slices of one part follow each other in a drawn order, the first after the last."""
    part = given["labels"]
    drawn = torch.randperm(len(part), generator=g).to(part.device)
    order = drawn[part[drawn].argsort(stable=True)]
    same = part[order][:, None] == part[order][None, :]
    first, last = same.to(torch.int8).argmax(dim=1), same.sum(dim=1)
    place = torch.arange(len(part), device=part.device)
    after = first + (place - first + 1) % last
    return {"counterpart": torch.empty_like(order).scatter(0, order, order[after])}


@loss(
    GlobalVolumes,
    title="Global contrast across volumes (G^D)",
    source="Chaitanya et al. 2020, arXiv:2006.10511",
    origin="code",
    papers=("local_global",),
    family="softmax",
    formula=r"\frac1{|\Lambda|}\sum_{(u,v)\in\Lambda}\big[\ell(u,v)+\ell(v,u)\big],\quad "
    r"\ell(u,v)=-\log\frac{e^{s_{uv}/\tau}}{e^{s_{uv}/\tau}+\sum_{k:\,c_k\neq c_u}e^{s_{uk}/\tau}},\quad "
    r"\Lambda\ni(x_i,x'_i),(x_j,x'_j),(x_i,x_j),(x'_i,x'_j)",
    relations={"local_global": "and the same part of another volume is a positive too"},
    claims=Claims(margin="it takes no margin of its own"),
    variants=({}, {"temperature": 0.5}, {"as_released": True}),
    plan=_ring,
    planned=("counterpart",),
    work="Every view of N items is an anchor among all V: (VN)² scores.",
)
def global_volumes(views: Tensor, labels: Tensor, counterpart: Tensor, p: GlobalVolumes) -> Paid:
    """Pulls a slice to its views and to the same part of another volume, and pushes slices of other parts away.

    Args:
        views: (V, B, D) the slice and its views, V >= 2.
        labels: (B,) the part of its volume that each slice shows.
        counterpart: (B,) the slice of another volume that shows the same part; the slice itself where there is none.
        p: temperature, and whether the sum is divided as in the code.

    Returns:
        One term per view of each slice, (V * B,), over the number of pairs that are met: the views of a slice and of
        its counterpart, and both of them in each view. (V * B, V * B) pairs.
    """
    count, size, _ = views.shape
    flat, part = views.flatten(0, 1), labels.repeat(count)
    scores = similarity(flat, flat)
    here = torch.arange(size, device=views.device)
    met = ((counterpart[:, None] == here) & (counterpart != here)[:, None]).to(scores.dtype)
    one = torch.eye(count, dtype=scores.dtype, device=views.device)
    times = torch.kron(one, met + met.T) + torch.kron(1 - one, torch.diag(1 + met.sum(dim=0)))
    role = torch.full(scores.shape, Role.NEGATIVE, dtype=torch.int8, device=scores.device)
    role.masked_fill_(part[:, None] == part[None, :], Role.EXCLUDED).masked_fill_(times > 0, Role.POSITIVE)
    rest = log_sum(scores, role == Role.NEGATIVE, p.temperature)[:, None]
    paid = (F.softplus(rest - scores / p.temperature) * times).sum(dim=1)
    return Paid({"": Term(paid, weight=(4 if p.as_released else 2) / times.sum())}, (Pairs(scores, role),))


class LocalRegions(Params):
    kind: Literal["local_regions"] = "local_regions"
    temperature: float = temperature(0.1)
    side: int = Field(3, ge=1, le=5, title="Side of a region", description="Each is a square of so many places.")


def _plan(given: Mapping[str, Tensor], p: LocalRegions, g: Generator) -> dict[str, Tensor]:
    maps = given["maps"]
    room = [max(size - min(p.side, size), 0) for size in maps.shape[2:]]
    grid = torch.tensor(GRID, device=maps.device)
    places = grid * torch.tensor(room, device=maps.device) // 4
    apart = (grid[:, None] - grid[None, :]).square().sum(dim=2)
    others = apart.argsort(dim=1, stable=True)[:, 1 : NEXT + 1]
    return {"regions": places, "rivals": places[others]}


@loss(
    LocalRegions,
    title="Local contrast of regions (L^R)",
    source="Chaitanya et al. 2020, arXiv:2006.10511",
    origin="code",
    papers=("local_global",),
    family="softmax",
    formula=r"\frac1R\sum_r-\log\frac{e^{s_{rr}/\tau}}"
    r"{e^{s_{rr}/\tau}+\sum_{n\in N(r)}(e^{s_{rn}/\tau}+e^{s'_{rn}/\tau})}",
    relations={"info_nce": "among regions of one item's two maps"},
    claims=Claims(
        pulls="each map has regions of its own, and no matrix over the items",
        pushes="each map has regions of its own, and no matrix over the items",
        margin="it takes no margin of its own",
    ),
    variants=({}, {"temperature": 0.5, "side": 1}),
    plan=_plan,
    planned=("regions", "rivals"),
    work="Every region is cut out of both maps once for itself and once for each anchor that it is a rival of.",
)
def local_regions(maps: Tensor, other_maps: Tensor, regions: Tensor, rivals: Tensor, p: LocalRegions) -> Paid:
    """Finds each region of a map in the same place of the other map, among its neighbours in both.

    Args:
        maps: (B, C, H, W) features of one view.
        other_maps: (B, C, H, W) those of a view with the same geometry.
        regions: (N, 2) row and column at which each region begins.
        rivals: (N, K, 2) those of its negatives.
        p: temperature and the side of a region.

    Returns:
        One term per map, (2B,), first of one view, then of the other; summed over the batch, as in the paper.
    """
    z = torch.stack([exactly(maps), exactly(other_maps)])
    own, far = _cut(z, regions, p.side), _cut(z, rivals.flatten(0, 1), p.side)
    far = far.unflatten(2, rivals.shape[:2])
    positive = (own[0] * own[1]).sum(dim=-1) / p.temperature
    negative = torch.einsum("ubnd,vbnkd->ubnvk", own, far).flatten(3) / p.temperature
    logits = torch.cat([positive.expand(2, -1, -1)[..., None], negative], dim=-1)
    return Paid({"": Term(-F.log_softmax(logits, dim=-1)[..., 0].mean(dim=2).flatten(), weight=1.0)})


def _cut(z: Tensor, corners: Tensor, side: int) -> Tensor:
    """(2, B, N, side * side * C) unit vectors of the squares of maps (2, B, C, H, W); at an edge they are cut short."""
    step = torch.arange(side, device=z.device)
    rows, columns = ((corners[:, q, None] + step).clamp(max=z.shape[3 + q] - 1) for q in (0, 1))
    found = z[:, :, :, rows[:, :, None], columns[:, None, :]]
    return F.normalize(found.permute(0, 1, 3, 4, 5, 2).flatten(3), dim=-1, eps=SHORTEST)
