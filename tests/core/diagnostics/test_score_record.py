import math
from statistics import mean, variance

import pytest
import torch

from core.diagnostics.score_record import COLUMNS, score_lines, score_record
from core.paid import Pairs, Role
from core.streams import stream

P, N, X, S = Role.POSITIVE, Role.NEGATIVE, Role.EXCLUDED, Role.SYNTHETIC


def drawn(roles: list[list[int]]) -> Pairs:
    scores = torch.rand((len(roles), len(roles[0])), generator=stream(3), dtype=torch.float64) * 2 - 1
    return Pairs(scores.requires_grad_(), torch.tensor(roles, dtype=torch.int8))


def test_equals_a_slow_loop_with_roles_anywhere():
    pairs = drawn([[P, N, N, N, X], [N, X, S, P, N], [N, P, P, N, N]])
    record = score_record(pairs, temperature=0.5, half=False)
    assert not record.requires_grad
    for row, scores, roles in zip(record.tolist(), pairs.scores.tolist(), pairs.role.tolist(), strict=True):
        far = [s for s, role in zip(scores, roles, strict=True) if role in (N, S)]
        near = [s for s, role in zip(scores, roles, strict=True) if role == P]
        weighed = [mean(math.exp(s / 0.5) for s in part) for part in (far, near)]
        assert row == pytest.approx([mean(far), variance(far), mean(near), *weighed], rel=1e-12)


def test_the_first_three_columns_are_stored_in_half_precision_and_the_others_are_not():
    pairs = drawn([[P, N, N, N], [N, N, N, P]])
    exact, stored = (score_record(pairs, half=half) for half in (False, True))
    assert torch.equal(stored[:, :3], exact[:, :3].half().double())
    assert not torch.equal(stored[:, :3], exact[:, :3])
    assert torch.equal(stored[:, 3:], exact[:, 3:])


def test_one_negative_has_no_variance_and_none_has_no_mean():
    record = score_record(drawn([[P, N, X], [P, X, X]]))
    assert record.isnan().tolist() == [[False, True, False, False, False], [True, True, False, True, False]]


def test_the_lines_are_averages_over_the_anchors():
    record = torch.tensor([[0.1, 0.02, 0.8, 1.0, 9.0], [0.3, 0.04, 0.6, 1.0, 9.0]], dtype=torch.float64)
    lines = score_lines(record)
    assert lines.negative_mean == pytest.approx(0.2)
    assert lines.negative_variance == pytest.approx(0.03)
    assert lines.positive_mean == pytest.approx(0.7)
    assert lines.positive_variance == pytest.approx(0.01)
    with pytest.raises(ValueError, match=f"got 4 columns where {len(COLUMNS)} are expected"):
        score_lines(record[:, :4])


def test_random_unit_vectors_give_the_stated_chance_levels():
    z = torch.nn.functional.normalize(torch.randn(2000, 64, generator=stream(1), dtype=torch.float64), dim=1)
    role = torch.full((2000, 2000), int(N), dtype=torch.int8).fill_diagonal_(X)
    role[:, 0] = P
    role[0, 1] = P
    record = score_record(Pairs(z @ z.T, role), half=False)[2:].mean(0)
    assert record[:3].tolist() == pytest.approx([0, 1 / 64, 0], abs=0.01)
