"""What the losses over whitened views and series plan."""

import torch
from torch import Tensor
from torch.testing import assert_close

from core.losses.registry import LOSSES
from core.streams import stream
from tests.core.losses.batches import example


def planned(key: str, seed: int = 0, settings: dict[str, object] | None = None, **given: Tensor) -> dict[str, Tensor]:
    entry = LOSSES[key]
    return entry.complete(given, entry.params(**settings or {}), stream(seed, "plan"))


def test_each_view_has_a_shuffle_of_its_own_unless_none_is_asked_for():
    views = torch.randn(3, 8, 40, dtype=torch.float64)
    orders = planned("whitenedcse", views=views)["channel_orders"]
    assert torch.equal(orders.sort(dim=-1).values, torch.arange(40).expand(3, 40))
    assert len(orders.unique(dim=0)) == 3
    assert torch.equal(orders, planned("whitenedcse", views=views)["channel_orders"])
    still = planned("whitenedcse", settings={"shuffle": False}, views=views)["channel_orders"]
    assert torch.equal(still, torch.arange(40).expand(3, 40))


def test_windows_begin_where_all_of_them_still_fit():
    z = example("sequence", 0)
    found = {
        int(planned("autotcl", seed, {"windows": 4}, sequence=z, other_sequence=z)["window_start"])
        for seed in range(60)
    }
    assert found == {0, 1, 2, 3}


def test_a_series_has_no_discrepancy_from_itself():
    z = example("sequence", 0)
    given = {"sequence": z, "other_sequence": z}
    entry = LOSSES["mmd"]
    assert_close(entry.pay(given, entry.params(), stream(0, "plan")).total(), torch.zeros((), dtype=torch.float64))
