"""From a trained recipe to numbers: what the tasks on aligned modalities measure, on a part that was asked for."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import torch
from torch import Tensor

from core.data.loading import load
from core.data.registry import DataSet, Split
from core.diagnostics.missing import along_rates, every_subset, outcomes
from core.diagnostics.retrieval import every_way
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.trainer import Trainer, choose_device

RATES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
CHECK = 20
JOINT = "joint, of all modalities"
Numbers = dict[str, float]
Embeddings = Mapping[str, Tensor]
Alive = Callable[[], None]


class Diverged(ArithmeticError):
    """Training whose embeddings are no longer finite numbers."""


def blind(data: DataSet) -> DataSet:
    """The same data without its test part: what tuning is given, so that it has nothing to leak."""
    none = torch.empty(0, dtype=torch.int64)
    return replace(data, split=Split(data.split.train, data.split.validation, none))


def embed(recipe: Recipe, data: DataSet, alive: Alive) -> dict[str, Tensor]:
    """Train a recipe to its last step; modality -> (N, D) unit embeddings of the items of `data.split`, NaN elsewhere.

    Where the recipe has a joint encoder, its embeddings stand under `JOINT`.

    Args:
        recipe: what to train.
        data: its data set; `blind` to keep the test part out.
        alive: called now and then; whoever wants to stop raises there.

    Raises:
        Diverged: if an embedding is not finite.
    """
    trainer = Trainer(recipe, data, choose_device())
    while trainer.step < recipe.steps:
        if trainer.step % CHECK == 0:
            alive()
        trainer.advance()
    items = torch.cat([data.split.train, data.split.validation, data.split.test])
    rows_of = trainer.embed(items.to(trainer.device))
    joint = trainer.embed_jointly(items.to(trainer.device))
    z = {}
    for name, rows in (rows_of if joint is None else rows_of | {JOINT: joint}).items():
        found = rows.cpu()
        if not bool(torch.isfinite(found).all()):
            raise Diverged(f"the embeddings of {name} are not finite after {recipe.steps} steps")
        z[name] = torch.full((len(data), found.shape[1]), torch.nan).index_copy(0, items, found)
    return z


def check_several(recipe: Recipe) -> None:
    """Refuse a recipe whose data has one modality: nothing can go missing, and nothing can be found across."""
    names = [m.name for m in load(recipe.data).modalities]
    if len(names) < 2:
        raise Refusal(
            f"the data has one modality ({', '.join(names)}), and this experiment needs two or more; "
            "choose data with several modalities"
        )


def retrieval_numbers(z: Embeddings, data: DataSet, items: Tensor) -> Numbers:
    """Recalls and median rank, each the mean over all ordered pairs of modalities, and the R@1 of each.

    Args:
        z: modality -> (N, D) unit embeddings.
        data: where they come from.
        items: (n,) the part that is measured; queries and gallery.
    """
    ways = every_way({name: rows[items] for name, rows in z.items()})
    numbers = {
        name: sum(getattr(found, name) for found in ways.values()) / len(ways)
        for name in ("r1", "r5", "r10", "median_rank")
    }
    return numbers | {f"r1.{source}_{to}": found.r1 for (source, to), found in ways.items()}


def missing_numbers(z: Embeddings, data: DataSet, items: Tensor) -> Numbers:
    """5-NN accuracy with every subset of the modalities, its mean over the subsets, and along the drop rate.

    Arguments as for `retrieval_numbers`; the vote is among the training items. With a joint encoder, its embeddings
    stand for complete items.
    """
    train, joint = data.split.train, z.get(JOINT)
    alone = {name: rows for name, rows in z.items() if name != JOINT}
    found = outcomes(
        {name: rows[train] for name, rows in alone.items()},
        data.labels[train],
        {name: rows[items] for name, rows in alone.items()},
        data.labels[items],
        None if joint is None else (joint[train], joint[items]),
    )
    subsets = {f"accuracy.{'+'.join(subset.present)}": subset.accuracy for subset in every_subset(found)}
    dropped = {f"dropped.{round(100 * at.rate)}": at.accuracy.mean for at in along_rates(found, RATES)}
    return {"mean": sum(subsets.values()) / len(subsets)} | subsets | dropped
