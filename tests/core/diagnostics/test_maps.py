import warnings

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from core.diagnostics import maps
from core.diagnostics.maps import COLD_EPOCHS, WARM_EPOCHS, hardly_differ, nearest, pca, pca_layout, umap_layout
from core.diagnostics.trust import structure, trustworthiness
from core.diagnostics.verdicts import looks_like_noise
from tests.core.diagnostics.clouds import groups, unit


@pytest.mark.parametrize("dims", [1, 2, 5])
def test_pca_equals_scikit_learn_up_to_the_sign(dims):
    x = unit(80, 5, 1, torch.float64) * torch.tensor([5.0, 3.0, 2.0, 1.0, 0.5])
    wanted = PCA(dims).fit(x.numpy())
    found = pca(x, dims=dims)
    assert np.allclose(found.axes.T.abs().numpy(), np.abs(wanted.components_), atol=1e-10)
    assert np.allclose(found.project(x).abs().numpy(), np.abs(wanted.transform(x.numpy())), atol=1e-10)
    assert found.explained == pytest.approx(wanted.explained_variance_ratio_.tolist())


def test_the_sign_makes_the_largest_entry_of_each_axis_positive():
    x = unit(40, 6, 1, torch.float64)
    axes = pca(x, dims=4).axes
    assert bool((axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)) > 0).all())
    assert torch.allclose(pca_layout(x), pca_layout(x.flip(0)).flip(0), atol=1e-10)
    assert torch.allclose(pca_layout(-x), -pca_layout(x), atol=1e-10)


def test_a_basis_lays_out_other_embeddings_without_moving():
    last = unit(50, 8, 1, torch.float64)
    basis = pca(last)
    first = last + 0.1 * unit(50, 8, 2, torch.float64)
    assert torch.allclose(basis.project(last), pca_layout(last))
    assert torch.allclose(basis.project(first), (first - last.mean(dim=0)) @ basis.axes)
    assert basis.project(first.float()).dtype == torch.float64


def test_a_constant_has_no_axis_that_explains_it():
    found = pca(unit(1, 4, 1).expand(9, -1))
    assert found.explained == (0, 0)
    assert float(found.project(unit(1, 4, 1)).abs().max()) < 1e-6


@pytest.mark.parametrize("dims", [0, 5])
def test_there_are_at_most_as_many_axes_as_dimensions(dims):
    with pytest.raises(ValueError, match="at most as many"):
        pca(unit(9, 4), dims=dims)


@pytest.mark.parametrize("n", [20, 1500])
def test_neighbours_equal_scikit_learn(n):
    x = 3 + unit(n, 6, 1, torch.float64)
    indices, distances = nearest(x, 5)
    wanted = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(x.numpy()).kneighbors()
    assert np.allclose(distances, wanted[0], atol=1e-9)
    assert np.array_equal(indices, wanted[1])


@pytest.mark.parametrize("k", [0, 4])
def test_neighbours_are_other_items(k):
    with pytest.raises(ValueError, match="fewer neighbours"):
        nearest(unit(4, 3), k)


@pytest.mark.parametrize(("noise", "tiny"), [(5e-4, True), (2e-3, False), (0.0, True)])
def test_items_that_hardly_differ_are_seen(noise, tiny):
    away = torch.randn(400, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) / 3
    assert hardly_differ(7 * (unit(1, 9, 1, torch.float64) + noise * away)) == tiny


class Recorder:
    """Stands in for umap-learn: keeps what it is given and returns the start, turned by the order of the rows."""

    calls: list[dict] = []  # noqa: RUF012

    def __init__(self, **given):
        self.given = given
        self.calls.append(given)

    def fit_transform(self, x):
        torch.set_num_threads(torch.get_num_threads() + 1)
        self.given["x"] = x
        return self.given["init"] + np.array([100.0, -50.0], dtype=np.float32)


@pytest.fixture
def recorded(monkeypatch):
    monkeypatch.setattr(maps, "_umap", lambda: Recorder)
    monkeypatch.setattr(Recorder, "calls", [])
    return Recorder.calls


def test_umap_gets_exact_neighbours_of_shuffled_rows(recorded):
    x = unit(60, 7, 1)
    umap_layout(x, neighbours=6, min_dist=0.2, spread=0.8)
    (given,) = recorded
    assert not np.array_equal(given["x"], x.numpy())
    assert np.array_equal(np.sort(given["x"], axis=0), np.sort(x.numpy(), axis=0))
    distances, indices = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(given["x"]).kneighbors()
    assert np.array_equal(given["precomputed_knn"][0], np.column_stack([np.arange(60), indices]))
    assert np.allclose(given["precomputed_knn"][1], np.column_stack([np.zeros(60), distances]), atol=1e-5)
    assert (given["n_neighbors"], given["min_dist"], given["spread"], given["n_jobs"]) == (6, 0.2, 0.8, 1)


