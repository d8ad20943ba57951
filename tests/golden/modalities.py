"""Losses over several modalities, of their authors' own code."""

import re

import torch
import torch.nn.functional as F
from torch import Tensor

from core.diagnostics.kernel_alignment import anisotropy, cka, cknna, cycle_knn, mutual_knn
from core.losses.cwcl import CWCL, cwcl
from core.losses.lco_emb import LCOEmb, lco_emb
from core.losses.m3col import M3Col, MultiSClip, m3col, multi_sclip
from core.losses.sample4geo import Sample4Geo, sample4geo
from core.losses.secla import SECLA, secla
from core.losses.symile import PairwiseClip, Symile, pairwise_clip, symile
from core.losses.tcl import TCL, tcl
from core.procedures.pooling import PatchPooling, patch_pooling
from tests.golden.families import Family, Golden, close, close_gradients, leaf

SCALES = {"14.286": 100 / 7, "1.000": 1.0}


def shuffles(perms: Tensor) -> Tensor:
    """Their rows are (anchor 0: r1, r2), (anchor 1: r0, r2), (anchor 2: r0, r1); mine have one for the anchor too."""
    orders = torch.zeros(3, 3, perms.shape[1], dtype=torch.int64)
    orders[[0, 0, 1, 1, 2, 2], [1, 2, 0, 2, 0, 1]] = perms
    return orders


def all_modalities(z: Golden, case: str) -> None:
    size, form, scale = re.fullmatch(r"(N\d+)_(\w+)_s([\d.]+)", case).groups()
    r = [leaf(z[f"{size}_r{q}"]) for q in range(3)]
    modalities, tau = torch.stack(r), 1 / SCALES[scale]
    if form == "pairclip":
        value = pairwise_clip(modalities, PairwiseClip(temperature=tau)).total()
    else:
        planned = shuffles(z[f"{case}_perms"]) if form == "n" else torch.empty(3, 3, 0, dtype=torch.int64)
        value = symile(modalities, planned, Symile(temperature=tau, candidates=form)).total()
    close(value, z[f"{case}_loss"])
    close_gradients(z, value, {f"{case}_grad_r{q}": r[q] for q in range(3)})


def weighted(z: Golden, case: str) -> None:
    """Their weights round as float32 does, which shows in the gradients by 2e-8."""
    size = case.split("_")[0]
    p, q = leaf(z[f"{size}_p"]), leaf(z[f"{size}_q"])
    paid = cwcl(p, q, F.normalize(z[f"{size}_frozen"], dim=1), CWCL(temperature=0.07))
    if case != size:
        close(paid.terms["b_to_a"].value(), z[case])
        return
    close(paid.total(), z[f"{size}_loss"])
    rounded = {name: z[name].float() for name in (f"{size}_grad_p", f"{size}_grad_q")}
    close_gradients(rounded, paid.total(), dict(zip(rounded, (p, q), strict=True)))


def smoothed(z: Golden, case: str) -> None:
    size, smoothing, _ = case.split("_")
    a, b = leaf(z[f"{size}_a"]), leaf(z[f"{size}_b"])
    p = Sample4Geo(smoothing=float(smoothing.removeprefix("ls")), temperature=1 / float(z[f"{case}_scale"]))
    value = sample4geo(F.normalize(a, dim=1), F.normalize(b, dim=1), p).total()
    close(value, z[f"{case}_loss"])
    close_gradients(z, value, {f"{case}_ga": a, f"{case}_gb": b})


def alike(z: Golden, size: str, metric: str) -> None:
    """Theirs are computed in float32 and stored in float64."""
    a, b, k = z[f"{size}_fa"], z[f"{size}_fb"], int(z[f"{size}_k"])
    found = {
        "mutual_knn": lambda: mutual_knn(a, b, k=k),
        "cycle_knn": lambda: cycle_knn(a, b, k=k),
        "cka": lambda: cka(a, b),
        "cka_unbiased": lambda: cka(a, b, unbiased=True),
        "cknna": lambda: cknna(a, b, k=k),
        "anisotropy_a": lambda: anisotropy(a),
    }[metric]()
    close(torch.tensor(found), z[f"{size}_{metric}"].float())


def with_hard_negatives(z: Golden, case: str) -> None:
    size = case.split("_")[0]
    if case != size:
        alike(z, size, case.removeprefix(f"{size}_"))
        return
    inputs = [leaf(z[f"{size}_{name}"]) for name in ("anchor", "positive", "negative")]
    a, b, negative = (F.normalize(x, dim=1) for x in inputs)
    value = lco_emb(a, b, negative[:, None], LCOEmb(temperature=float(z["temperature"]))).total()
    close(value, z[f"{size}_loss"])
    close_gradients(z, value, dict(zip((f"{size}_ga", f"{size}_gp", f"{size}_gn"), inputs, strict=True)))


