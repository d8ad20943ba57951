"""Embeddings that were made elsewhere: the vectors of a user's file, brought to length 1."""

from typing import Any

import numpy as np

from core.data.loading import load
from core.data.npz import Npz, read
from core.data.registry import DataSet
from core.refusal import Refusal


def file_embeddings(p: Any) -> tuple[DataSet, dict[str, np.ndarray]]:
    """A file of the user's, and array -> (N, D) its vectors brought to length 1: embeddings that were made elsewhere.

    Raises:
        Refusal: if there is no such file, or it holds no vectors, or some without a direction.
    """
    if not isinstance(p, Npz):
        raise Refusal(f"The data of this link are '{p.kind}', and a file of yours was expected; add one here")
    data, vectors = load(p), read(p.digest).vectors
    if not vectors:
        raise Refusal(f"'{data.title}' holds no vectors, and embeddings are vectors; train on it instead")
    for name, values in vectors.items():
        silent = int((np.linalg.norm(values, axis=1) == 0).sum())
        if silent:
            raise Refusal(f"{silent} rows of '{name}' are all 0, so they have no direction; drop them from the file")
    return data, {name: values / np.linalg.norm(values, axis=1, keepdims=True) for name, values in vectors.items()}