def test_umap_starts_from_pca_and_gives_the_rows_back_in_order(recorded):
    x = unit(60, 7, 1)
    found = umap_layout(x)
    assert not found.tiny
    start = pca_layout(x)
    assert torch.allclose(found.coordinates, 10 * start / start.abs().max(), atol=1e-3)
    assert recorded[0]["n_epochs"] == COLD_EPOCHS


def test_an_earlier_layout_is_a_warm_start_and_keeps_its_place(recorded):
    x, start = unit(60, 7, 1), 4 + unit(60, 2, 2)
    found = umap_layout(x, start.numpy())
    away = start - start.mean(dim=0)
    assert torch.allclose(found.coordinates, start.mean(dim=0) + 10 * away / away.abs().max(), atol=1e-3)
    umap_layout(x, start, epochs=7)
    assert [given["n_epochs"] for given in recorded] == [WARM_EPOCHS, 7]


def test_a_seed_decides_the_order_and_the_draws(recorded):
    for seed in (0, 0, 1):
        umap_layout(unit(30, 7, 1), seed=seed)
    one, same, other = recorded
    assert np.array_equal(one["x"], same["x"])
    assert np.array_equal(one["init"], same["init"])
    assert one["random_state"] == same["random_state"] != other["random_state"]
    assert not np.array_equal(one["x"], other["x"])


def test_few_items_have_few_neighbours_and_a_flat_start_is_no_line(recorded):
    x = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.6, 0.0, 0.8], [0.8, 0.0, 0.6]])
    umap_layout(x, torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 1.0], [3.0, 1.0]]))
    assert recorded[0]["n_neighbors"] == 3
    assert recorded[0]["precomputed_knn"][0].shape == (4, 3)
    assert float(np.ptp(recorded[0]["init"], axis=0).min()) > 0


def test_items_that_hardly_differ_are_not_given_to_umap(recorded):
    x = unit(1, 5, 1).expand(20, -1) + 1e-5 * unit(20, 5, 2)
    found = umap_layout(x)
    assert found.tiny
    assert torch.equal(found.coordinates, pca_layout(x))
    assert recorded == []


@pytest.mark.parametrize("wrong", [{"min_dist": 1.1}, {"min_dist": 0.5, "spread": 0.4}, {"min_dist": -0.1}])
def test_min_dist_may_not_exceed_spread(recorded, wrong):
    with pytest.raises(ValueError, match="lower min_dist"):
        umap_layout(unit(9, 4), **wrong)
    assert recorded == []


@pytest.mark.parametrize(
    ("n", "given"),
    [(2, {}), (9, {"neighbours": 1}), (9, {"start": torch.zeros(8, 2)}), (9, {"start": torch.zeros(9, 3)})],
)
def test_umap_needs_three_items_two_neighbours_and_a_place_for_each(n, given):
    with pytest.raises(ValueError, match="at least 3 items"):
        umap_layout(unit(n, 4), **given)


def test_umap_itself_draws_the_groups_repeats_itself_and_finds_no_structure_in_noise():
    x, labels = groups(200, 64, 10)
    found = umap_layout(x, neighbours=10).coordinates
    near, _ = nearest(found, 5)
    assert float((labels[near] == labels[:, None]).float().mean()) > 0.98
    assert torch.equal(found, umap_layout(x, neighbours=10).coordinates)
    warm = umap_layout(x, found, neighbours=10).coordinates
    order = torch.randperm(len(found), generator=torch.Generator().manual_seed(0))
    elsewhere = umap_layout(x, found[order], neighbours=10).coordinates
    moved, control = (float((layout - found).norm(dim=1).median()) for layout in (warm, elsewhere))
    assert moved < 0.5 * control

    def again(z: torch.Tensor) -> torch.Tensor:
        return umap_layout(z, neighbours=10).coordinates

    seen = structure(x, found, lay_out=again)
    assert looks_like_noise(seen.trust, seen.twin).word == "no"
    noise = unit(300, 16, 3)
    drawn = again(noise)
    seen = structure(noise, drawn, lay_out=again)
    assert seen.trust == trustworthiness(noise, drawn)
    assert abs(seen.trust - seen.twin) < 0.05
    assert looks_like_noise(seen.trust, seen.twin).word == "no structure"
    from umap import umap_

    for slow in (umap_.smooth_knn_dist, umap_.compute_membership_strengths):
        assert slow.stats.cache_hits or slow.stats.cache_misses, "what numba compiled is not kept on disk"


def test_the_threads_of_torch_are_put_back(recorded):
    threads = torch.get_num_threads()
    umap_layout(unit(9, 4))
    assert torch.get_num_threads() == threads


def test_no_warning_of_the_caller_is_lost(recorded):
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        umap_layout(unit(9, 4))
        warnings.warn("after", UserWarning, stacklevel=1)
    assert [str(w.message) for w in heard] == ["after"]
