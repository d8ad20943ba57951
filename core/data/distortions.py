"""Small random changes of pictures and vectors that leave what they show as it is."""

import torch
from torch import Generator, Tensor


def _between(low: float, high: float, size: tuple[int, ...], g: Generator, like: Tensor) -> Tensor:
    """Uniform draws, made on the CPU and moved to the device of `like`."""
    return (low + (high - low) * torch.rand(size, generator=g)).to(like.device)


def moved(x: Tensor, shift: float, zoom: float, fill: float, g: Generator) -> Tensor:
    """Each picture shifted and zoomed on its own, to the nearest pixel.

    Args:
        x: (n, C, H, W).
        shift: largest shift each way, as a share of the side.
        zoom: largest change of scale, as a share.
        fill: value of what comes in from outside.
        g: a CPU generator.

    Returns:
        (n, C, H, W) on the device of `x`.
    """
    n, channels, height, width = x.shape
    scale = 1 + _between(-zoom, zoom, (n, 1), g, x)

    def places(side: int) -> Tensor:
        centred = torch.arange(side, device=x.device) - (side - 1) / 2
        offset = side * _between(-shift, shift, (n, 1), g, x)
        return (centred * scale + offset + (side - 1) / 2).round().long()

    rows, columns = places(height)[:, None, :, None], places(width)[:, None, None, :]
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    picked = x.gather(2, rows.clamp(0, height - 1).expand(n, channels, height, width))
    picked = picked.gather(3, columns.clamp(0, width - 1).expand(n, channels, height, width))
    return torch.where(inside, picked, fill)


def contrasted(x: Tensor, change: float, background: float, g: Generator) -> Tensor:
    """(n, C, H, W): the distance of each channel of each picture from `background`, times 1 plus or minus `change`."""
    factor = 1 + _between(-change, change, (*x.shape[:2], 1, 1), g, x)
    return background + (x - background) * factor


def noisy(x: Tensor, strength: float, g: Generator) -> Tensor:
    """`x` with normal noise of standard deviation `strength` on every entry."""
    return x + strength * torch.randn(x.shape, generator=g).to(x.device)
