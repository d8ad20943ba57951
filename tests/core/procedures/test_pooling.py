import pytest
import torch

from core.procedures.pooling import PatchPooling, patch_pooling


def test_each_region_is_the_mean_of_its_quarter_of_the_grid():
    row, column = torch.meshgrid(torch.arange(4), torch.arange(4), indexing="ij")
    patches = torch.stack([row, column], dim=-1).double().reshape(1, 16, 2)
    assert patch_pooling(patches, PatchPooling())[0].tolist() == [[0.5, 0.5], [0.5, 2.5], [2.5, 0.5], [2.5, 2.5]]


def test_sizes_and_the_mean_over_all():
    patches = torch.arange(2 * 256 * 3).double().reshape(2, 256, 3)
    regions = patch_pooling(patches, PatchPooling())
    assert regions.shape == (2, 16, 3)
    torch.testing.assert_close(regions.mean(1), patches.mean(1))


@pytest.mark.parametrize("count", [2, 4, 25, 64])
def test_other_grids_are_refused(count: int):
    with pytest.raises(ValueError, match=f"got {count} patches"):
        patch_pooling(torch.ones(1, count, 2), PatchPooling())
