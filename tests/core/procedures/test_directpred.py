"""The predictor that is set from the spectrum: what the rules have in common, and where they part."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.testing import assert_close

from core.procedures.directpred import (
    LEAST,
    DirectPredictor,
    FeatureCorrelation,
    Rule,
    direct_predictor,
    feature_correlation,
)
from core.streams import stream

ANY = settings(derandomize=True, deadline=None, max_examples=40, database=None)
SEEDS, SIZES, BOOST = st.integers(0, 1000), st.integers(1, 6), st.floats(0, 1)
RULES = st.sampled_from(["official", "paper", "directcopy"])


def views(size: int, seed: int, items: int = 4) -> Tensor:
    return torch.randn((2, items, size), generator=stream(seed, "views"), dtype=torch.float64)


def correlation(size: int, seed: int) -> Tensor:
    return feature_correlation(views(size, seed), FeatureCorrelation())


@ANY
@given(seed=SEEDS, size=SIZES, keep=BOOST)
def test_the_correlation_is_a_mean_over_items_and_follows_by_its_share(seed: int, size: int, keep: float):
    x, p = views(size, seed), FeatureCorrelation(keep=keep)
    fresh = feature_correlation(x, p)
    by_hand = sum(torch.outer(f, f) for view in x for f in view) / 8
    assert_close(fresh, by_hand)
    kept = correlation(size, seed + 1)
    assert_close(feature_correlation(x, p, kept=kept), keep * kept + (1 - keep) * fresh)
    assert_close(feature_correlation(x, p, kept=fresh), fresh)


@ANY
@given(seed=SEEDS, size=SIZES, rule=RULES, epsilon=BOOST)
def test_it_is_symmetric_keeps_the_directions_and_the_order_of_the_spectrum(
    seed: int, size: int, rule: Rule, epsilon: float
):
    f = correlation(size, seed)
    w = direct_predictor(f, DirectPredictor(rule=rule, epsilon=epsilon))
    assert_close(w, w.T)
    assert_close(w @ f, f @ w)
    axes = torch.linalg.eigh(f).eigenvectors
    strength = (axes.T @ w @ axes).diagonal()
    assert (strength >= -1e-9).all()
    assert (strength.diff() >= -1e-9).all()


@ANY
@given(seed=SEEDS, size=SIZES, epsilon=BOOST, longer=st.floats(0.1, 10))
def test_the_rules_agree_but_for_what_the_boost_is_a_share_of(seed: int, size: int, epsilon: float, longer: float):
    f = correlation(size, seed)
    found = {name: direct_predictor(f, DirectPredictor(rule=name, epsilon=epsilon)) for name in ("official", "paper")}
    top = torch.linalg.eigvalsh(f)[-1]
    unit = torch.eye(size, dtype=f.dtype)
    if epsilon >= LEAST:
        assert_close(found["official"] * top.sqrt() - found["paper"], epsilon * (top.sqrt() - top) * unit)
    again = direct_predictor(longer * f, DirectPredictor(epsilon=epsilon))
    assert_close(again, found["official"])
    root = direct_predictor(f, DirectPredictor(rule="paper", epsilon=0))
    assert_close(root @ root, f, rtol=1e-6, atol=1e-9)


@ANY
@given(seed=SEEDS, size=SIZES, epsilon=BOOST)
def test_directcopy_is_the_correlation_and_the_boost(seed: int, size: int, epsilon: float):
    f = correlation(size, seed)
    assert torch.equal(direct_predictor(f, DirectPredictor(rule="directcopy", epsilon=0)), f)
    boosted = direct_predictor(f, DirectPredictor(rule="directcopy", epsilon=epsilon))
    assert_close(boosted - f, epsilon * torch.eye(size, dtype=f.dtype))


@pytest.mark.parametrize("rule", ["official", "paper", "directcopy"])
def test_features_that_spread_alike_in_every_direction_are_predicted_as_they_are(rule: Rule):
    w = direct_predictor(4 * torch.eye(3, dtype=torch.float64), DirectPredictor(rule=rule, epsilon=0.1))
    assert_close(w, w[0, 0] * torch.eye(3, dtype=torch.float64))
    assert w[0, 0] > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_collapsed_and_absent_features_have_a_predictor(dtype: torch.dtype):
    one = torch.ones(2, 5, 3, dtype=dtype)
    for x in (one, torch.zeros_like(one)):
        f = feature_correlation(x, FeatureCorrelation())
        for rule in ("official", "paper", "directcopy"):
            assert direct_predictor(f, DirectPredictor(rule=rule)).isfinite().all()
    least = direct_predictor(torch.zeros(3, 3), DirectPredictor(epsilon=0))
    assert_close(least, LEAST * torch.eye(3))
