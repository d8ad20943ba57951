"""Contrast between two views of a series: at every step and scale, or against keys kept from earlier steps."""

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from core.losses.banks import beside, exactly, first_cost
from core.losses.fields import lead, temperature
from core.losses.registry import Claims, loss
from core.losses.scores import without
from core.paid import Paid, Term
from core.params import Params


class TSForecast(Params):
    kind: Literal["ts_forecast"] = "ts_forecast"
    temperature: float = temperature(1.0)
    alpha: float = Field(0.5, ge=0, le=1, title="Share of instances α", description="What is left goes to the steps.")
    scales: int = Field(16, ge=1, le=16, title="Scales", description="How often time is halved at most, and once.")
    normalise: bool = Field(False, title="Unit length", description="Compares the steps by their cosine.")
    as_released: bool = Field(
        False, title="As released", description="The switch for unit length sets α to 1 or 0 and does nothing else."
    )


@loss(
    TSForecast,
    title="Hierarchical contrast of series (TS2Vec)",
    source="Zhang et al. 2023, arXiv:2306.12086; Yue et al. 2022, arXiv:2106.10466",
    origin="code",
    papers=("ts_forecast", "autotcl"),
    family="softmax",
    formula=r"\frac1S\sum_{s}\Big[\alpha\,\mathrm{mean}_t\,\ell(z_{it},z'_{it};\{z_{jt},z'_{jt}\}_j)"
    r"+(1-\alpha)\,\mathrm{mean}_t\,\ell(z_{it},z'_{it};\{z_{iu},z'_{iu}\}_u)\Big]",
    relations={"nt_xent": "at every step among the series, and in every series among the steps, at halved times"},
    claims=Claims(
        pulls="scores exist at every step and scale, none are shown",
        pushes="scores exist at every step and scale, none are shown",
        margin="it takes no margin of its own",
    ),
    variants=({}, {"alpha": 0.2, "scales": 2, "normalise": True, "temperature": 0.5}, {"as_released": True}),
)
def ts_forecast(sequence: Tensor, other_sequence: Tensor, p: TSForecast) -> Paid:
    """Finds each step of a series in its other view, among all series and among all of its own steps.

    Args:
        sequence: (B, T, D) embedding of each step, of any length.
        other_sequence: (B, T, D) the other view, step by step.
        p: share of the instances, scales, temperature, unit length.

    Returns:
        `instance` and `temporal`, (2B,) each: first all of `sequence`, then the other view, at weights α and 1 - α.
        A single step has no temporal part.
    """
    alpha = float(p.normalise) if p.as_released else p.alpha
    x = torch.stack([exactly(sequence), exactly(other_sequence)])
    instance, temporal = [], []
    while True:
        z = F.normalize(x, dim=-1) if p.normalise and not p.as_released else x
        instance.append(within_groups(z.permute(2, 0, 1, 3), p.temperature).mean(dim=0))
        if z.shape[2] > 1:
            temporal.append(within_groups(z.transpose(0, 1), p.temperature).mean(dim=2).T)
        if z.shape[2] == 1 or len(instance) == p.scales:
            break
        x = x[:, :, : x.shape[2] // 2 * 2].unflatten(2, (-1, 2)).amax(dim=3)
    across = torch.stack(instance).sum(dim=0).flatten() / len(instance)
    within = torch.stack(temporal).sum(dim=0).flatten() / len(instance) if temporal else across * 0
    return Paid({"instance": Term(across).scaled(alpha), "temporal": Term(within).scaled(1 - alpha)})


def within_groups(z: Tensor, tau: float) -> Tensor:
    """(G, 2, n) NT-Xent of both views (G, 2, n, D) within each of G groups."""
    count = z.shape[2]
    flat = z.flatten(1, 2)
    own = torch.eye(2 * count, dtype=torch.bool, device=z.device)
    share = F.log_softmax(without(flat @ flat.mT / tau, own), dim=-1)
    return -torch.stack([share.diagonal(count, 1, 2), share.diagonal(-count, 1, 2)], dim=1)


class TSMoCo(Params):
    kind: Literal["ts_moco"] = "ts_moco"
    temperature: float = temperature(1.0)
    margin: float = lead()
    normalise: bool = Field(False, title="Unit length", description="Compares queries and keys by their cosine.")
    as_released: bool = Field(
        False, title="As released", description="Unit length is given to each dimension of the bank, not to each key."
    )


@loss(
    TSMoCo,
    title="MoCo of series",
    source="Zhang et al. 2023, arXiv:2306.12086; He et al. 2020, arXiv:1911.05722",
    origin="code",
    papers=("ts_forecast",),
    family="softmax",
    formula=r"-\log\frac{e^{(s_i-m)/\tau}}{e^{(s_i-m)/\tau}+\sum_{k\in Q}e^{s_{ik}/\tau}}",
    relations={"moco": "at temperature 1, with the bank as the authors' code normalises it on demand"},
    variants=({}, {"normalise": True, "temperature": 0.5, "margin": 0.2}, {"normalise": True, "as_released": True}),
)
def ts_moco(a: Tensor, teacher: Tensor, bank: Tensor, p: TSMoCo, *, margin: Tensor | None = None) -> Paid:
    """Pulls a step of each series to the teacher's view of it and pushes it from keys of earlier batches.

    Args:
        a: (B, D) a step of each series, or the mean over its steps, of any length.
        teacher: (B, D) its key, without gradient.
        bank: (K, D) keys of earlier batches, without gradient.
        p: temperature, margin, unit length.
        margin: () or (B,), instead of `p.margin`.

    Returns:
        One term per anchor, (B,); (B, 1 + K) pairs, the key first.
    """
    a, teacher, bank = exactly(a), exactly(teacher), exactly(bank)
    if p.normalise:
        a, teacher = F.normalize(a, dim=-1), F.normalize(teacher, dim=-1)
        bank = F.normalize(bank, dim=0 if p.as_released else -1)
    pairs = beside(a, teacher, bank)
    return Paid({"": Term(first_cost(pairs, p.temperature, p.margin if margin is None else margin))}, (pairs,))
