import math
from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.stats import bootstrap, rankdata, spearmanr

from core.diagnostics.choosing import CRITERIA, alpha_req, choose, measure, rank_correlation, rankme, ranks
from core.diagnostics.geometry import alignment, uniformity
from core.diagnostics.verdicts import agrees
from tests.core.diagnostics.clouds import unit


def with_spectrum(values: torch.Tensor, n: int = 200) -> torch.Tensor:
    """(n, D) centred rows with these singular values."""
    dim = len(values)
    free = torch.randn(n, dim, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    left = torch.linalg.qr(free - free.mean(dim=0))[0]
    right = torch.linalg.qr(torch.randn(dim, dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64))[0]
    return left * values @ right


def test_rankme_is_the_entropy_of_the_singular_values_not_of_their_squares():
    z = unit(40, 6, 1, torch.float64) + 0.3
    values = np.linalg.svd(z.numpy(), compute_uv=False)
    shares = values / values.sum() + 1e-7
    assert rankme(z) == pytest.approx(float(np.exp(-(shares * np.log(shares)).sum())), rel=1e-12)
    assert rankme(torch.ones(9, 4)) == pytest.approx(1, abs=1e-4)
    assert rankme(torch.eye(5)) == pytest.approx(5, abs=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.3])
def test_alpha_is_read_off_a_power_law(alpha):
    rank = torch.arange(1, 61, dtype=torch.float64)
    assert alpha_req(with_spectrum(rank ** (-alpha / 2))) == pytest.approx(alpha, abs=1e-9)


def test_alpha_weighs_the_first_eigenvalues_most():
    z = unit(300, 20, 3, torch.float64) * torch.linspace(1, 0.1, 20, dtype=torch.float64)
    values = np.linalg.svd((z - z.mean(dim=0)).numpy(), compute_uv=False)[4:] ** 2
    rank = np.arange(5, 21)
    slope, _ = np.polyfit(np.log(rank), np.log(values), 1, w=1 / np.sqrt(rank))
    assert alpha_req(z) == pytest.approx(-slope, rel=1e-9)
    assert math.isnan(alpha_req(z[:, :6]))
    assert math.isnan(alpha_req(torch.ones(30, 20)))


@pytest.mark.parametrize("n", [3, 6, 9, 30])
def test_the_correlation_is_that_of_scipy_ties_and_all(n):
    g = np.random.default_rng(n)
    x, y = g.normal(size=n), g.integers(0, 4, size=n).astype(float)
    found = rank_correlation(x.tolist(), (x + y).tolist())
    assert found.rho == pytest.approx(spearmanr(x, x + y).statistic)
    assert rank_correlation(x.tolist(), y.tolist()).rho == pytest.approx(spearmanr(x, y).statistic, nan_ok=True)
    assert ranks(torch.from_numpy(y)).tolist() == rankdata(y).tolist()
    assert found.n == n


def test_few_pairs_are_tested_against_every_order():
    x, y = [1.0, 2, 3, 4, 5], [2.0, 1, 3, 5, 4]
    rho = spearmanr(x, y).statistic
    every = [abs(spearmanr(x, order).statistic) >= rho - 1e-9 for order in permutations(y)]
    assert rank_correlation(x, y).p == pytest.approx(sum(every) / 120)
    assert rank_correlation([1.0, 2, 3], [1.0, 2, 3]).p == pytest.approx(2 / 6)


def test_many_pairs_are_tested_against_draws():
    g = np.random.default_rng(0)
    x = g.normal(size=25)
    y = x + 2 * g.normal(size=25)
    wanted = spearmanr(x, y).pvalue
    found = rank_correlation(x.tolist(), y.tolist())
    assert abs(found.p - wanted) < 4 * math.sqrt(wanted * (1 - wanted) / 10_000) + 0.01
    assert found.p >= 1 / 10_001


