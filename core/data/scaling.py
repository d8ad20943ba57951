"""Numbers on one scale, without a look at what is kept for the test."""

from torch import Tensor


def standardised(values: Tensor, train: Tensor) -> Tensor:
    """(N, F) with mean 0 and standard deviation 1 in each column over the training rows alone.

    Args:
        values: (N, F) numbers.
        train: (n,) int64, the training rows.

    Returns:
        (N, F) float32; a column that is constant in training is only shifted.
    """
    known = values[train].double()
    spread = known.std(0, correction=0)
    return ((values.double() - known.mean(0)) / spread.where(spread > 0, 1)).float()
