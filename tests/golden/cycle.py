"""Cycle consistency between clips and sentences; the original adds up in float32."""

import torch

from core.losses.cycle import Cycle, cycle, soft_weights
from tests.golden.families import SIZE, Family, Golden, leaf, same, same_gradients

CLOSE = 1e-6
TERM = {"clip": "bags", "sent": "other_bags"}


def drawn(here: torch.Tensor, seed: int) -> torch.Tensor:
    """(2, B) as the release draws them: one of the present members of each bag, clips first, after torch's seed."""
    g = torch.Generator().manual_seed(seed)
    return torch.stack([torch.multinomial(here.double(), 1, generator=g).squeeze(1) for _ in TERM])


def consistency(z: Golden, case: str) -> None:
    here = ~z["mask"]
    clip, sent = leaf(z["clip"]), leaf(z["sent"])
    if case == "soft":
        share = soft_weights(clip, sent, 1.0, here)
        if "soft_alpha_clip" in z:
            same(share[here], z["soft_alpha_clip"].to(share)[here], CLOSE)
        if "soft_nn_clip" in z:
            same((share @ sent)[here], z["soft_nn_clip"].to(share)[here], CLOSE)
        return
    members = drawn(here, int(case.split("seed")[1])) if "seed" in case else None
    paid = cycle(clip, sent, Cycle(), bag_mask=here, members=members)
    if case == "g":
        same_gradients(z, paid.total(), {"g_clip_all": clip, "g_sent_all": sent}, atol=CLOSE)
        return
    mine = paid.terms[TERM[case.split("_")[0]]].value()
    same(mine, z[f"loss_{case}"].to(mine), CLOSE)


FAMILIES = (
    Family(
        f"dmm_cycle{SIZE}",
        r"clip|sent|mask|lens",
        r"loss_((?:clip|sent)_(?:all|s1_seed\d+))|(soft)_\w+|(g)_(?:clip|sent)_all",
        consistency,
    ),
)
