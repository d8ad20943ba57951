"""What a page has open: a run with the data it was trained on, or the arrays of a file as they are."""

from typing import Any

import numpy as np

from core.data.loading import load
from core.data.npz import Npz, read
from core.data.registry import DataSet
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.folder import RunFolder, runs_home
from core.runs.worker import recipe_of


def open_run(folder: str) -> tuple[RunFolder, Recipe, DataSet]:
    """A run of the user's, its recipe, and its data.

    Raises:
        Refusal: if the run is damaged, its data cannot be loaded, or they are not what it was trained on.
    """
    run = RunFolder(runs_home() / folder)
    recipe = recipe_of(run)
    data = load(recipe.data)
    known = run.environment().get("data", data.digest)
    if known != data.digest:
        raise Refusal(
            f"Run {folder} was trained on other data than '{recipe.data.kind}' holds now; train it again to look at it"
        )
    return run, recipe, data


def readable(run: RunFolder) -> bool:
    """Whether anything was recorded, by a whole recipe that this version understands."""
    try:
        recipe_of(run)
        whole = run.recipe().keys() >= {"data", "loss", "mixing", "seed"}
    except Refusal:
        return False
    return whole and len(run.snapshots()) > 1


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
