"""torch's optimisers without torch's compiler, which they import at their first step, for two seconds.

Their arithmetic is torch's own. Nothing here is compiled, so that there is no graph to be broken around a step.
"""

import inspect

import torch


class _Uncompiled(torch.optim.Optimizer):
    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


class Adam(_Uncompiled, torch.optim.Adam):
    """`torch.optim.Adam`, to the bit; not `differentiable`."""


class AdamW(_Uncompiled, torch.optim.AdamW):
    """`torch.optim.AdamW`, to the bit; not `differentiable`."""
