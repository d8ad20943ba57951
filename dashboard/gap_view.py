"""What the gradient lab computes, each part once for its settings, so that a slider moves only what depends on it."""

from typing import NamedTuple

import numpy as np
import streamlit as st
import torch

from core.diagnostics.gap_forms import Drawn, clean_push, expected_push, monte_carlo, partner_probability
from core.diagnostics.mixed_gaps import (
    SPREAD_OUT,
    Activity,
    Average,
    Hardness,
    Setting,
    activity,
    averaged,
    hardness_curve,
    made,
    plan_at,
)
from core.diagnostics.synthetic import Batch
from core.streams import stream
from dashboard.view import Lab

MANY, PLANS, FEWER = 128, 16, 12
COUNTED, DOTS = 128, tuple(np.linspace(0.1, 1, 10))
GAP = torch.linspace(0, 1, 101, dtype=torch.float64)


class Still(NamedTuple):
    """What does not depend on the lambda of the slider."""

    batch: Batch
    clean: Activity
    mixed: Average


class Closed(NamedTuple):
    """Both closed forms over `GAP`, clean and mixed, and what was counted at `DOTS`."""

    hinge_clean: np.ndarray
    hinge: np.ndarray
    softmax_clean: np.ndarray
    softmax: np.ndarray
    counted: list[Drawn]


def setting(x: Lab) -> Setting:
    """All of the lab but lambda."""
    return Setting.model_validate(x.model_dump(exclude={"lam"}))


@st.cache_resource(max_entries=200, show_spinner=False)
def still(s: Setting, seed: int) -> Still:
    """The batch, clean, and mixed on average over lambda."""
    batch = made(s, seed)
    return Still(batch, activity(s, batch), averaged(s, batch, seed, PLANS, even=True))


class Moment(NamedTuple):
    """The mixed batch at one lambda."""

    mixed: Activity
    partner: np.ndarray
    towards: float


@st.cache_resource(max_entries=400, show_spinner=False)
def moment(s: Setting, lam: float, seed: int) -> Moment:
    """The batch as the slider mixes it."""
    batch = still(s, seed).batch
    plan = plan_at(s, batch, seed, lam)
    found = activity(s, batch, plan)
    return Moment(found, plan.partner.numpy(), found.towards(plan.partner))


def hardness(s: Setting, seed: int) -> Hardness:
    """The gradient against the gap, on pairs from hard to easy, whatever the closeness and number of the others."""
    return _hardness(s.model_copy(update=SPREAD_OUT | {"n": MANY}), seed)


@st.cache_resource(max_entries=200, show_spinner=False)
def _hardness(s: Setting, seed: int) -> Hardness:
    return hardness_curve(s, made(s, seed), seed, count=FEWER)


@st.cache_resource(max_entries=200, show_spinner=False)
def closed(margin: float, temperature: float, rule: str, n: int, seed: int) -> Closed:
    """The closed forms and their dots."""
    s = Setting.model_validate({"margin": margin, "temperature": temperature, "rule": rule})
    g = stream(seed, "lab", "closed form")
    return Closed(
        torch.lt(GAP, margin).double().numpy(),
        partner_probability(GAP, margin, s.rule).numpy(),
        clean_push(GAP, temperature, n - 1).numpy(),
        expected_push(GAP, margin, temperature, s.rule).numpy(),
        [monte_carlo(float(gap), s, g, COUNTED) for gap in DOTS],
    )
