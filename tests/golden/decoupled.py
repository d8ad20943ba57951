"""DCL and DCLW, of a third party's code."""

from core.losses.dcl import DCL, dcl
from core.losses.dclw import DCLW, dclw
from tests.golden.families import Family, Golden, leaf, same, same_gradients


def one_or_both(z: Golden, case: str) -> None:
    """One direction is what the first view's anchors pay; the symmetric sum is twice the mean over both."""
    z1, z2 = leaf(z[f"{case}__z1"]), leaf(z[f"{case}__z2"])
    tau = float(case.split("tau")[1])
    weighted = case.startswith("dclw")
    paid = dclw(z1, z2, DCLW(temperature=tau)) if weighted else dcl(z1, z2, DCL(temperature=tau))
    value = 2 * paid.total() if "sym" in case else paid.terms[""].per[: len(z1)].mean()
    same(value, z[f"{case}__loss"])
    same_gradients(z, value, {f"{case}__grad_z1": z1, f"{case}__grad_z2": z2})


FAMILIES = (Family("dcl", "meta_json", r"(dclw?_(?:sym_)?(?:N|bs?)\d+_tau[\d.]+)__\w+", one_or_both),)
