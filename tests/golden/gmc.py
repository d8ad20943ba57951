"""GMC with DMM: NT-Xent of the joint against each modality, the task's error, the mixed ranking of each modality."""

import torch
import torch.nn.functional as F

from core.losses.gmc import GMC, gmc
from core.losses.ranking import Ranking, ranking
from core.mixing.dmm import DMM, DynamicMixedMargin, mixed_margin
from core.mixing.registry import Step
from core.paid import joined
from tests.golden.families import SIZE, Family, Golden, leaf, same, same_gradients


def whole(z: Golden, case: str) -> None:
    """Each temperature, scale and epoch; the release counts epochs from 1."""
    names = [name.removeprefix("zx_") for name in z if name.startswith("zx_")]
    margin, lam = float(z["margin"]), z["lam"]
    for k, (temperature, scale, epoch) in enumerate(z["cases_T_ldmm_ep"].tolist()):
        x = {f"g_{name}": leaf(z[f"z_{name}"]) for name in (*names, "joint")}
        x |= {f"g_mix_{name}": leaf(z[f"zx_{name}"]) for name in names}
        unit = {name: F.normalize(value, dim=-1) for name, value in x.items()}
        joint, size = unit["g_joint"], len(z["pred"])
        clean = gmc(joint, torch.stack([unit[f"g_{name}"] for name in names]), GMC(temperature=temperature))
        asked = mixed_margin("lam", lam.expand(size), margin)
        parts = [(name, ranking(unit[f"g_mix_{name}"], joint, Ranking(), margin=asked)) for name in names]
        p = DMM(weight="ratio", half=float(z["offset"]), unit="epoch", start=1, scale=scale)
        step = Step(index=0, epoch=int(epoch) - 1)
        paid = DynamicMixedMargin().combine(clean, joined(parts).scaled(1 / len(names)), step, p)
        value = paid.total() + (z["pred"] - z["target"]).abs().mean()
        same(value, z["loss"][k])
        same_gradients(z, value, x, k)


FAMILIES = (
    Family(
        f"dmm_gmc{SIZE}",
        r"zx?_\w+|pred|target|margin|lam|offset|cases_T_ldmm_ep",
        r"loss|g_\w+",
        whole,
        rest="loss",
    ),
)
