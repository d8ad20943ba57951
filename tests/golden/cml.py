"""The recommender's losses, as released and repaired: Min, Sum and BPR, clean and mixed, and the margin's decay."""

from collections.abc import Mapping

import torch
from torch import Tensor

from core.losses.bpr import BPR, bpr
from core.losses.triplet import Triplet, triplet
from core.mixing.dmm import DMM, DynamicMixedMargin
from core.mixing.negative_item import MixedNegatives, NegativeItem
from core.mixing.registry import Plan
from core.mixing.schedule import mixed_margin
from tests.golden.families import SIZE, Family, Golden, leaf, same, same_gradients

USERS, ITEMS = DynamicMixedMargin(), MixedNegatives()
DECAY = {"min": DMM(rule="released_decay"), "sum": NegativeItem(rule="released_decay")}


def settings(form: str, released: bool = True) -> Triplet:
    """Min over plain distances, in the release with its broadcast; Sum over squared ones."""
    return Triplet(over="min", as_released=released) if form == "min" else Triplet(over="sum", squared=True)


def users(z: Golden) -> dict[str, Tensor]:
    return {name: leaf(z[name]) for name in ("u", "p", "n")}


def clean(x: Mapping[str, Tensor], p: Triplet, margin: float) -> Tensor:
    return triplet(
        x["u"][:, 0], x["p"][:, 0], p, negatives=x["n"], margin=torch.tensor(margin, dtype=torch.float64)
    ).total()


def mixed(x: Mapping[str, Tensor], p: Triplet, plan: Plan) -> Tensor:
    """Min mixes the users with each other, Sum each negative item with the positive one."""
    given = {"a": x["u"][:, 0], "b": x["p"][:, 0], "negatives": x["n"]}
    if p.over == "min":
        given = USERS.apply({"a": given["a"]}, plan, DMM(level="input")) | {k: given[k] for k in ("b", "negatives")}
    else:
        given = ITEMS.apply(given, plan, NegativeItem())
    return triplet(given["a"], given["b"], p, negatives=given["negatives"], margin=plan.margin).total()


def plan_of(form: str, lam: Tensor, n: int, margin: float, before: Tensor | None = None) -> Plan:
    """The released recipe: one lambda, users turned round, and a margin multiplied by every lambda so far."""
    shares = lam.expand(n)
    partner = torch.arange(n).flip(0) if form == "min" else torch.arange(n)
    return Plan(shares, partner, mixed_margin("released_decay", shares, margin, before=before))


def gradients_of(z: Golden, value: Tensor, x: Mapping[str, Tensor], prefix: str, at: object) -> None:
    same_gradients(z, value, {f"{prefix}_g{name}": leaf for name, leaf in x.items()}, at)


def dml(z: Golden, case: str, form: str, lams: Tensor, released: bool = True) -> None:
    """At each margin and lambda; NaN stands where the released class cannot draw that lambda."""
    seen = 0
    for k, margin in enumerate(z["margins"].tolist()):
        for i, lam in enumerate(lams):
            if z[f"{case}_loss"][k, i].isnan():
                continue
            x = users(z)
            plan = plan_of(form, lam, len(x["u"]), margin)
            value = mixed(x, settings(form, released), plan)
            same(value, z[f"{case}_loss"][k, i])
            gradients_of(z, value, x, case, (k, i))
            if f"{case}_margin_after" in z:
                same(plan.margin[0], z[f"{case}_margin_after"][k, i])
            seen += 1
    assert seen


def at_each_margin(z: Golden, case: str, form: str, released: bool = True) -> None:
    for k, margin in enumerate(z["margins"].tolist()):
        x = users(z)
        value = clean(x, settings(form, released), margin)
        same(value, z[f"{case}_loss"][k])
        gradients_of(z, value, x, case, k)


def decay(z: Golden, form: str) -> None:
    """Call after call with the stored lambdas; the margin falls to the very last bit, and the loss with it."""
    lams, margins, losses = (z[f"{form}_decay_{name}"] for name in ("lam", "margin", "loss"))
    start = round(float(margins[0] / lams[0]), 9)
    x = {name: z[name] for name in ("u", "p", "n")}
    memory: dict[str, Tensor] = {}
    applied = []
    for lam, loss in zip(lams, losses, strict=True):
        plan = plan_of(form, lam, len(x["u"]), start, memory.get("product"))
        same(mixed(x, settings(form), plan), loss)
        applied.append(plan.margin[0])
        mixing = USERS if form == "min" else ITEMS
        memory = mixing.remember(memory, plan, {}, DECAY[form])
    mine = torch.stack(applied)
    torch.testing.assert_close(mine, margins, rtol=1e-9, atol=1e-300)
    assert mine.eq(0).nonzero().flatten()[:1].tolist() == margins.eq(0).nonzero().flatten()[:1].tolist()


def metric_learning(z: Golden, case: str) -> None:
    form, *more = case.split("_")
    if more == ["decay"]:
        decay(z, form)
    elif more == ["dml"]:
        dml(z, case, form, z[f"lam_{form}"])
    else:
        at_each_margin(z, case, form)


def personalised(z: Golden, case: str) -> None:
    """BPR with the first negative of each user."""
    x = users(z)
    first = leaf(z["n"][:, :1])
    value = bpr(x["u"][:, 0], x["p"][:, 0], BPR(), negatives=first).total()
    same(value, z["bpr_loss"])
    same_gradients(z, value, {"bpr_gu": x["u"], "bpr_gp": x["p"], "bpr_gn": first})


def recommender(z: Golden, case: str) -> None:
    personalised(z, case) if case == "bpr" else metric_learning(z, case)


def clipped(z: Golden, case: str) -> None:
    """Margins that clip: where the broadcast and its repair differ."""
    released = "released" in case
    dml(z, case, "min", z["lams"], released) if "dml" in case else at_each_margin(z, case, "min", released)


def separated(z: Golden, case: str) -> None:
    x = users(z)
    value = clean(x, settings("min", case == "released"), float(z["margin"]))
    same(value, z[f"{case}_loss"])
    gradients_of(z, value, x, case, ...)


FAMILIES = (
    Family(
        f"dmm_cml{SIZE}",
        r"[upn]|margins|lam_\w+",
        r"((?:min|sum)(?:_dml|_decay)?|bpr)_(?:loss|margin|margin_after|lam|g[upn])",
        recommender,
    ),
    Family(
        f"dmm_cml_minclip{SIZE}",
        r"[upn]|margins|lams",
        r"(min_(?:dml_)?(?:released|fixed))_(?:loss|g[upn])",
        clipped,
    ),
    Family(f"dmm_cml_minsep{SIZE}", r"[upn]|margin", r"(released|fixed)_(?:loss|g[upn])", separated),
)
