"""Losses over several views, and of the hardest negatives."""

import re

import torch.nn.functional as F

from core.losses.registry import LOSSES
from core.streams import stream
from tests.golden.families import Family, Golden, close, close_gradients, leaf

MULTIVIEW = {
    "mv_infonce": "mv_infonce",
    "mv_dhel": "mv_dhel",
    "dhel_2view": "mv_dhel",
    "pvc_geometric": "mv_pvc",
    "pwe_ntxent": "mv_pwe",
    "avg_ntxent": "mv_avg",
}


def several_views(z: Golden, case: str) -> None:
    """Theirs are one view after the other, of any length; DHEL is of two."""
    name, count = re.fullmatch(r"(\w+?)_(?:N|bs?)\d+(?:_V(\d+))?", case).groups()
    entry = LOSSES[MULTIVIEW[name]]
    raw = leaf(z[f"{case}__z"])
    views = F.normalize(raw, dim=1).unflatten(0, (int(count or 2), -1))
    value = entry.pay({"views": views}, entry.params(temperature=0.5), stream(0, "golden")).total()
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_z": raw})


FAMILIES = (Family("multiview", "meta_json", r"(\w+?_(?:N|bs?)\d+(?:_V\d+)?)__\w+", several_views),)
