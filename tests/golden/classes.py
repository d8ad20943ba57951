"""SimLAP, SBCL, SepCLR, Core-tuning by their authors' code; AMCL, COCONUT, MSD as other values of the formulas."""

import random

import numpy as np
import torch
import torch.nn.functional as F

from core.losses.amcl import AMCL, amcl
from core.losses.coconut import NSPT, NTPT, MultiModal, coconut_mm, coconut_nspt, coconut_ntpt
from core.losses.core_tuning import CoreTuning, core_tuning
from core.losses.hydra_simlap import HydraSimLAP, hydra_simlap
from core.losses.msd_momentum import MSDMomentum, msd_momentum
from core.losses.sbcl import SBCL, sbcl
from core.losses.sepclr import SepCLR, sepclr
from core.losses.supcon import SupCon, supcon
from core.procedures.hard_pairs import HardMixing, HardPairs, hard_pair_mixing, hard_pairs
from tests.golden.families import Family, Golden, close, close_gradients, leaf, same

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


def focal(z: Golden, case: str) -> None:
    a = leaf(z[f"{case}__f"])
    value = core_tuning(a, z[f"{case}__y"], CoreTuning(as_released=True)).total()
    close(value, z[f"{case}__loss"].to(a.dtype))
    close_gradients(z, value, {f"{case}__grad_f": a})


def mixing(z: Golden, case: str) -> None:
    """The authors' draws: an order by `random` and shares by numpy, both of seed 0, negatives first."""
    x, y = z[f"{case}__feat"], z[f"{case}__y"]
    found, _ = hard_pairs(x, y, HardPairs(as_released=True))
    assert torch.equal(found, z[f"{case}__code_hard_pos_idx"])
    found, _ = hard_pairs(x, y, HardPairs())
    several = (y[:, None] == y[None, :]).sum(dim=1) > 1
    assert torch.equal(found[several], z[f"{case}__true_hard_pos_idx"][several])
    order = list(range(len(y)))
    random.Random(0).shuffle(order)
    share, other = torch.from_numpy(np.random.RandomState(0).beta(1, 1, (2, len(y)))).to(x.dtype)
    targets = F.one_hot(y, z[f"{case}__out_y"].shape[1]).to(x.dtype)
    made = hard_pair_mixing(x, y, targets, torch.tensor(order), share, other, HardMixing(as_released=True))
    for mine, name in zip(made, ("out_f", "out_y"), strict=True):
        same(mine, z[f"{case}__{name}"], atol=1e-6)


def tuning(z: Golden, case: str) -> None:
    (mixing if case.startswith("mixup") else focal)(z, case)


def both_codes(z: Golden, case: str) -> None:
    """A part of the loss alone is read off its term, both views being the same where the part is of one."""
    given = {
        name: leaf(z[f"{case}__{name}"])
        for name in ("c1", "c2", "s1", "s2", "x", "y", "c", "s")
        if f"{case}__{name}" in z
    }
    if case.startswith("total"):
        ones = {"salient": 1, "information_less": 1, "joint": 1} if "unit" in case else {}
        value = sepclr(*given.values(), z[f"{case}__label"], SepCLR(**ones)).total()
    else:
        first = next(iter(given.values()))
        last = list(given.values())[-1]
        column = first.reshape(len(first), -1)
        own = [last.reshape(len(last), -1)] * 2
        every = torch.ones(len(first), dtype=torch.int64)
        attribute = z.get(f"{case}__attr")
        other = last if case.startswith("align") else column
        terms = sepclr(column, other, *own, every, SepCLR(joint=1), targets=attribute).terms
        part = case.rsplit("_", 1)[0]
        name = {"align": "common.align", "uniform": "common.uniform", "jem": "joint", "sup_align": "supervised"}[part]
        value = terms[name].value() / (2 if part == "uniform" else 1)
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_{name}": x for name, x in given.items()})


def of_both_teachers(z: Golden, case: str) -> None:
    im, te = leaf(z[f"{case}__im"]), leaf(z[f"{case}__te"])
    teachers = (z[f"{case}__{name}_teacher"] for name in ("im", "te"))
    value = msd_momentum(im, te, *teachers, MSDMomentum(temperature=0.07, distillation=0.4)).total()
    close(value, z[f"{case}__loss"])
    close_gradients(z, value, {f"{case}__grad_im": im, f"{case}__grad_te": te})


def of_the_formula(z: Golden, case: str) -> None:
    """The teacher has no gradient: what is stored for it is 0 throughout, and it is handed in as a constant."""
    if case.startswith("msd"):
        of_both_teachers(z, case)
        return
    names = next(names for names in (("h", "t"), ("a", "x"), ("z", "zp", "tau")) if f"{case}__{names[0]}" in z)
    given = {name: leaf(z[f"{case}__{name}"]) if name != "t" else z[f"{case}__t"] for name in names}
    y, anchor = z.get(f"{case}__y"), z.get(f"{case}__anchor")
    if case.startswith("amcl"):
        paid = amcl(*given.values(), AMCL())
    elif case.startswith("coconut_mm"):
        paid = coconut_mm(*given.values(), y, MultiModal())
    elif case.startswith("coconut_nspt"):
        paid = coconut_nspt(*given.values(), y, anchor, NSPT())
    else:
        paid = coconut_ntpt(*given.values(), y, anchor, NTPT())
    close(paid.total(), z[f"{case}__loss"])
    if "t" in given:
        assert z[f"{case}__grad_t"].eq(0).all()
        del given["t"]
    close_gradients(z, paid.total(), {f"{case}__grad_{name}": x for name, x in given.items()})


FAMILIES = (
    Family("hydra_simlap", "meta_json", rf"(simlap_(?:\w+_)?{N})__\w+", gated),
    Family("sbcl", "meta_json", rf"((?:supcon|sbcl_plain|sbcl_rank)_{N})__\w+", subclasses),
    Family("core_tuning", "meta_json", rf"((?:focal_supcon|mixup)_{N})__\w+", tuning),
    Family("sepclr", "meta_json", rf"((?:align|uniform|jem|sup_align|total|total_unit)_{N})__\w+", both_codes),
    Family(
        "formula_only_01_15",
        "meta_json",
        rf"((?:coconut_nspt|coconut_ntpt|coconut_mm|amcl_eq21|msd_albef)_{N})__\w+",
        of_the_formula,
    ),
)
