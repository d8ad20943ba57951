"""The contract can be broken: a fault is planted for every check, and the check has to see it."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal
from unittest.mock import patch

import pytest
import torch
from pydantic import Field
from torch import Tensor

from core.losses.centres import Centres
from core.losses.info_nce import InfoNCE
from core.losses.registry import LOSSES, Companion, LossEntry
from core.paid import Paid, Pairs, Term
from tests.core.losses import contract
from tests.core.losses.contract import CHECKS, Check

Fault = Callable[[Paid, dict[str, Any]], Paid]


def with_per(paid: Paid, change: Callable[[Tensor], Tensor]) -> Paid:
    return replace(paid, terms={name: replace(term, per=change(term.per)) for name, term in paid.terms.items()})


def plant(fault: Fault) -> LossEntry:
    """InfoNCE with a fault."""
    honest = LOSSES["info_nce"]

    def info_nce(
        a: Tensor, b: Tensor, p: InfoNCE, *, margin: Tensor | None = None, exclude: Tensor | None = None
    ) -> Paid:
        given = {"a": a, "b": b, "p": p, "margin": margin, "exclude": exclude}
        return fault(honest.call(**given), given)

    return replace(honest, call=info_nce)


def naive(paid: Paid, given: dict[str, Any]) -> Paid:
    odds = (paid.pairs[0].scores.to(given["a"].dtype) / given["p"].temperature).exp()
    return replace(paid, terms={"": Term(-(odds.diagonal() / odds.sum(1)).log())})


def loses_its_exclusion(paid: Paid, given: dict[str, Any]) -> Paid:
    honest = LOSSES["info_nce"].call
    with patch.dict(honest.__globals__, {"without": lambda logits, exclude: logits}):
        return honest(**given)


def pays_for_other_scores(paid: Paid, given: dict[str, Any]) -> Paid:
    return replace(paid, pairs=tuple(Pairs(pairs.scores * 1, pairs.role) for pairs in paid.pairs))


def writes_into_its_input(paid: Paid, given: dict[str, Any]) -> Paid:
    given["a"].detach().mul_(0.5)
    return paid


def pulled_by_negatives(paid: Paid, given: dict[str, Any]) -> Paid:
    return with_per(paid, lambda per: per - 50 * paid.pairs[0].scores.sum(1))


FAULTS: dict[str, list[Fault]] = {
    "check_reference": [lambda paid, given: with_per(paid, lambda per: per * (1 + 1e-7))],
    "check_gradients": [lambda paid, given: with_per(paid, lambda per: per + (per - per.detach()))],
    "check_shapes": [lambda paid, given: with_per(paid, lambda per: per.mean(0, keepdim=True))],
    "check_purity": [
        writes_into_its_input,
        lambda paid, given: with_per(paid, lambda per: per + 0 * torch.rand(()).to(per)),
    ],
    "check_exclusion": [loses_its_exclusion, pays_for_other_scores],
    "check_permutation": [lambda paid, given: with_per(paid, lambda per: per * torch.arange(len(per)).to(per))],
    "check_pulls": [lambda paid, given: with_per(paid, lambda per: -per), pays_for_other_scores],
    "check_pushes": [pulled_by_negatives],
    "check_margin": [lambda paid, given: with_per(paid, lambda per: per.detach() * 0)],
    "check_finite": [naive],
    "check_precision": [lambda paid, given: with_per(paid, lambda per: per.to(given["a"].dtype).to(per))],
    "check_meta": [lambda paid, given: with_per(paid, lambda per: per * torch.tensor(1.0))],
}


class Unbounded(InfoNCE):
    kind: Literal["unbounded"] = "unbounded"
    sharpness: float = Field(1.0, ge=0)


def takes_an_unknown_input(a: Tensor, b: Tensor, p: InfoNCE, *, colour: Tensor) -> Paid:
    return LOSSES["info_nce"].call(a=a, b=b, p=p)


class HeldCentres(Centres):
    def forward(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"proxies": self.directions.detach() + 0 * self.directions}


class DriftingCentres(Centres):
    def forward(self, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
        self.directions.data.mul_(1.1)
        return super().forward(given)


def with_centres(kind: type[Centres]) -> LossEntry:
    """Proxy-NCA with a companion of another kind."""
    return replace(
        LOSSES["proxy_nca"], companion=Companion(lambda p, sizes: kind(sizes["P"], sizes["D"]), ("proxies",))
    )


PLANTED = [
    *((name, plant(fault)) for name, faults in FAULTS.items() for fault in faults),
    ("check_plan", replace(LOSSES["info_nce"], planned=("partner",), plan=lambda given, p, g: {})),
    *(("check_companion", with_centres(kind)) for kind in (HeldCentres, DriftingCentres)),
    ("check_bounds", replace(LOSSES["info_nce"], params=Unbounded)),
    ("check_inputs", replace(LOSSES["info_nce"], call=takes_an_unknown_input)),
]


@pytest.mark.parametrize(("name", "entry"), PLANTED)
def test_sees_the_planted_fault(name: str, entry: LossEntry):
    check: Check = getattr(contract, name)
    with pytest.raises(AssertionError):
        check(entry, {})


def test_there_is_a_fault_for_every_check():
    assert {name for name, _ in PLANTED} == {check.__name__ for check in CHECKS}
