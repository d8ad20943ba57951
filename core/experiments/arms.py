"""Arms: what is compared. An arm is data: a part of a link over the task's recipe, and what it tunes.

Five controls answer a sceptic, who asks whether it is more than a larger margin, a larger step or plain mixup: the
base with its margin swept, the base at the mixed loss's weight, the mixture with other margins or without the partner,
plain mixup, and hard negatives. Every arm of an experiment tunes the same number of configurations.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["base", "control", "dmm", "improvement"]
Link = Mapping[str, str]


@dataclass(frozen=True)
class Arm:
    """One way of training.

    `link`: address -> spelt value, changes to the task's recipe. `tuned`: one link each, in the order in which they are
    tried. `family`: arms of one base loss; the best control is sought among them. `against`: the arm that an
    improvement is held against first. `about`: one sentence.
    """

    key: str
    title: str
    kind: Kind
    family: str
    link: Link
    tuned: tuple[Link, ...]
    about: str = ""
    against: str = ""
    needs: tuple[str, ...] = field(default=())

    @property
    def is_control(self) -> bool:
        """Whether it may be the best control: a base or a control."""
        return self.kind in ("base", "control")


# The first three span what is usual, so that a short budget does too; then come wider values, then finer ones.
MARGINS: tuple[Link, ...] = tuple({"loss.margin": m} for m in ("0.1", "0.3", "0.5", "0.8", "1.2", "0.2", "0.4"))
TEMPERATURES: tuple[Link, ...] = tuple(
    {"loss.temperature": t} for t in ("0.05", "0.1", "0.2", "0.4", "0.8", "0.07", "0.14")
)
HINGE: dict[str, str] = {"loss.kind": "ranking"}
MIXED: dict[str, str] = HINGE | {"mixing.kind": "dmm"}
SOFTMAX: dict[str, str] = {"loss.kind": "clip"}
ADDED = "0.2"


def _hinge(key: str, title: str, kind: Kind, about: str, against: str = "", **mixing: str) -> Arm:
    link = MIXED | {f"mixing.{name}": value for name, value in mixing.items()}
    return Arm(key, title, kind, "hinge", link, MARGINS, about, against)


HINGES: tuple[Arm, ...] = (
    Arm("base", "Hinge, margin swept", "base", "hinge", HINGE, MARGINS, "The clean loss with its margin tuned."),
    _hinge("twice", "Hinge at twice the weight", "control", "The clean loss at weight 1 + w.", law="fixed", fixed="1"),
    _hinge("mix_constant", "Mixed, margin m", "control", "The mixture keeps the full margin.", rule="constant"),
    _hinge("mix_zero", "Mixed, margin 0", "control", "The mixture is asked for no lead at all.", rule="zero"),
    _hinge(
        "mix_masked",
        "Mixed, partner masked",
        "control",
        "The partner's own match takes no part: without the mechanism of DMM.",
        target="mask_partner",
    ),
    _hinge("mixup", "Plain mixup", "control", "The mixture has both matches, by their shares.", target="soft"),
    Arm(
        "hardest",
        "Hinge, hardest negative",
        "control",
        "hinge",
        HINGE | {"loss.violation": "max"},
        MARGINS,
        "The clean loss on the worst violation of each row and column.",
    ),
    _hinge("dmm", "DMM", "dmm", "The paper's form: margin λm, λ from U(½, 1), one a batch, partner by flip."),
    _hinge(
        "dmm_each", "DMM, λ per sample", "improvement", "A share of its own for each anchor.", "dmm", per_sample="on"
    ),
    _hinge("dmm_hard", "DMM, hard partners", "improvement", "The partner is the nearest other.", "dmm", partner="hard"),
)


def _softmax(key: str, title: str, kind: Kind, about: str, against: str = "", **link: str) -> Arm:
    named = {name.replace("__", "."): value for name, value in link.items()}
    return Arm(key, title, kind, "softmax", SOFTMAX | named, TEMPERATURES, about, against)


SOFTMAXES: tuple[Arm, ...] = (
    _softmax("clip", "CLIP loss", "base", "Symmetric InfoNCE with its temperature tuned."),
    _softmax(
        "clip_margin", "CLIP, margin 0.2", "control", "A fixed additive margin, nothing mixed.", loss__margin=ADDED
    ),
    _softmax(
        "clip_mixed",
        "CLIP mixed, no margin",
        "control",
        "The mixture without any margin.",
        mixing__kind="dmm",
        mixing__rule="zero",
        mixing__margin=ADDED,
    ),
    _softmax(
        "clip_hinge",
        "CLIP and a clean hinge",
        "control",
        "A max-margin hinge comes in beside it, nothing mixed.",
        mixing__kind="dmm",
        mixing__law="fixed",
        mixing__fixed="1",
        mixing__asks="ranking",
        mixing__margin=ADDED,
    ),
    _softmax(
        "clip_released",
        "CLIP and a mixed hinge",
        "dmm",
        "The form of the released GMC: mixed pairs pay a hinge with the margin λ·0.2.",
        "clip",
        mixing__kind="dmm",
        mixing__asks="ranking",
        mixing__margin=ADDED,
    ),
    _softmax(
        "clip_dmm",
        "DMM inside CLIP",
        "improvement",
        "The margin λ·0.2 is taken off the mixed pair's positive logit.",
        "clip",
        mixing__kind="dmm",
        mixing__margin=ADDED,
    ),
)
PAIRED: tuple[Arm, ...] = HINGES + SOFTMAXES
GMC: dict[str, str] = {"loss.kind": "gmc", "encoder.joint": "on"}
GMC_TEMPERATURES: tuple[Link, ...] = tuple(
    {"loss.temperature": t} for t in ("0.1", "0.3", "0.5", "0.05", "0.8", "0.2", "0.4")
)
BESIDE_GMC: dict[str, str] = GMC | {
    "mixing.kind": "dmm",
    "mixing.side": "each",
    "mixing.asks": "ranking",
    "mixing.margin": ADDED,
    "mixing.start": "1",
}


def _gmc(key: str, title: str, kind: Kind, about: str, link: Link, against: str = "") -> Arm:
    return Arm(key, title, kind, "gmc", link, GMC_TEMPERATURES, about, against)


GMCS: tuple[Arm, ...] = (
    _gmc("gmc", "GMC", "base", "A joint encoder against each modality, its temperature tuned.", GMC),
    _gmc(
        "gmc_hinge",
        "GMC and a clean hinge",
        "control",
        "A hinge between each modality and the joint embedding comes in beside it, nothing mixed.",
        BESIDE_GMC | {"mixing.law": "fixed", "mixing.fixed": "1"},
    ),
    _gmc(
        "gmc_constant",
        "GMC, mixed hinge of margin m",
        "control",
        "The mixed hinge keeps the full margin.",
        BESIDE_GMC | {"mixing.rule": "constant"},
    ),
    _gmc(
        "gmc_dmm",
        "GMC + DMM",
        "dmm",
        "The paper's form: each mixed modality pays a hinge with the margin λ·0.2 against the clean joint embedding.",
        BESIDE_GMC,
        "gmc",
    ),
)
