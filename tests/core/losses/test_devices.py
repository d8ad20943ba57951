"""Plans draw on the CPU and plan where the inputs are; what they plan there is what they plan here."""

import pytest
import torch

from core.losses.registry import LOSSES, LossEntry
from core.streams import stream
from tests.core.elsewhere import Far, elsewhere, here, there
from tests.core.losses.batches import batches

CASES = [
    pytest.param(entry, variant, id=f"{entry.key}-{number}")
    for entry in LOSSES
    if entry.plan is not None
    for number, variant in enumerate(entry.variants)
]


@pytest.mark.parametrize(("entry", "variant"), CASES)
def test_a_plan_of_inputs_on_another_device_is_the_same_and_pays_the_same(entry: LossEntry, variant: dict):
    p = entry.params(**variant)
    for batch in batches(entry):
        given = {name: value for name, value in batch.items() if name not in entry.planned}
        expected = entry.complete(given, p, stream(0, "plan"))
        with elsewhere():
            found = entry.complete(there(given), p, stream(0, "plan"))
            paid = entry.call(**found, p=p).total()
        assert all(isinstance(found[name], Far) for name in entry.planned)
        exact = {"rtol": 1e-9, "atol": 1e-12}
        torch.testing.assert_close(here(found), expected, **exact)
        torch.testing.assert_close(here(paid), entry.call(**expected, p=p).total(), **exact)
