"""What the losses that read a batch's statistics share."""

from torch import Tensor

from core.losses.banks import exactly

EPSILON = 1e-5  # added to every variance, as batch normalisation does
OF_DIMENSIONS = "it pays for dimensions and not for pairs: how a pair moves depends on the whole batch"


def standardised(z: Tensor) -> Tensor:
    """(..., B, D) every dimension less its mean over the batch, over its standard deviation; in float32 at least.

    A dimension that does not vary is 0.
    """
    exact = exactly(z)
    centred = exact - exact.mean(dim=-2, keepdim=True)
    return centred * (centred.square().mean(dim=-2, keepdim=True) + EPSILON).rsqrt()
