"""torch's optimisers without what only a compiler needs: at the first step that is imported for two seconds.

Their arithmetic is torch's own. Nothing here is compiled, so that there is no graph to be broken around a step.
"""

import inspect

import torch


class Adam(torch.optim.Adam):
    add_param_group = inspect.unwrap(torch.optim.Adam.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Adam.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Adam.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Adam.load_state_dict)
    step = torch.no_grad()(inspect.unwrap(torch.optim.Adam.step))


class AdamW(torch.optim.AdamW):
    add_param_group = Adam.add_param_group
    zero_grad = Adam.zero_grad
    state_dict = Adam.state_dict
    load_state_dict = Adam.load_state_dict
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))
