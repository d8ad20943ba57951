"""DirectPred and what the code of contrastive UCB trains, of their authors; its ratio and bonus, of the formula."""

import json

import torch

from core.losses.contrastive_ucb import SPR, DensityRatio, density_ratio, spr
from core.losses.directpred import DirectPred, directpred
from core.procedures.directpred import DirectPredictor, FeatureCorrelation, direct_predictor, feature_correlation
from core.procedures.ucb_bonus import UCBBonus, ucb_bonus
from tests.golden.families import Family, Golden, close, close_gradients, leaf


def told_apart(z: Golden, case: str) -> None:
    """Their targets carry a gradient; the features of the formula are above 0 as they stand."""
    size, _, kind = case.partition("_")
    if kind == "bonus":
        phi = z[f"{size}_phi"]
        close(ucb_bonus(phi, phi, UCBBonus(regulariser=1)), z[f"{size}_bonus_lam1"])
    elif kind == "formula":
        names = ("phi", "psi_pos", "psi_neg")
        phi, true, drawn = given = [leaf(z[f"{size}_{name}"]) for name in names]
        p = DensityRatio(features="absolute", scale=1)
        value = density_ratio(phi, true, p, negatives=drawn[:, None]).total()
        close(value, z[f"{size}_formula_nce"])
        close_gradients(z, value, {f"{size}_formula_g{name}": x for name, x in zip(names, given, strict=True)})
    else:
        f1, f2 = leaf(z[f"{size}_f1"]), leaf(z[f"{size}_f2"])
        paid = spr(f1, f2, SPR())
        close(paid.terms[""].per, z[f"{size}_spr"])
        close(paid.total(), z[f"{size}_spr_mean"])
        close_gradients(z, paid.total(), {f"{size}_g1": f1, f"{size}_g2": f2})


def foretold(z: Golden, size: str) -> None:
    """The correlation over two steps, both predictors made of it, and what the first step's features pay by one."""
    said = json.loads(z["meta_json"][0])
    follow = FeatureCorrelation(keep=said["rho"])
    steps = [torch.stack([z[f"{size}_f{v}_step{step}"] for v in (1, 2)]) for step in (1, 2)]
    kept = feature_correlation(steps[1], follow, kept=feature_correlation(steps[0], follow))
    close(kept, z[f"{size}_Fhat_after2"])
    predictor = direct_predictor(kept, DirectPredictor(epsilon=said["eps"]))
    close(predictor, z[f"{size}_Wp_directpred"])
    close(direct_predictor(kept, DirectPredictor(rule="directcopy", epsilon=0.3)), z[f"{size}_Wp_directcopy"])
    a, b = (leaf(x) for x in steps[0])
    teachers = {"teacher": z[f"{size}_target2"], "other_teacher": z[f"{size}_target1"]}
    value = directpred(a, b, **teachers, predictor=predictor, p=DirectPred(epsilon=said["eps"])).total()
    close(value, z[f"{size}_loss"])
    close_gradients(z, value, {f"{size}_grad_f1": a, f"{size}_grad_f2": b})


_SIZE = r"(?:N|bs?)\d+"
FAMILIES = (
    Family(
        "contrastive_ucb",
        rf"{_SIZE}_(?:f1|f2|phi|psi_pos|psi_neg)",
        rf"({_SIZE}_)(?:spr|spr_mean|g1|g2)|({_SIZE}_formula)_\w+|({_SIZE}_bonus)_\w+",
        told_apart,
    ),
    Family("directpred", "meta_json", rf"({_SIZE})_\w+", foretold),
)
