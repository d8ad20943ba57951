import math

import numpy as np
import pytest
import torch
from sklearn import manifold

from core.diagnostics.maps import pca_layout
from core.diagnostics.trust import structure, trustworthiness, twin
from core.diagnostics.verdicts import looks_like_noise
from tests.core.diagnostics.clouds import groups, unit


@pytest.mark.parametrize(("n", "dim", "k"), [(11, 3, 5), (60, 8, 5), (60, 8, 12), (1200, 20, 5)])
def test_it_equals_scikit_learn(n, dim, k):
    x = unit(n, dim, 1, torch.float64)
    for layout in (pca_layout(x), unit(n, 2, 5, torch.float64), x[:, :2]):
        wanted = manifold.trustworthiness(x.numpy(), layout.numpy(), n_neighbors=k)
        assert trustworthiness(x, layout, neighbours=k) == pytest.approx(wanted, abs=1e-10)
    assert trustworthiness(x.numpy(), x.numpy(), neighbours=k) == 1


def test_a_random_layout_has_about_a_half():
    seen = [trustworthiness(unit(200, 8, k), unit(200, 2, 100 + k)) for k in range(20)]
    mean, se = np.mean(seen), np.std(seen, ddof=1) / math.sqrt(20)
    assert abs(mean - 0.5) < 3 * se + 0.01


def test_data_without_differences_are_trusted_as_little_as_noise():
    """Every other item shares the middle rank n / 2, in all dimensions."""
    same = unit(1, 6, 1).expand(100, -1)
    wanted = 1 - 2 * 100 * 5 * (50 - 5) / (100 * 5 * (200 - 15 - 1))
    for layout in (pca_layout(same), unit(100, 2, 3)):
        assert trustworthiness(same, layout) == pytest.approx(wanted)
    assert wanted < 0.52


def test_shift_and_scale_of_either_change_nothing():
    x, layout = unit(50, 6, 1, torch.float64), unit(50, 2, 2, torch.float64)
    assert trustworthiness(x + 100, 5 * layout - 3) == pytest.approx(trustworthiness(x, layout))


@pytest.mark.parametrize(("places", "k"), [(9, 5), (10, 5), (10, 0)])
def test_too_many_neighbours_or_too_few_places_are_refused(places, k):
    with pytest.raises(ValueError, match="a place"):
        trustworthiness(unit(10, 4), unit(places, 2), neighbours=k)


def test_the_twin_has_the_same_columns_in_another_order_each():
    x = torch.randn(40, 6, generator=torch.Generator().manual_seed(1))
    other = twin(x)
    assert torch.equal(other.sort(dim=0).values, x.sort(dim=0).values)
    orders = {tuple((other[:, c, None] == x[None, :, c]).float().argmax(dim=1).tolist()) for c in range(6)}
    assert len(orders) == 6
    assert torch.equal(other, twin(x))
    assert not torch.equal(other, twin(x, seed=1))


def test_the_twin_of_unit_rows_lies_on_the_sphere():
    assert torch.allclose(twin(unit(40, 6, 1)).norm(dim=1), torch.ones(40))


@pytest.mark.parametrize("n", [150, 400])
@pytest.mark.parametrize("dim", [6, 16, 64])
def test_noise_has_no_structure(n, dim):
    for x in (unit(n, dim, 1), torch.randn(n, dim, generator=torch.Generator().manual_seed(2))):
        seen = structure(x, pca_layout(x))
        assert abs(seen.trust - seen.twin) < 0.05
        assert looks_like_noise(seen.trust, seen.twin, seen.exact).word == "no structure"


def test_groups_have_structure():
    x, _ = groups(200, 16, 6, noise=0.1)
    seen = structure(x, pca_layout(x))
    assert looks_like_noise(seen.trust, seen.twin, seen.exact).word == "no"
    assert seen.trust == trustworthiness(x, pca_layout(x))


def test_the_twin_is_laid_out_in_the_same_way():
    x, asked = unit(50, 6, 1), []

    def first_two(z):
        asked.append(z)
        return z[:, :2]

    seen = structure(x, first_two(x), seed=4, lay_out=first_two)
    assert torch.equal(asked[1], twin(x, 4))
    assert seen.twin == trustworthiness(twin(x, 4), twin(x, 4)[:, :2])


@pytest.mark.parametrize(("dim", "exact"), [(2, True), (3, False)])
def test_a_map_of_two_dimensions_is_the_data(dim, exact):
    x = unit(30, dim, 1)
    assert structure(x, x[:, :2]).exact == exact
