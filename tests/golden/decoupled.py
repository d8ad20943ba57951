"""DCL, of its authors' own code."""

from core.losses.dcl import DCL, dcl
from tests.golden.families import Family, Golden, leaf, same, same_gradients


def one_or_both(z: Golden, case: str) -> None:
    """One direction is what the first view's anchors pay; the symmetric sum is twice the mean over both."""
    z1, z2 = leaf(z[f"{case}__z1"]), leaf(z[f"{case}__z2"])
    paid = dcl(z1, z2, DCL(temperature=float(case.split("tau")[1])))
    value = 2 * paid.total() if "sym" in case else paid.terms[""].per[: len(z1)].mean()
    same(value, z[f"{case}__loss"])
    same_gradients(z, value, {f"{case}__grad_z1": z1, f"{case}__grad_z2": z2})


FAMILIES = (
    Family(
        "dcl",
        "meta_json",
        r"(dcl_(?:sym_)?(?:N|bs?)\d+_tau[\d.]+)__\w+",
        one_or_both,
        left_out={r"dclw_\w.*": "the weighted variant is a loss of its own, not registered yet"},
    ),
)
