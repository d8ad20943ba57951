import math

import pytest
import torch

from core.diagnostics.forces import forces
from core.diagnostics.penalty import effective_negatives, relative_penalty
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.nt_xent import NTXent, nt_xent
from core.paid import Pairs, Role
from tests.core.diagnostics.clouds import one_row, square, unit


@pytest.mark.parametrize("temperature", [0.07, 0.3, 1.0])
@pytest.mark.parametrize(("loss", "params"), [(info_nce, InfoNCE), (nt_xent, NTXent)])
def test_it_is_the_push_on_each_negative_in_units_of_the_pull(loss, params, temperature: float):
    a, b = (unit(6, 4, s, torch.float64).requires_grad_() for s in (1, 2))
    paid = loss(a, b, params(temperature=temperature))
    (force,), role = forces(paid), paid.pairs[0].role
    pull = -force.masked_fill(role != Role.POSITIVE, 0).sum(dim=1, keepdim=True)
    expected = force.masked_fill(role != Role.NEGATIVE, 0) / pull
    torch.testing.assert_close(relative_penalty(paid.pairs[0], temperature=temperature), expected)


def test_the_shares_of_an_anchor_add_up_to_one_and_grow_with_the_score():
    pairs = one_row([0.9, -0.5, 0.1, 0.4, 0.8], positives=1)
    share = relative_penalty(pairs, temperature=0.2)[0]
    assert float(share.sum()) == pytest.approx(1)
    assert share[0] == 0
    assert share[1:].diff().gt(0).all()


def test_the_effective_number_never_falls_as_the_temperature_rises():
    """dH/dtau is the variance of the scores under the shares over tau cubed."""
    pairs = square(12)
    taus = [0.05, 0.1, 0.3, 1.0, 5.0]
    numbers = torch.stack([effective_negatives(pairs, temperature=tau) for tau in taus])
    assert numbers.diff(dim=0).ge(0).all()
    share = relative_penalty(pairs, temperature=0.3)
    mean = (share * pairs.scores).sum(dim=1, keepdim=True)
    slope = (share * (pairs.scores - mean).square()).sum(dim=1) / 0.3**3
    up, down = (effective_negatives(pairs, temperature=0.3 + step).log() for step in (1e-5, -1e-5))
    torch.testing.assert_close((up - down) / 2e-5, slope, rtol=1e-6, atol=1e-8)


def test_the_effective_number_at_its_ends():
    assert float(effective_negatives(one_row([0.5, *[0.2] * 7], positives=1))) == pytest.approx(7)
    assert float(effective_negatives(one_row([0.5, 0.9, -0.9], positives=1), temperature=0.01)) == pytest.approx(1)
    two = effective_negatives(one_row([0.5, 0.3, 0.3, -1.0], positives=1), temperature=0.01)
    assert float(two) == pytest.approx(2)
    shares = [1 / (1 + math.exp(-0.5)), 1 / (1 + math.exp(0.5))]
    entropy = -sum(x * math.log(x) for x in shares)
    assert float(effective_negatives(one_row([0.0, 0.1, 0.6], positives=1), temperature=1.0)) == pytest.approx(
        math.exp(entropy)
    )


def test_an_anchor_without_negatives_has_none_and_the_excluded_do_not_count():
    alone = one_row([0.5], positives=1)
    assert float(effective_negatives(alone)) == 0
    assert relative_penalty(alone).tolist() == [[0.0]]
    row = one_row([0.5, 0.2, 0.9], positives=1)
    role = row.role.clone()
    role[0, 2] = Role.EXCLUDED
    assert relative_penalty(Pairs(row.scores, role)).tolist() == [[0.0, 1.0, 0.0]]
