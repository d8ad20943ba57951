"""What a page has open: a run with the data it was trained on, or the arrays of a file as they are."""

import numpy as np
import torch.nn.functional as F

from core.data.loading import load
from core.data.registry import DataSet
from core.params import Params
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
    """Whether anything was recorded, by a recipe that this version understands."""
    try:
        recipe_of(run)
    except Refusal:
        return False
    return len(run.snapshots()) > 1


def file_embeddings(p: Params) -> tuple[DataSet, dict[str, np.ndarray]]:
    """A data set, and modality -> (N, D) its vectors brought to length 1, for embeddings that were made elsewhere.

    Raises:
        Refusal: if the data cannot be loaded, or hold no vectors.
    """
    data = load(p)
    vectors = {m.name: m.values for m in data.modalities if m.form == "vector" and not isinstance(m.values, tuple)}
    if not vectors:
        raise Refusal(
            f"'{data.title}' holds no vectors, which are needed to read it as embeddings; train on it instead"
        )
    return data, {name: F.normalize(values.float(), dim=1).numpy() for name, values in vectors.items()}
