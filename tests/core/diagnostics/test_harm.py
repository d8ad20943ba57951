import pytest
import torch
import torch.nn.functional as F

from core.diagnostics.harm import harm
from core.streams import stream


def classes(seed: int, per_class: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    """Unit rows about three axes of four dimensions, class by class."""
    labels = torch.arange(3).repeat_interleave(per_class)
    noise = torch.randn(len(labels), 4, generator=stream(seed, "harm"), dtype=torch.float64)
    return F.normalize(torch.eye(4, dtype=torch.float64)[labels] + 0.1 * noise, dim=1), labels


def test_a_mark_that_moves_items_to_the_target_succeeds_and_one_that_leaves_them_does_not():
    z, labels = classes(0)
    test, test_labels = classes(1)
    others = test[test_labels != 2]
    moved = F.normalize(0.2 * others + torch.eye(4, dtype=torch.float64)[2], dim=1)
    none, whole = (harm(z, labels, test, test_labels, x, goal=2) for x in (others, moved))
    assert none.accuracy == whole.accuracy == 1
    assert (none.success, whole.success) == (0, 1)
    centre = F.normalize(z[labels == 2].mean(dim=0), dim=0)
    assert none.cosine == pytest.approx(float((others @ centre).mean()))
    assert whole.cosine > 0.9 > 0.3 > none.cosine
    half = harm(z, labels, test, test_labels, torch.cat([others, moved]), goal=2)
    assert half.success == 0.5


def test_accuracy_is_that_of_the_clean_items_whatever_is_marked():
    z, labels = classes(0)
    test, _ = classes(1)
    wrong = torch.arange(60) % 3
    found = harm(z, labels, test, wrong, test)
    assert found.accuracy == pytest.approx(float((classes(1)[1] == wrong).double().mean()))
