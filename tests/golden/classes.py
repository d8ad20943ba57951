"""SimLAP, SBCL, SepCLR, Core-tuning by their authors' code; AMCL, COCONUT as independent values of the formulas."""

from core.losses.hydra_simlap import HydraSimLAP, hydra_simlap
from core.losses.sbcl import SBCL, sbcl
from core.losses.supcon import SupCon, supcon
from tests.golden.families import Family, Golden, close, close_gradients, leaf

N = r"N\d+"


def gated(z: Golden, case: str) -> None:
    a, gate = leaf(z[f"{case}__z"]), leaf(z[f"{case}__gate"])
    value = hydra_simlap(z[f"{case}__y"], z[f"{case}__partner_y"], a, gate, HydraSimLAP()).total()
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_z": a, f"{case}__grad_gate": gate})


def subclasses(z: Golden, case: str) -> None:
    f, y = leaf(z[f"{case}__f"]), z[f"{case}__y"]
    a, b = f.unbind(dim=1)
    if case.startswith("supcon"):
        value = supcon(a, b, y, SupCon(temperature=0.1)).total()
    elif "plain" in case:
        value = sbcl(a, b, y, z[f"{case}__sub"], SBCL(form="plain")).total()
    else:
        tau = z[f"{case}__class_temp"][y]
        value = sbcl(a, b, y, z[f"{case}__sub"], SBCL(), item_temperature=tau).total()
    close(value, z[f"{case}__loss"].to(f.dtype))
    close_gradients(z, value, {f"{case}__grad_f": f})


FAMILIES = (
    Family("hydra_simlap", "meta_json", rf"(simlap_(?:\w+_)?{N})__\w+", gated),
    Family("sbcl", "meta_json", rf"((?:supcon|sbcl_plain|sbcl_rank)_{N})__\w+", subclasses),
)
