"""Which items meet: samplers, and the losses that come with them, of their authors' own code."""

import torch
from torch import Tensor

from core.losses.clip import Clip, clip
from core.procedures.cluster_batches import ClusterBatches, cluster_batches
from tests.golden.families import Family, Golden, close, close_gradients, leaf


def within_clusters(z: Golden, case: str) -> None:
    """Their order of the items within a cluster is a draw; which cluster each batch is of is none."""
    if case != "sampler":
        image, text = leaf(z[f"{case}__img"]), leaf(z[f"{case}__txt"])
        value = clip(image, text, Clip(temperature=0.07)).total()
        close(value, z[f"{case}__loss"])
        close_gradients(z, value, {f"{case}__grad_img": image, f"{case}__grad_txt": text})
        return
    clusters = z["sampler__pseudo_label"]
    for seed in range(3):
        order: Tensor = torch.randperm(len(clusters), generator=torch.Generator().manual_seed(seed))
        met = clusters[cluster_batches(clusters, order, ClusterBatches(batch=8))]
        assert torch.equal(met[:, 0], z["sampler__batch_cluster"])
        assert torch.equal((met == met[:, :1]).all(dim=1), z["sampler__pure"])


FAMILIES = (
    Family(
        "mcl_multistage",
        r"meta_json|clip_N\d+__(?:img|txt)|sampler__pseudo_label",
        r"(clip_N\d+)__(?:loss|grad_\w+)|(sampler)__(?:batch_cluster|pure)",
        within_clusters,
    ),
)