def test_the_interval_is_the_bootstrap_of_scipy():
    g = np.random.default_rng(0)
    x = g.normal(size=15)
    y = x + g.normal(size=15)
    found = rank_correlation(x.tolist(), y.tolist())
    theirs = bootstrap(
        (x, y),
        lambda a, b: spearmanr(a, b).statistic,
        paired=True,
        vectorized=False,
        n_resamples=2000,
        method="percentile",
        rng=np.random.default_rng(1),
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high), abs=0.06)
    assert found.low < found.rho < found.high


def test_two_series_that_only_rise_with_the_steps_say_nothing_beyond_them():
    found = rank_correlation(list(range(8)), [v**2 for v in range(8)])
    assert (found.rho, found.p < 0.01) == (1, True)
    assert math.isnan(found.beyond)
    assert "only follow the steps" in agrees(found.rho, found.p, found.n, found.beyond).sentence
    g = np.random.default_rng(0)
    steps, x, y = np.arange(30), np.arange(30) + g.normal(size=30) * 4, np.arange(30) + g.normal(size=30) * 4
    a, b, t = rankdata(x), rankdata(y), rankdata(steps)
    left = [v - np.polyval(np.polyfit(t, v, 1), t) for v in (a, b)]
    assert rank_correlation(x.tolist(), y.tolist()).beyond == pytest.approx(np.corrcoef(*left)[0, 1])


def test_what_has_no_order_has_no_correlation():
    for x, y in (([1.0, 2], [1.0, 2]), ([1.0, 1, 1], [1.0, 2, 3]), ([math.nan] * 5, [1.0, 2, 3, 4, 5])):
        found = rank_correlation(x, y)
        assert math.isnan(found.rho)
        assert agrees(found.rho, found.p, found.n, found.beyond).word == "cannot tell"
    assert rank_correlation([1.0, math.nan, 2, 3], [1.0, 9, 2, 3]).n == 3
    with pytest.raises(ValueError, match="in pairs"):
        rank_correlation([1.0], [])


def test_each_criterion_is_measured_over_modalities_and_pairs():
    a, b = unit(60, 12, 1), unit(60, 12, 2)
    found = measure({"left": a, "right": b})
    assert set(found) == set(CRITERIA)
    assert found["rankme"] == pytest.approx((rankme(a) + rankme(b)) / 2)
    assert found["alpha_req"] == pytest.approx((alpha_req(a) + alpha_req(b)) / 2)
    assert found["together"] == pytest.approx(alignment(a, b) + (uniformity(a) + uniformity(b)) / 2)
    assert set(measure({"left": a, "right": unit(60, 5, 2)})) == {"rankme", "alpha_req", "uniformity"}


def test_epochs_whose_pairs_come_together_are_chosen_and_a_wrong_order_is_shown():
    a, noise = unit(80, 12, 1), unit(80, 12, 2)
    epochs = [measure({"left": a, "right": F.normalize(a + s * noise, dim=1)}) for s in (2.0, 1.0, 0.6, 0.1, 0.3)]
    accuracy = [0.2, 0.4, 0.6, 0.9, 0.8]
    by_key = {each.key: each for each in choose(epochs, accuracy)}
    assert by_key["alignment"].order == (3, 4, 2, 1, 0)
    assert by_key["alignment"].lost == 0
    assert by_key["alignment"].correlation.rho == 1
    opposite = {each.key: each for each in choose(epochs, [1 - v for v in accuracy])}["alignment"]
    assert opposite.correlation.rho == -1
    assert opposite.lost == pytest.approx(0.7)
    assert agrees(-1, opposite.correlation.p, 5, opposite.correlation.beyond).word == "misleads"


def test_without_labels_there_is_an_order_alone_and_alpha_is_best_at_one():
    found = {each.key: each for each in choose([{"alpha_req": v} for v in (0.2, 1.1, math.nan, 0.8, 3.0)])}
    assert set(found) == {"alpha_req"}
    assert found["alpha_req"].order == (1, 3, 0, 4)
    assert found["alpha_req"].correlation is None
    with pytest.raises(ValueError, match="one for each"):
        choose([{"rankme": 1.0}], [0.1, 0.2])
