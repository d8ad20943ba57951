"""Distortions against their plain meaning, pixel by pixel."""

import torch

from core.data.distortions import contrasted, moved, noisy
from core.streams import stream


def test_nothing_asked_is_nothing_done():
    x = torch.rand(4, 3, 7, 9, generator=stream(0, "x"))
    assert torch.equal(moved(x, 0, 0, 1, stream(0, "g")), x)
    assert torch.equal(noisy(x, 0, stream(0, "g")), x)
    assert torch.allclose(contrasted(x, 0, 1, stream(0, "g")), x)


def test_moved_shifts_each_picture_as_a_whole():
    side, shift = 8, 0.25
    x = torch.rand(40, 2, side, side, generator=stream(0, "x"))
    out = moved(x, shift, 0, -1, stream(0, "g"))
    seen = set()
    for picture, result in zip(x, out, strict=True):
        found = []
        for down in range(-2, 3):
            for right in range(-2, 3):
                slow = torch.full_like(picture, -1)
                for i in range(side):
                    for j in range(side):
                        if 0 <= i + down < side and 0 <= j + right < side:
                            slow[:, i, j] = picture[:, i + down, j + right]
                if torch.equal(slow, result):
                    found.append((down, right))
        assert len(found) == 1
        seen.update(found)
    assert len(seen) > 10


def test_a_zoom_keeps_the_middle_and_fills_from_outside():
    x = torch.zeros(200, 1, 9, 9)
    x[:, :, 4, 4] = 1
    out = moved(x, 0, 0.5, 5, stream(0, "g"))
    assert (out[:, 0, 4, 4] == 1).all()
    filled = (out[:, 0, 0, 0] == 5).double().mean()
    assert 0.2 < filled < 0.8


def test_contrast_is_a_factor_of_each_channel():
    x = torch.rand(6, 3, 4, 4, generator=stream(0, "x")) * 0.5 + 0.25
    out = contrasted(x, 0.3, 1, stream(0, "g"))
    factor = (out - 1) / (x - 1)
    assert (factor.amax((2, 3)) - factor.amin((2, 3))).max() < 1e-5
    assert factor.min() >= 0.7
    assert factor.max() <= 1.3
    assert factor.std() > 0.05


def test_noise_has_the_strength_asked_for():
    x = torch.zeros(200, 200)
    assert abs(float(noisy(x, 0.1, stream(0, "g")).std()) - 0.1) < 0.002
