"""The options of DMM as data: every choice with its range, its words, and what it does not go with."""

from typing import Literal

from pydantic import Field, model_validator

from core.mixing.registry import Level, Side
from core.params import Params, only

FixedRule = Literal["lam", "constant", "one_minus_lam", "two_lam_minus_one", "zero"]
MarginRule = Literal["lam", "constant", "one_minus_lam", "two_lam_minus_one", "zero", "learned", "released_decay"]
Law = Literal["uniform", "beta", "beta_unfolded", "fixed"]
Partner = Literal[
    "flip", "roll", "shuffle", "derangement", "hard", "farthest", "same_class", "other_class", "bank"
]  # fmt: skip
Target = Literal["hard", "soft", "mask_partner"]
Renormalise = Literal["unit", "none", "geodesic"]
Weight = Literal["ratio", "constant", "linear", "cosine", "zero"]
MaskRule = Literal["union", "keep", "intersect"]

PERMUTATIONS = ("flip", "roll", "shuffle", "derangement")


class DMM(Params):
    kind: Literal["dmm"] = "dmm"
    margin: float | None = Field(
        None, ge=0, le=2, title="Margin m", description="What λ multiplies. Empty: the margin of the loss itself."
    )
    law: Law = Field(
        "uniform", title="λ law", description="How the share of the anchor is drawn; β is folded into [½, 1] or not."
    )
    low: float = Field(
        0.5,
        ge=0,
        le=1,
        title="λ from",
        description="Lower end of the uniform law.",
        json_schema_extra=only(law="uniform"),
    )
    high: float = Field(
        1.0,
        ge=0,
        le=1,
        title="λ to",
        description="Upper end of the uniform law.",
        json_schema_extra=only(law="uniform"),
    )
    concentration: float = Field(
        2.0,
        gt=0,
        le=20,
        title="β concentration",
        description="α of Beta(α, α).",
        json_schema_extra=only(law=("beta", "beta_unfolded")),
    )
    fixed: float = Field(
        0.75,
        ge=0,
        le=1,
        title="Fixed λ",
        description="The share under the fixed law.",
        json_schema_extra=only(law="fixed"),
    )
    per_sample: bool = Field(False, title="λ per sample", description="One λ for each anchor, not one a batch.")
    share: Literal["sample", "pair"] = Field(
        "sample",
        title="λ per",
        description="With λ per sample: for each one, or for two that are partners of each other.",
        json_schema_extra=only(per_sample=True),
    )
    partner: Partner = Field(
        "flip",
        title="Partner",
        description="Who is mixed in: the batch turned round, shifted, shuffled, shuffled so that nobody meets itself; "
        "the most or least similar anchor; one of the same or another class; an item of past batches.",
    )
    shift: int = Field(
        1,
        ge=1,
        le=4095,
        title="Shift",
        description="By how many places the partner roll shifts.",
        json_schema_extra=only(partner="roll"),
    )
    bank: int = Field(
        256,
        ge=1,
        le=4096,
        title="Bank size",
        description="Past items that the partner bank keeps.",
        json_schema_extra=only(partner="bank"),
    )
    append: bool = Field(
        False,
        title="Bank positive as negative",
        description="A bank partner's own positive is a negative of the mixed anchor, as that of a batch partner is.",
        json_schema_extra=only(partner="bank"),
    )
    alone: Literal["keep", "leave_out"] = Field(
        "keep", title="Own partner", description="Whether an anchor that met itself pays in the mixed loss."
    )
    rule: MarginRule = Field(
        "lam",
        title="Margin rule",
        description="How the margin follows λ; the paper's is λm. Learned: m σ(a + b(2λ − 1)). Released decay: m times "
        "all λ so far, a fault of the released recommender.",
    )
    prior: float = Field(
        1.0,
        ge=0,
        le=100,
        title="Pull to λm",
        description="Weight of the squared distance of the learned rule from λm; without it a hinge learns margin 0.",
        json_schema_extra=only(rule="learned"),
    )
    level: Level = Field(
        "input", title="Mix", description="The inputs of the encoder, a hidden layer, or its embeddings."
    )
    layer: int = Field(
        1,
        ge=1,
        le=6,
        title="Hidden layer",
        description="Which one is mixed, counted from the input.",
        json_schema_extra=only(level="hidden"),
    )
    renormalise: Renormalise = Field(
        "unit",
        title="Mixed embeddings",
        description="Scaled to length 1, left short, or taken from the arc between the two.",
        json_schema_extra=only(level="embedding"),
    )
    side: Side = Field(
        "a",
        title="Side",
        description="Which side of the pair is mixed: one, in turn, both together, or each against the clean other.",
    )
    margin_of: Literal["own", "last"] = Field(
        "own",
        title="Margin by λ of",
        description="With side each: each modality's own λ, or that of the last one for all, as in the released GMC.",
        json_schema_extra=only(side="each"),
    )
    target: Target = Field(
        "hard",
        title="Target",
        description="The anchor's positive; its partner's too, by their shares; or with the partner's left out.",
    )
    asks: Literal["same", "ranking"] = Field(
        "same", title="Mixed pairs pay", description="The loss itself, or max-margin ranking whatever the loss is."
    )
    terms: Literal["all", "align"] = Field(
        "all", title="Mixed terms", description="Of a composite loss: all but cycles, or the alignment terms alone."
    )
    dropout: Literal["own", "shared"] = Field(
        "own",
        title="Dropout",
        description="Whether the mixed pass draws masks of its own or shares the clean ones.",
        json_schema_extra=only(level=("input", "hidden")),
    )
    sequence: MaskRule = Field(
        "union", title="Sequence mask", description="Which steps of a mixed sequence count: of either, own, of both."
    )
    members: Literal["item", "turned"] = Field(
        "item",
        title="Members",
        description="Clips mix with those of the item's partner, or all clips of the batch turned round (released).",
    )
    weight: Weight = Field(
        "ratio",
        title="Weight",
        description="How the mixed loss comes in: t / (t + half), at once, as a ramp, as half a cosine, or never.",
    )
    half: float = Field(
        30,
        gt=0,
        le=1000,
        title="Half at",
        description="Where the ratio is ½, or the ramp full.",
        json_schema_extra=only(weight=("ratio", "linear", "cosine")),
    )
    unit: Literal["epoch", "step"] = Field(
        "epoch",
        title="Counted in",
        description="Unit of the weight's clock.",
        json_schema_extra=only(weight=("ratio", "linear", "cosine")),
    )
    start: Literal[0, 1] = Field(
        0,
        title="Counted from",
        description="What the clock shows at the very first step.",
        json_schema_extra=only(weight=("ratio", "linear", "cosine")),
    )
    scale: float = Field(1, ge=0, le=10, title="Scale", description="Factor on the whole mixed loss.")

    @model_validator(mode="after")
    def _ordered(self) -> "DMM":
        if self.low > self.high:
            raise ValueError(f"low is {self.low} and high {self.high}; low must not exceed high")
        return self

    @model_validator(mode="after")
    def _decay_is_of_the_batch(self) -> "DMM":
        if self.rule == "released_decay" and (self.per_sample or self.side == "each"):
            raise ValueError(
                "rule released_decay multiplies one λ a batch; turn per_sample off, choose a side other than each, or "
                "another rule"
            )
        return self

    @model_validator(mode="after")
    def _target_is_there(self) -> "DMM":
        for wrong, expected in self._target_faults():
            if wrong:
                raise ValueError(f"target is {self.target} and {expected}")
        return self

    def _target_faults(self) -> list[tuple[bool, str]]:
        """What the target does not go with: whether it is so, and what was seen, expected and can be done."""
        soft, permuted = self.target == "soft", self.partner in PERMUTATIONS
        fixes = "choose " + ", ".join(PERMUTATIONS)
        return [
            (soft and not permuted, f"partner {self.partner}; its partners must be a permutation, so {fixes}"),
            (soft and self.side == "both", "side both; one side must be clean, so choose side a, b, alternate or each"),
            (soft and self.rule == "released_decay", "rule released_decay; choose another rule or target hard"),
            (
                self.target == "mask_partner" and self.partner == "bank",
                "partner bank; a bank partner's positive is not in the batch, so choose another partner or target hard",
            ),
        ]
