import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from core.diagnostics.isotropy import chance_isoscore, isoscore, isotropy
from tests.core.diagnostics.clouds import unit

TEXTS = unit(15, 4, 1, torch.float64).unflatten(0, (3, 5))
MASK = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 1]]).bool()


def test_it_is_one_less_the_mean_cosine_of_two_tokens_of_a_text():
    pairs = [
        float(text[i] @ text[j])
        for text, here in zip(TEXTS, MASK, strict=True)
        for i in range(5)
        for j in range(i)
        if here[i] and here[j]
    ]
    assert len(pairs) == 10 + 1 + 3
    assert isotropy(TEXTS, MASK) == pytest.approx(1 - sum(pairs) / len(pairs), abs=1e-12)


def test_a_mask_may_be_an_array_of_any_kind_and_absent_tokens_do_not_count():
    noise = torch.where(MASK[:, :, None], TEXTS, 9.0)
    for z, mask in ((TEXTS.numpy(), MASK.numpy()[:, ::-1][:, ::-1]), (TEXTS, MASK.int()), (noise, MASK.double())):
        assert isotropy(z, mask) == pytest.approx(isotropy(TEXTS, MASK), abs=1e-12)
    assert isotropy(TEXTS) == isotropy(TEXTS, torch.ones(3, 5))


def test_one_direction_has_none_and_two_opposite_tokens_the_most():
    point = unit(1, 4, 2, torch.float64)
    assert isotropy(point.expand(2, 6, 4)) == pytest.approx(0, abs=1e-12)
    assert isotropy(torch.stack([point[0], -point[0]])[None]) == pytest.approx(2)


def test_texts_of_one_token_have_no_pair():
    assert math.isnan(isotropy(TEXTS, torch.eye(3, 5)))


def test_a_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="one for each"):
        isotropy(TEXTS, MASK[:, :4])


def by_the_published_steps(z: torch.Tensor) -> float:
    """Algorithm 1 of Rudman et al. 2022, step by step."""
    n = z.shape[1]
    variances = np.diag(np.cov(PCA().fit_transform(z.numpy()).T))
    brought = math.sqrt(n) * variances / np.linalg.norm(variances)
    defect = np.linalg.norm(brought - 1) / math.sqrt(2 * (n - math.sqrt(n)))
    used = (n - defect**2 * (n - math.sqrt(n))) ** 2 / n**2
    return (n * used - 1) / (n - 1)


@pytest.mark.parametrize(("n", "dim"), [(30, 2), (60, 7), (400, 20)])
def test_isoscore_equals_its_published_steps(n, dim):
    z = unit(n, dim, 1, torch.float64) * torch.linspace(0.2, 3, dim, dtype=torch.float64) + 5
    assert isoscore(z) == pytest.approx(by_the_published_steps(z), abs=1e-10)


def test_isoscore_at_its_ends():
    line = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None] * torch.tensor([3.0, 4.0, 0.0])
    assert isoscore(line + 2) == pytest.approx(0, abs=1e-12)
    assert isoscore(torch.cat([torch.eye(4), -torch.eye(4)])) == pytest.approx(1)
    assert math.isnan(isoscore(torch.ones(5, 3)))
    assert math.isnan(isoscore(torch.rand(5, 1)))


@pytest.mark.parametrize(("n", "dim"), [(200, 16), (300, 150)])
def test_isoscore_of_random_directions_is_the_chance_level(n, dim):
    x = torch.tensor([isoscore(unit(n, dim, s)) for s in range(10)])
    assert float(x.mean()) == pytest.approx(chance_isoscore(n, dim), rel=0.02)
