"""What a page has open: a run with the data it was trained on, or the arrays of a file as they are."""

from core.data.embeddings import file_embeddings as file_embeddings
from core.data.loading import load
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
