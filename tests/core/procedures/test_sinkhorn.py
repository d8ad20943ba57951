import pytest
import torch
import torch.nn.functional as F

from core.procedures.sinkhorn import Sinkhorn, sinkhorn
from core.streams import stream


def distances(samples: int = 24, prototypes: int = 4) -> torch.Tensor:
    z = [
        F.normalize(torch.randn(n, 6, generator=stream(n, "z"), dtype=torch.float64), dim=1)
        for n in (samples, prototypes)
    ]
    return torch.cdist(*z)


def test_rows_add_up_to_1_and_columns_to_equal_parts():
    shares = sinkhorn(distances(), Sinkhorn(iterations=500))
    torch.testing.assert_close(shares.sum(1), torch.ones(24).double())
    torch.testing.assert_close(shares.sum(0), torch.full((4,), 6.0).double())


def test_the_official_sign_is_the_papers_on_turned_distances_and_prefers_the_far():
    d = distances()
    assert torch.equal(sinkhorn(d, Sinkhorn(assign_sign="official")), sinkhorn(-d, Sinkhorn()))
    near, far = (sinkhorn(d, Sinkhorn(assign_sign=sign)) for sign in ("paper", "official"))
    assert (near * d).sum() < d.mean(1).sum() < (far * d).sum()


def test_separate_groups_go_to_their_own_prototype():
    d = 1 - torch.eye(3).repeat(5, 1).double()
    assert sinkhorn(d, Sinkhorn()).argmax(1).tolist() == [0, 1, 2] * 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_smallest_smoothing_is_finite(dtype: torch.dtype):
    shares = sinkhorn(distances().to(dtype), Sinkhorn(epsilon=1e-5))
    assert shares.isfinite().all()
    torch.testing.assert_close(shares.sum(1), torch.ones(24, dtype=dtype))
