"""Losses over whitened views, sequences and maps, of their authors' own code."""

import torch

from core.losses.ts_forecast import TSForecast, TSMoCo, ts_forecast, ts_moco
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


def hierarchy(z: Golden, case: str) -> None:
    """The loss in all; one part alone is the first scale with all the weight on it."""
    form = case.rsplit("_", 1)[0]
    settings: dict[str, dict[str, object]] = {
        "hier_default": {},
        "hier_norm": {"normalise": True},
        "hier_as_called_True": {"as_released": True, "normalise": True},
        "hier_as_called_False": {"as_released": True},
        "inst": {"alpha": 1.0, "scales": 1},
        "temp": {"alpha": 0.0, "scales": 1},
    }
    z1, z2 = leaf(z[f"{case}__z1"]), leaf(z[f"{case}__z2"])
    value = ts_forecast(z1, z2, TSForecast.model_validate(settings[form])).total()
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_z1": z1, f"{case}__grad_z2": z2})


def series_and_queue(z: Golden, case: str) -> None:
    if not case.startswith("moco"):
        hierarchy(z, case)
        return
    q, k = leaf(z[f"{case}__q"]), leaf(z[f"{case}__k"])
    unit = "l2normTrue" in case
    value = ts_moco(q, k, z[f"{case}__queue"].T, TSMoCo(normalise=unit, as_released=unit)).total()
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_q": q, f"{case}__grad_k": k})


FAMILIES = (
    Family("ts_forecast", "meta_json", r"(\w+?_N\d+)__\w+", series_and_queue),
    Family(
        "whitenedcse",
        r"N\d+_x|N\d+_shuf1_perms|temp|groups",
        r"(N\d+_shuf[01])_(?!perms).*",
        whitened_views,
    ),
)
