"""Losses over whitened views, sequences and maps, of their authors' own code."""

import torch
import torch.nn.functional as F

from core.losses.autotcl import MMD, AutoTCL, autotcl
from core.losses.local_global import (
    GlobalVolumes,
    LocalGlobal,
    LocalRegions,
    global_volumes,
    local_global,
    local_regions,
)
from core.losses.pcl_sr import PCLSR, DualContrast, dual_contrast, pcl_sr
from core.losses.registry import LOSSES
from core.losses.series_bound import SeriesBound, series_bound
from core.losses.series_dcl import SeriesDCL, series_dcl
from core.losses.ts_forecast import TSForecast, TSMoCo, ts_forecast, ts_moco
from core.losses.whitenedcse import WhitenedCSE, whitenedcse
from core.procedures.group_whitening import GroupWhitening, group_whitening, whitening_matrix
from core.streams import stream
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


def series(z: Golden, case: str) -> None:
    """The parts of AutoTCL, and both contrasts of whole series; inst and temp are the first scale of the hierarchy."""
    size, kind = case.split("_", 1)
    z1, z2 = leaf(z[f"{size}_z1"]), leaf(z[f"{size}_z2"])
    given = {"sequence": z1, "other_sequence": z2}
    start = torch.tensor(0)
    if kind == "mmdx":
        value = LOSSES["mmd"].pay(given, MMD(), stream(0, "golden")).total()
    elif kind in ("inst", "temp"):
        value = ts_forecast(z1, z2, TSForecast(alpha=float(kind == "inst"), scales=1)).total()
    elif kind == "L1out":
        value = series_dcl(z1, z2, SeriesDCL(as_released=True)).total()
    elif kind == "l1Out":
        value = series_bound(z1, z2, SeriesBound(as_released=True)).total()
    elif kind.startswith("local"):
        p = AutoTCL(windows=int(kind.split("_k")[1]), local=1.0, as_released=True)
        value = autotcl(z1, z2, start, p).terms["local"].value()
    else:
        p = AutoTCL(temperature=0.2 if kind.endswith("t0.2") else 1.0, local=0)
        value = autotcl(z1, z2, start, p).total()
    close(value, z[f"{case}_loss"])
    found = {f"{case}_g1": z1, f"{case}_g2": z2}
    close_gradients(z, value, {name: x for name, x in found.items() if name in z})


def feature_maps(z: Golden, case: str) -> None:
    if case.startswith("dual"):
        real, fake = leaf(z[f"{case}__real"]), leaf(z[f"{case}__fake"])
        value = dual_contrast(real, fake, DualContrast()).total()
        close(value, z[f"{case}__loss"])
        close_gradients(z, value, {f"{case}__grad_real": real, f"{case}__grad_fake": fake})
        return
    sr, hr, lr = (leaf(z[f"{case}__{name}"]) for name in ("sr", "hr", "lr"))
    value = pcl_sr(sr, hr, lr, PCLSR(decoupled=case.startswith("lmcl"))).total()
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_{name}": x for name, x in (("sr", sr), ("hr", hr), ("lr", lr))})


def slices(z: Golden, case: str) -> None:
    """Rows are the slices and both their views, block by block; parts of the volumes follow each other in fours."""
    x = leaf(z[f"{case}__z"])
    views = F.normalize(x, dim=-1).unflatten(0, (3, -1))
    value = local_global(views, torch.arange(views.shape[1]) % 4, LocalGlobal()).total()
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_z": x})


def volumes(z: Golden, case: str) -> None:
    """Four parts of a volume, then their views, volume by volume; in the code each volume meets the next in a ring."""
    x = leaf(z[f"{case}__z"])
    views = F.normalize(x, dim=-1).unflatten(0, (-1, 2, 4)).transpose(0, 1).flatten(1, 2)
    place = torch.arange(views.shape[1])
    value = global_volumes(views, place % 4, (place + 4) % len(place), GlobalVolumes(as_released=True)).total()
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_z": x})


def regions(z: Golden, case: str) -> None:
    """Two views of one image follow each other."""
    y = leaf(z[f"{case}__y"])
    maps = y.permute(0, 3, 1, 2)
    places = (z[f"{case}__{name}_idx"].long() for name in ("pos", "neg"))
    p = LocalRegions(side=int(case[len("local_reg")]))
    value = local_regions(maps[::2], maps[1::2], *places, p).total()
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_y": y})


def slices_or_regions(z: Golden, case: str) -> None:
    {"global_exp1": slices, "global_exp2": volumes}.get(case.rsplit("_", 1)[0], regions)(z, case)


FAMILIES = (
    Family(
        "pcl_sr",
        "meta_json",
        r"((?:nce|lmcl|dual_D)_N\d+)__\w+",
        feature_maps,
    ),
    Family(
        "local_global",
        "meta_json",
        r"((?:global_exp[12]|local_reg\dx\d)_bs?\d+)__\w+",
        slices_or_regions,
    ),
    Family(
        "autotcl",
        r"N\d+_z[12]",
        r"(N\d+_(?:infoNCE(?:_t[\d.]+)?|mmdx|local_infoNCE_k\d+|inst|temp|L1out|l1Out))_(?:loss|g1|g2)",
        series,
    ),
    Family("ts_forecast", "meta_json", r"(\w+?_N\d+)__\w+", series_and_queue),
    Family(
        "whitenedcse",
        r"N\d+_x|N\d+_shuf1_perms|temp|groups",
        r"(N\d+_shuf[01])_(?!perms).*",
        whitened_views,
    ),
)
