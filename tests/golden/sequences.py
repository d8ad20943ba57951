"""Losses over whitened views, sequences and maps, of their authors' own code."""

import torch

from core.losses.whitenedcse import WhitenedCSE, whitenedcse
from core.procedures.group_whitening import GroupWhitening, group_whitening, whitening_matrix
from tests.golden.families import Family, Golden, close, close_gradients, leaf


def whitened_views(z: Golden, case: str) -> None:
    """The official numbers hold the matrices fixed, in float32; those of the formula let the gradient through."""
    size = case.split("_")[0]
    channels = z[f"{size}_x"].shape[1] // int(z["groups"])
    orders = z.get(f"{case}_perms", torch.arange(z[f"{size}_x"].shape[1]).expand(3, -1))
    x = leaf(z[f"{size}_x"])
    made = group_whitening(x.unflatten(0, (3, -1)), orders, GroupWhitening(channels=channels))
    close(made.flatten(0, 1), z[f"{case}_white"])
    for kind, dtype, value, gradient in (
        ("stop", torch.float32, "loss", "gx_official"),
        ("full", torch.float64, "loss_formula64", "gx_fullgrad"),
    ):
        p = WhitenedCSE(temperature=float(z["temp"]), channels=channels, whiten_grad=kind)
        x = leaf(z[f"{size}_x"].to(dtype))
        views = x.unflatten(0, (3, -1))
        drawn = whitening_matrix(views.detach(), orders, channels, p.floor)
        paid = whitenedcse(views, orders, drawn, p).total()
        close(paid, z[f"{case}_{value}"])
        close_gradients(z, paid, {f"{case}_{gradient}": x})


FAMILIES = (
    Family(
        "whitenedcse",
        r"N\d+_x|N\d+_shuf1_perms|temp|groups",
        r"(N\d+_shuf[01])_(?!perms).*",
        whitened_views,
    ),
)
