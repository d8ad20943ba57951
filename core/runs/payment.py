"""Paying for a batch of aligned modalities: what the trainer and the pages that replay a step have in common."""

from collections.abc import Mapping
from itertools import combinations

from torch import Tensor

from core.losses.registry import LOSSES
from core.paid import Paid, joined
from core.recipe import Recipe


def modality_pairs(names: Mapping[str, object]) -> list[tuple[str, str]]:
    """Every pair of modalities, in order: each is paid for, and each is worth the same."""
    return list(combinations(names, 2))


def pay_all(
    recipe: Recipe,
    z: Mapping[str, Tensor],
    labels: Tensor,
    learned: Mapping[str, Tensor],
    mixed: Mapping[str, Tensor] | None = None,
    margin: Tensor | None = None,
) -> Paid:
    """What the recipe's loss asks of every pair of modalities.

    Args:
        recipe: whose loss and mixing side count.
        z: modality -> (n, D) unit embeddings.
        labels: (n,) classes, for losses that need them.
        learned: vocabulary name -> () learned scalar.
        mixed: modality -> (n, D) embeddings of mixed anchors; they take the mixing's side of each pair.
        margin: (n,) instead of the loss's own.
    """
    entry = LOSSES.of(recipe.loss)
    given = dict(learned)
    if margin is not None and "margin" in entry.inputs:
        given["margin"] = margin
    if entry.inputs.get("labels"):
        given["labels"] = labels
    pairs = modality_pairs(z)
    parts = []
    for m, n in pairs:
        a, b = z[m], z[n]
        if mixed is not None:
            a, b = (mixed[m], b) if recipe.mixing.side == "a" else (a, mixed[n])
        paid = entry.call(a=a, b=b, p=recipe.loss, **given)
        parts.append((f"{m}_{n}" if len(pairs) > 1 else "", paid.scaled(1 / len(pairs)) if len(pairs) > 1 else paid))
    return joined(parts)
