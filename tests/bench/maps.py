"""G10: the first picture of a map, and UMAP against umap-learn's own defaults, on 1,797 digits."""

import torch
import umap

from core.data.loading import load
from core.diagnostics.maps import pca, umap_layout
from core.diagnostics.trust import trustworthiness
from core.recipe import Recipe
from tests.bench.paired import ratio, seconds


def run() -> list[tuple[str, float, str]]:
    torch.set_num_threads(1)
    data = load(Recipe.model_validate({"data": {"kind": "digits"}}).data)
    x = data.modalities[0].values
    theirs = umap.UMAP(random_state=0, n_jobs=1).fit_transform(x.numpy())
    ours = umap_layout(x)
    return [
        ("PCA, seconds", seconds(lambda: pca(x).project(x)), "<= 0.1"),
        (
            "UMAP / umap-learn at its defaults, both warm",
            ratio(lambda: umap_layout(x), lambda: umap.UMAP(random_state=0, n_jobs=1).fit_transform(x.numpy())),
            "<= 0.15",
        ),
        (
            "trustworthiness, ours minus theirs",
            trustworthiness(x, ours.coordinates) - trustworthiness(x, theirs),
            ">= -0.01",
        ),
    ]
