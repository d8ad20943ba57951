"""Losses over several views, and of the hardest negatives."""

import re

import torch
import torch.nn.functional as F

from core.diagnostics.forces import forces
from core.diagnostics.geometry import uniformity
from core.diagnostics.penalty import relative_penalty
from core.diagnostics.tolerance import tolerance
from core.losses.cacr import CACR, CACRMoCo, cacr, cacr_moco
from core.losses.info_nce import InfoNCE, info_nce
from core.losses.registry import LOSSES
from core.losses.understanding_cl import HardContrastive, SimpleContrastive
from core.params import Params
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


def hardest_alone(z: Golden, case: str) -> None:
    """With all negatives it is InfoNCE; K of them are a share of all."""
    size, name, kept = re.fullmatch(r"(\w\w?\d+)_(\S+)_K(\d+)", case).groups()
    f, g = leaf(z[f"{size}_f"]), leaf(z[f"{size}_g"])
    share = int(kept) / (len(f) - 1) if kept != "0" else 1.0
    if name == "simple":
        ways: list[tuple[str, Params]] = [("simple_contrastive", SimpleContrastive(hardest=share))]
    else:
        tau = float(name.removeprefix("t"))
        ways = [("hard_contrastive", HardContrastive(temperature=tau, hardest=share))]
        if kept == "0":
            ways.append(("info_nce", InfoNCE(temperature=tau)))
    for key, p in ways:
        value = LOSSES[key].pay({"a": f, "b": g}, p, stream(0, "golden")).total()
        close(value, z[f"{case}_loss"])
        theirs = {f"{case}_gf": f, f"{case}_gg": g}
        close_gradients(z, value, {array: x for array, x in theirs.items() if array in z})


def shares(z: Golden, case: str) -> None:
    """P is what the forces on the scores say, r what the diagnostic does."""
    size, name, kind = case.split("_")
    tau = float(name.removeprefix("t"))
    paid = info_nce(leaf(z[f"{size}_f"]), z[f"{size}_g"], InfoNCE(temperature=tau))
    (force,) = forces(paid)
    mine = len(force) * tau * force + torch.eye(len(force)) if kind == "P" else None
    close(relative_penalty(paid.pairs[0], temperature=tau) if mine is None else mine, z[case])


def measured(z: Golden, case: str) -> None:
    size, name = case.split("_", 1)
    f = z[f"{size}_f"]
    value = tolerance(f, z[f"{size}_labels"]) if name == "tolerance" else uniformity(f)
    close(torch.tensor(value, dtype=torch.float64), z[case])


def taken_apart(z: Golden, case: str) -> None:
    """Losses, shares of the softmax, and what is measured on the embeddings."""
    check = hardest_alone if "_K" in case else shares if case.endswith(("_r", "_P")) else measured
    check(z, case)


def attracted_and_repelled(z: Golden, case: str) -> None:
    """Both terms together or one alone, with weights that carry a gradient; equal weights have no sharpness."""
    if case.startswith("moco"):
        against_keys(z, case)
        return
    views = leaf(z[f"{case}__z"])
    sharpness = {word[:2]: float(word[2:]) for word in case.split("_") if re.fullmatch(r"t[pn][\d.]+", word)}
    p = CACR(positive=sharpness.get("tp", 0), negative=sharpness.get("tn", 0))
    paid = cacr(views, views.detach(), p)
    alone = {"ca": "attraction", "cr": "repulsion"}.get(case.split("_")[0])
    value = paid.terms[alone].value() if alone else paid.total()
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_z": views})


def against_keys(z: Golden, case: str) -> None:
    q, k = leaf(z[f"{case}__q"]), leaf(z[f"{case}__k"])
    views, keys = F.normalize(q, dim=2), F.normalize(k.detach(), dim=1)
    p = CACRMoCo(cost="rbf" if "rbf" in case else "euclidean", as_released=True)
    value = cacr_moco(views, keys, views.detach(), p).total()
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_q": q, f"{case}__grad_k": k})


_SIZE = r"(?:N|bs?)\d+"
FAMILIES = (
    Family("multiview", "meta_json", rf"(\w+?_{_SIZE}(?:_V\d+)?)__\w+", several_views),
    Family("cacr", "meta_json", rf"(\w+_{_SIZE}(?:_t[pn][\d.]+)*)__\w+", attracted_and_repelled),
    Family(
        "understanding_cl",
        rf"source|{_SIZE}_(?:f|g|labels)",
        rf"({_SIZE}_(?:t[\d.]+|simple)_K\d+)_(?:loss|gf|gg)|({_SIZE}_(?:t[\d.]+_[rP]|uniformity_t2|tolerance))",
        taken_apart,
    ),
)
