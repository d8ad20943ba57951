"""Runs made by hand, with embeddings that no training would have to reach first."""

from collections.abc import Mapping

import numpy as np

from core.data.loading import load
from core.runs.folder import RunFolder, write_arrays, write_json
from core.runs.worker import prepare
from tests.dashboard.apps import SMALL, recipe_of


def unit(n: int, dim: int, seed: int = 0) -> np.ndarray:
    """(n, dim) random unit rows, float32."""
    x = np.random.default_rng(seed).normal(size=(n, dim))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


def plant(z: Mapping[str, np.ndarray], **changes: str) -> RunFolder:
    """A finished run on points in clusters whose embeddings are `z`, at its end and, for its probe, at every step.

    Args:
        z: modality (left and right) -> (N, D) unit rows of all 120 items.
        changes: to the small recipe; dots are written as two underscores.
    """
    dim = next(iter(z.values())).shape[1]
    wanted = SMALL | {"encoder.dim": str(dim)} | {key.replace("__", "."): value for key, value in changes.items()}
    recipe = recipe_of(wanted)
    run, data = prepare(recipe), load(recipe.data)
    items = data.split.train.numpy()
    write_arrays(run.path / "embeddings.npz", z)
    for step in (0, recipe.steps):
        arrays = {f"z.{name}": value[items] for name, value in z.items()}
        write_arrays(run.path / "snapshots" / f"{step}.npz", {"items": items} | arrays)
    lines = "".join(f'{{"step": {step}, "loss": 2.0}}\n' for step in range(recipe.steps + 1))
    (run.path / "metrics.jsonl").write_text(lines)
    write_json(run.path / "result.json", {"metrics": {}, "timing": {}})
    run.say("done")
    return run
