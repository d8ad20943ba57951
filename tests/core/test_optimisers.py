"""Optimisers without a compiler: torch's own numbers."""

import copy

import pytest
import torch

from core import optimisers


@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("name", ["Adam", "AdamW"])
def test_it_goes_torchs_way_to_the_last_bit_also_from_a_state_that_was_kept(name, fused):
    ways = []
    for kind in (getattr(torch.optim, name), getattr(optimisers, name)):
        g = torch.Generator().manual_seed(0)
        weights = torch.nn.Parameter(torch.randn(4, 3, generator=g))
        optimiser = kind([{"params": [weights], "weight_decay": 0.1}], lr=0.01, fused=fused)
        for step in range(6):
            optimiser.zero_grad()
            (weights.tanh() * torch.randn(4, 3, generator=g)).sum().backward()
            assert optimiser.step() is None
            if step == 2:
                kept = copy.deepcopy(optimiser.state_dict())
                optimiser = kind([{"params": [weights], "weight_decay": 0.1}], lr=0.5, fused=fused)
                optimiser.load_state_dict(kept)
        assert not weights.grad.eq(0).all()
        ways.append((weights.detach(), optimiser.state_dict()))
    (weights, state), (same, kept) = ways
    assert torch.equal(weights, same)
    assert state["param_groups"] == kept["param_groups"]
    assert all(torch.equal(state["state"][0][key], value) for key, value in kept["state"][0].items())