def mixed_across(z: Golden, case: str) -> None:
    """From the first modality to the second; an item that is its own partner is treated as in their code.

    They mix embeddings before their lengths are taken off.
    """
    size, form = case.split("_", 1)
    a, b = leaf(z[f"{size}_a"]), leaf(z[f"{size}_b"])
    if form == "softclip":
        paid = multi_sclip(torch.stack([F.normalize(x, dim=1) for x in (a, b)]), MultiSClip(temperature=0.125))
    else:
        partners, shares = (z[f"{size}_{name}"].expand(2, -1) for name in ("perm", "lam"))
        assert (partners[0] == torch.arange(len(a))).sum() == z[f"{size}_n_fixed_points"] > 0
        p = M3Col(temperature=0.1, as_released=True)
        paid = m3col(torch.stack([a, F.normalize(b, dim=1)]), partners, shares, p)
    if form == "mixco_oneway":
        close(paid.terms["0.there"].per.mean(), z[f"{case}_loss"])
        return
    value = paid.terms["0.there"].value() + paid.terms["0.back"].value()
    close(value, z[f"{case}_loss"])
    close_gradients(z, value, {f"{case}_grad_a": a, f"{case}_grad_b": b})


def bags_and_tags(z: Golden, case: str) -> None:
    """Zero vectors stand for what is absent; where nothing is, the released code and the formula are the same."""
    size, form = case.split("_", 1)
    equal = "eq_" if form == "eq" else ""
    faces, names = leaf(z[f"{size}_{equal}face"]), leaf(z[f"{size}_{equal}name"])
    alpha = 0 if form == "both_full" else float(z["alpha"])
    p = SECLA(alpha=alpha, agreement="full" if form.endswith("full") else "diag", as_released=not equal)
    paid = secla(faces, names, p)
    if form.startswith("l_"):
        part = {"l_face": "tags", "l_name": "bags"}.get(form, "agree")
        close(paid.terms[part].per.mean(), z[case])
        return
    value = paid.terms["agree"].per.mean() if form == "agree_only_diag" else paid.total()
    close(value, z[f"{case}_loss"])
    close_gradients(z, value, {f"{case}_gface": faces, f"{case}_gname": names})


def with_parts(z: Golden, case: str) -> None:
    """The terms of parts, of images where all are present and of texts; and the regions that patches are pooled to."""
    size, form = case.split("_", 1)
    if form == "pool":
        close(patch_pooling(z[f"{size}_pool_in"], PatchPooling()), z[f"{size}_pool_out"])
        return
    x, parts = leaf(z[f"{size}_global"]), z[f"{size}_locals"]
    tau = torch.tensor(0.07, dtype=torch.float64)
    paid = tcl(x, x, x.detach(), x.detach(), parts, parts, z[f"{size}_att"] != 0, tau, TCL(temperature=0.07))
    value = paid.terms["b.local" if form == "g2l_mask" else "a.local"].per.mean()
    close(value, z[f"{case}_loss"])
    close_gradients(z, value, {f"{case}_grad_global": x})


FAMILIES = (
    Family(
        "tcl",
        r"N\d+_(?:locals|global|att)|meta_json",
        r"(N\d+_g2l(?:_mask)?)_(?:loss|grad_global)|(N\d+_pool)_(?:in|out)",
        with_parts,
    ),
    Family(
        "secla",
        r"N\d+_(?:eq_)?(?:face|name)|alpha",
        r"(N\d+_(?:both_full|agree_diag|agree_full|agree_only_diag|eq))_(?:loss|gface|gname)|(N\d+_l_\w+)",
        bags_and_tags,
    ),
    Family(
        "m3col",
        r"N\d+_(?:a|b|perm|lam|n_fixed_points)|meta_json",
        r"(N\d+_(?:mixco|mixco_oneway|softclip))_(?:loss|grad_[ab])",
        mixed_across,
    ),
    Family(
        "cwcl_thirdparty",
        r"N\d+_(?:frozen|p|q)|meta_json",
        r"(N\d+_cl_rev_only)|(N\d+)_(?:loss|grad_[pq])",
        weighted,
    ),
    Family(
        "lco_emb",
        r"N\d+_(?:anchor|positive|negative|fa|fb|k)|temperature",
        r"(N\d+_(?:mutual_knn|cka|cka_unbiased|cknna|cycle_knn|anisotropy_a))|(N\d+)_(?:loss|g[apn])",
        with_hard_negatives,
    ),
    Family("sample4geo", r"N\d+_[ab]", r"(N\d+_ls[\d.]+_\w+)_(?:loss|ga|gb|scale)", smoothed),
    Family(
        "symile",
        r"N\d+_r\d|meta_json",
        r"(N\d+_(?:n|n_squared|pairclip)_s[\d.]+)_(?:loss|perms|grad_r\d)",
        all_modalities,
    ),
)
