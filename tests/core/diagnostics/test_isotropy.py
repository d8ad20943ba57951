import math

import pytest
import torch

from core.diagnostics.isotropy import isotropy
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
