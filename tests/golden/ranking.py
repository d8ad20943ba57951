"""Max-margin ranking, clean and with mixed visual inputs: the retrieval recipe of the released code."""

import torch
import torch.nn.functional as F
from torch import Tensor

from core.losses.ranking import Ranking, ranking
from core.mixing.dmm import DMM, DynamicMixedMargin, mixed_margin
from core.mixing.registry import Plan, Step
from core.paid import Paid
from tests.golden.families import SIZE, Family, Golden, leaf, same, same_gradients


def plan_of(lam: Tensor, n: int, margin: float) -> Plan:
    """The released recipe: one lambda for the batch, the batch turned round, the margin times lambda."""
    shares = lam.expand(n)
    return Plan(shares, torch.arange(n).flip(0), mixed_margin("lam", shares, margin))


def max_margin(z: Golden, case: str) -> None:
    """For each margin: independent or correlated pairs, raw or normalised inside."""
    pair, mode, violation, norm = case.split("_")
    for k, margin in enumerate(z["margins"].tolist()):
        v, s = leaf(z["v"]), leaf(z["s_corr" if pair == "corr" else "s"])
        a, b = (F.normalize(x, dim=-1) if mode == "unit" else x for x in (v, s))
        p = Ranking(margin=margin, violation="max" if violation == "mv1" else "sum", normalise=norm == "norm1")
        value = ranking(a, b, p).total()
        same(value, z[f"{case}_loss"][k])
        same_gradients(z, value, {f"{case}_gv": v, f"{case}_gs": s}, k)


class Retrieval:
    """The retrieval recipe on a linear encoder, with what it pays clean and mixed at one lambda."""

    def __init__(self, z: Golden, k: int, violation: str = "sum") -> None:
        self.leaves = {name: leaf(z[name]) for name in ("xv", "xt", "Wv", "Wt")}
        x = self.leaves
        plan = plan_of(z["lams"][k], len(x["xv"]), float(z["margin"]))
        mixed = DynamicMixedMargin().apply({"a": x["xv"], "b": x["xt"]}, plan, DMM(level="input"))
        self.v, self.mixed_v, self.t = (
            F.normalize(e, dim=-1) for e in (x["xv"] @ x["Wv"], mixed["a"] @ x["Wv"], x["xt"] @ x["Wt"])
        )
        self.plan, self.p = plan, Ranking(violation=violation, margin=float(z["margin"]))

    def clean(self) -> Paid:
        return ranking(self.v, self.t, self.p)

    def mixed(self) -> Paid:
        return ranking(self.mixed_v, self.t, self.p, margin=self.plan.margin)

    def cluster(self, v: Tensor, margin: Tensor | None = None) -> Tensor:
        """The terms within a modality: each item against the others of its own kind."""
        return (
            ranking(v, v, self.p, margin=margin).total() + ranking(self.t, self.t, self.p, margin=margin).total()
        ) / 2

    def value(self, case: str) -> Tensor:
        if case == "clean":
            return self.clean().total()
        if case == "cluster_clean":
            return self.cluster(self.v)
        return self.cluster(self.mixed_v, self.plan.margin) if case == "cluster_mixed" else self.mixed().total()


def mixed_ranking(z: Golden, case: str) -> None:
    for k in range(len(z["lams"])):
        r = Retrieval(z, k, "max" if case == "mixed_mv" else "sum")
        if case == "total":
            for e, epoch in enumerate(z["epochs"].tolist()):
                p = DMM(weight="ratio", half=30, unit="epoch")
                paid = DynamicMixedMargin().combine(r.clean(), r.mixed(), Step(index=-1, epoch=epoch), p)
                same(paid.total(), z["loss_total"][k, e])
            continue
        value = r.value(case)
        same(value, z[f"loss_{case}"][k])
        if case == "mixed":
            prefix = "mixed_g" if "mixed_gxv" in z else "g_"
            same_gradients(z, value, {f"{prefix}{name}": x for name, x in r.leaves.items()}, k)


FAMILIES = (
    Family(f"dmm_ranking{SIZE}", r"v|s|s_corr|margins", r"(\w+_mv\d_norm\d)_(?:loss|g[vs])", max_margin),
    Family(
        f"dmm_mixed_ranking(?:_weak)?{SIZE}",
        r"x[vt]|W[vt]|lams|margin|epochs",
        r"loss_(\w+)|(?:mixed_g|g_)[xW][vt]",
        mixed_ranking,
        rest="mixed",
    ),
)
