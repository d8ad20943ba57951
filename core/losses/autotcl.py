"""AutoTCL: a series against its learned augmentation, windows of it against their neighbours, and a discrepancy."""

from collections.abc import Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor

from core.losses.banks import exactly
from core.losses.fields import lead, temperature, weight
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.registry import Claims, loss
from core.losses.scores import distance, without
from core.paid import Paid, Term, joined
from core.params import Params

KERNELS = 5


class AutoTCL(Params):
    kind: Literal["autotcl"] = "autotcl"
    temperature: float = temperature(1.0)
    margin: float = lead()
    windows: int = Field(16, ge=2, le=64, title="Windows k", description="Into how many a series is cut.")
    local: float = weight(0.3, "Windows λ", "the contrast of windows")
    as_released: bool = Field(
        False, title="As released", description="Only the first series of a batch pays for its windows."
    )


def _plan(given: Mapping[str, Tensor], p: AutoTCL, g: Generator) -> dict[str, Tensor]:
    steps = given["sequence"].shape[1]
    free = steps % min(p.windows, steps)
    return {"window_start": torch.randint(free + 1, (), generator=g).to(given["sequence"].device)}


@loss(
    AutoTCL,
    title="AutoTCL (series and windows)",
    source="Zheng et al. 2024, arXiv:2402.10434; with the windows of every series, not of the first alone",
    origin="code",
    papers=("autotcl",),
    family="softmax",
    formula=r"-\log\frac{e^{(s_{ii}-m)/\tau}}{e^{(s_{ii}-m)/\tau}+\sum_{j\neq i}e^{s_{ij}/\tau}}"
    r"-\frac\lambda k\sum_w\log\frac{e^{s_{w,w+1}/\tau}}{e^{s_{w,w+1}/\tau}+\sum_{|v-w|>1}e^{s_{wv}/\tau}}",
    relations={"info_nce": "of the largest value over time, with the windows of one series beside it"},
    variants=({}, {"windows": 3, "temperature": 0.5, "margin": 0.2}, {"windows": 5, "local": 1.0}),
    plan=_plan,
    planned=("window_start",),
)
def autotcl(
    sequence: Tensor, other_sequence: Tensor, window_start: Tensor, p: AutoTCL, *, margin: Tensor | None = None
) -> Paid:
    """Finds each series' augmented view among all, and each window's neighbour among the windows of its series.

    Args:
        sequence: (B, T, D) embedding of each step, of any length.
        other_sequence: (B, T, D) that of the augmented series.
        window_start: () step at which the windows begin, when their number does not divide T.
        p: temperature, margin, windows and their weight.
        margin: () or (B,), instead of `p.margin`, for whole series.

    Returns:
        `global` and `local`, (B,) each; one (B, B) matrix of pairs, of whole series.
    """
    x, y = (whole(z) for z in (sequence, other_sequence))
    found = info_nce(x, y, InfoNCE(temperature=p.temperature, margin=p.margin), margin=margin)
    paid = _between_windows(exactly(sequence), window_start, p)
    first = torch.zeros_like(paid).index_fill(0, torch.zeros(1, dtype=torch.int64, device=paid.device), 1)
    local = Term(paid * first, weight=1.0) if p.as_released else Term(paid)
    return joined((("global", found), ("local", Paid({"": local.scaled(p.local)}))))


def whole(sequence: Tensor) -> Tensor:
    """(B, D) unit vectors of the largest values over time."""
    return F.normalize(exactly(sequence).amax(dim=1), dim=-1)


def _between_windows(z: Tensor, start: Tensor, p: AutoTCL) -> Tensor:
    """(B,) what the windows of each series pay on average."""
    steps = z.shape[1]
    count = min(p.windows, steps)
    each = steps // count
    places = torch.arange(count * each, device=z.device) + start % (steps - count * each + 1)
    windows = F.normalize(z, dim=-1)[:, places].unflatten(1, (count, each)).amax(dim=2)
    if count == 1:
        return windows.sum(dim=(1, 2)) * 0
    place = torch.arange(count, device=z.device)
    partner = torch.where(place == count - 1, place - 1, place + 1)
    inner = place.clamp(1, max(count - 2, 1))
    near = (place[None, :] - inner[:, None]).abs() <= 1
    positive = place[None, :] == partner[:, None]
    logits = without(windows @ windows.mT / p.temperature, near & ~positive)
    return -F.log_softmax(logits, dim=-1)[:, place, partner].mean(dim=1)


class MMD(Params):
    kind: Literal["mmd"] = "mmd"


def _bandwidth(given: Mapping[str, Tensor], p: MMD, g: Generator) -> dict[str, Tensor]:
    apart = _distances(given["sequence"], given["other_sequence"])
    size = len(apart)
    return {"bandwidth": (apart.sum() / (size * (size - 1)) / 2 ** (KERNELS // 2)).clamp(min=1e-6)}


def _distances(sequence: Tensor, other_sequence: Tensor) -> Tensor:
    both = torch.cat([exactly(z).amax(dim=1) for z in (sequence, other_sequence)])
    return distance(both, both, squared=True)


@loss(
    MMD,
    title="Discrepancy of series (MMD)",
    source="Zheng et al. 2024, arXiv:2402.10434; Gretton et al. 2012 (biased estimate)",
    origin="code",
    papers=("autotcl",),
    family="none",
    formula=r"\frac1B\sum_j\big[k(x_i,x_j)+k(y_i,y_j)-k(x_i,y_j)-k(y_i,x_j)\big],\quad "
    r"k(u,v)=\sum_{q=0}^{4}e^{-\|u-v\|^2/2^q h}",
    relations={"alignment": "between the two sets as wholes, whichever item is whose"},
    claims=Claims(
        pulls="it compares two sets and knows no pairs",
        pushes="it compares two sets and knows no pairs",
        margin="it takes no margin of its own",
    ),
    plan=_bandwidth,
    planned=("bandwidth",),
)
def mmd(sequence: Tensor, other_sequence: Tensor, bandwidth: Tensor, p: MMD) -> Paid:
    """Brings the distribution of the augmented series to that of the series, by five Gaussian kernels.

    Args:
        sequence: (B, T, D) embedding of each step, of any length; each series counts by its largest values over time.
        other_sequence: (B, T, D) that of the augmented series.
        bandwidth: () that of the narrowest kernel, held fixed: the mean squared distance over 4.
        p: nothing to set.

    Returns:
        One term, (B,), which may be negative for one item and is not in the mean.
    """
    apart = _distances(sequence, other_sequence) / bandwidth
    kernel = torch.stack([torch.exp(-apart / 2**q) for q in range(KERNELS)]).sum(dim=0)
    size = len(sequence)
    same = kernel[:size, :size] + kernel[size:, size:]
    return Paid({"": Term((same - kernel[:size, size:] - kernel[size:, :size]).mean(dim=1))})
