import itertools
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor

from core.diagnostics.activation_timeline import activation_timeline, by_chance
from core.streams import stream


def series(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=stream(seed, "timeline"), dtype=torch.float64)


def test_activations_are_standardised_and_their_precision_is_that_of_their_order():
    x, bursts = series(5, 12, 3), series(5, 12, 1)[..., 0] > 0.5
    found = activation_timeline(x, bursts)
    length = np.linalg.norm(x.numpy(), axis=2)
    expected = (length - length.mean(axis=1, keepdims=True)) / length.std(axis=1, keepdims=True)
    assert found.activation.numpy() == pytest.approx(expected, rel=1e-5)
    each = [average_precision_score(m, v) for m, v in zip(bursts.numpy(), length, strict=True) if m.any()]
    assert found.precision == pytest.approx(np.mean(each), abs=1e-12)
    assert activation_timeline(x.numpy(), bursts.numpy()).precision == found.precision
    assert activation_timeline(3 * x, bursts).precision == pytest.approx(found.precision)


def test_steps_of_one_level_share_a_rank_as_in_scikit_learn():
    bursts = torch.tensor([[1, 0, 1, 0, 0, 0], [0, 1, 0, 0, 0, 1]]).bool()
    level = torch.tensor([[2, 2, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1.0]], dtype=torch.float64)
    found = activation_timeline(level[..., None], bursts)
    each = [average_precision_score(m, v) for m, v in zip(bursts.numpy(), level.numpy(), strict=True)]
    assert found.precision == pytest.approx(np.mean(each), abs=1e-12)
    assert each[1] == pytest.approx(1 / 3)


def test_chance_is_the_mean_over_all_orders():
    for steps, positives in ((5, 1), (5, 2), (5, 5), (1, 1), (6, 3)):
        every = [
            average_precision_score([k < positives for k in order], range(steps, 0, -1))
            for order in itertools.permutations(range(steps))
        ]
        assert by_chance(steps, positives) == pytest.approx(np.mean(every), abs=1e-12)


def test_sequences_without_a_burst_do_not_count_and_none_at_all_is_no_number():
    x = series(2, 6, 3)
    bursts = torch.tensor([[1, 0, 0, 0, 0, 1], [0] * 6]).bool()
    both, alone = activation_timeline(x, bursts), activation_timeline(x[:1], bursts[:1])
    assert (both.precision, both.chance) == (alone.precision, alone.chance)
    assert math.isnan(activation_timeline(x, bursts & False).precision)
    with pytest.raises(ValueError, match="one mark"):
        activation_timeline(x, bursts[:, :3])
