"""Known settings of the mixed margin as data: what a paper or its released code did, as a part of a link."""

from collections.abc import Mapping

PRESETS: Mapping[str, Mapping[str, str]] = {
    "coot_paper": {
        "loss.kind": "ranking",
        "loss.margin": "0.2",
        "mixing.kind": "dmm",
        "mixing.law": "uniform",
        "mixing.low": "0.5",
        "mixing.high": "1",
        "mixing.partner": "flip",
        "mixing.rule": "lam",
        "mixing.level": "input",
        "mixing.side": "a",
        "mixing.sequence": "keep",
        "mixing.weight": "ratio",
        "mixing.half": "30",
    },
    "gmc_paper": {
        "encoder.joint": "on",
        "loss.kind": "gmc",
        "loss.temperature": "0.3",
        "mixing.kind": "dmm",
        "mixing.margin": "0.2",
        "mixing.side": "each",
        "mixing.asks": "ranking",
        "mixing.rule": "lam",
        "mixing.weight": "ratio",
        "mixing.half": "12",
        "mixing.start": "1",
    },
    "cml_released": {
        "loss.kind": "triplet",
        "loss.over": "min",
        "loss.as_released": "on",
        "loss.margin": "1.5",
        "mixing.kind": "dmm",
        "mixing.low": "0",
        "mixing.high": "0.5",
        "mixing.rule": "released_decay",
        "mixing.level": "embedding",
        "mixing.renormalise": "none",
        "mixing.weight": "ratio",
        "mixing.half": "30",
    },
    "cml_fixed": {
        "loss.kind": "triplet",
        "loss.over": "min",
        "loss.margin": "0.5",
        "mixing.kind": "dmm",
        "mixing.low": "0.5",
        "mixing.high": "1",
        "mixing.rule": "lam",
        "mixing.level": "embedding",
        "mixing.renormalise": "none",
        "mixing.weight": "ratio",
        "mixing.half": "30",
    },
    "infonce_dmm": {
        "loss.kind": "info_nce",
        "loss.temperature": "0.07",
        "mixing.kind": "dmm",
        "mixing.margin": "0.2",
        "mixing.rule": "lam",
        "mixing.level": "input",
        "mixing.weight": "ratio",
        "mixing.half": "30",
    },
}
ABOUT: Mapping[str, tuple[str, str]] = {
    "coot_paper": (
        "Retrieval, as in the paper",
        "Max-margin ranking; inputs of one side are mixed with those of the batch turned round.",
    ),
    "gmc_paper": (
        "Missing modalities, as in the paper",
        "GMC; each modality is mixed by a λ of its own and ranked against the clean joint embedding by its margin.",
    ),
    "cml_released": (
        "Recommender, as released, with its faults",
        "λ below ½ lets the other user dominate, the margin decays to 0, and every user meets every user's hinge.",
    ),
    "cml_fixed": (
        "Recommender, repaired",
        "λ above ½, a hinge for each user alone, and a margin that a unit ball can reach and that does not decay.",
    ),
    "infonce_dmm": (
        "Inside a softmax",
        "InfoNCE whose mixed anchors must lead by λm: the margin is taken off the positive logit.",
    ),
}
