"""Everything that a link can say: a recipe, and what the pages show of it. One schema for all pages."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from core.diagnostics.filled import Rule
from core.diagnostics.mixed_gaps import Setting
from core.diagnostics.scene import SITUATIONS
from core.loss_search import FAMILIES, WORDS
from core.losses.registry import LOSSES
from core.mixing.options import FixedRule
from core.mixing.registry import MIXINGS
from core.papers import KINDS, papers
from core.params import Params
from core.recipe import AnyLoss, AnyMixing, ListedLoss, Recipe

if TYPE_CHECKING:
    Family = Had = PaperKind = PaperId = LossKey = str
else:
    Family, Had, PaperKind = Literal[("all", *FAMILIES)], Literal[tuple(WORDS)], Literal[("all", *KINDS)]
    PaperId, LossKey = Literal[("", *(paper.id for paper in papers()))], Literal[tuple(LOSSES.keys())]


class Lane(Params):
    """A second lane: another loss or mixing from the same initial weights, on the same batches."""

    on: bool = Field(False, title="Second lane", description="Same start, same batches, another loss.")
    loss: AnyLoss = LOSSES["ranking"].params()
    mixing: AnyMixing = MIXINGS["none"].params()


class Scene(Params):
    """The margin scene: one anchor, its partner, and the picture mixed of both."""

    gap: float = Field(75, ge=20, le=120, title="Gap, degrees", description="Between the picture and its partner.")
    own: float = Field(12, ge=10, le=60, title="Own name, degrees", description="From the picture out to its name.")
    lam: float = Field(0.54, ge=0.5, le=1, title="λ, share of the anchor", description="1: nothing is mixed in.")
    margin: float = Field(0.3, ge=0, le=1, title="Margin m", description="Lead asked of a clean pair.")
    rule: FixedRule = Field("lam", title="Margin rule", description="Lead asked of the mixed pair; the paper's is λm.")

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, given: Any) -> Any:
        """Older links name a situation where newer ones give its two angles."""
        named = SITUATIONS.get(given.get("situation", "")) if isinstance(given, dict) else None
        if named is None:
            return given
        return {k: v for k, v in given.items() if k != "situation"} | {"gap": named.partner, "own": named.own}


class Lens(Params):
    """What is shown below the scene: the margin really applied, what becomes of two partners, and a table of users."""

    part: Literal["applied", "far", "users"] = Field("applied", title="Part", description="Which panels are shown.")
    applied: Literal["paper", "released"] = Field(
        "released", title="Margin", description="Drawn anew in every call, or multiplied in place as released."
    )
    form: Literal["min", "sum"] = Field("min", title="Loss", description="Of the two released recommender losses.")
    margin: float = Field(1.5, ge=0, le=2, title="Margin m", description="At the first call; the scripts have 1.5.")
    draw: int = Field(0, ge=0, le=255, title="Python’s seed", description="Of the draws of λ in the lens.")
    sphere: bool = Field(False, title="On the sphere", description="Steps keep every length 1, as an encoder does.")
    asked: float = Field(0.3, ge=0, le=2, title="Margin m", description="Lead asked of each user.")
    separation: float = Field(
        0.5, ge=0, le=1, title="Separation", description="1: every item lies on its user; 0: among the negatives."
    )


class Pairs(Params):
    """A batch of pairs to look at."""

    part: Literal["batch", "lab"] = Field("batch", title="Part", description="One batch, or pairs of any gap.")
    source: Literal["synthetic", "run"] = Field("synthetic", title="Batch", description="Made here, or of your run.")
    n: int = Field(24, ge=4, le=64, title="Pairs", description="How many anchors, each with one positive.")
    closeness: float = Field(0.5, ge=0, le=0.99, title="Closeness ρ", description="Cosine in the middle of the pairs.")
    spread: float = Field(0.3, ge=0, le=0.5, title="Spread", description="How far the cosines reach to either side.")
    dim: int = Field(32, ge=2, le=128, title="Dimensions", description="Of the synthetic embeddings.")
    anchor: int = Field(0, ge=0, le=23, title="Anchor", description="Whose pull and push is drawn; 0 is A.")


class Losses(Params):
    """Which losses are listed, which one is open, and the batch that it is looked at with."""

    find: str = Field(
        "", max_length=80, title="Search", description="Words of its name, paper, author or purpose; all must occur."
    )
    family: Family = Field("all", title="Family", description="How it weighs pairs, and what a margin means for it.")
    have: tuple[Had, ...] = Field(
        (), title="What I have", description="Only losses for which this is enough are listed; choose nothing for all."
    )
    whole: bool = Field(False, title="Whole list", description="List every loss that answers, not the first few.")
    open: ListedLoss = LOSSES["info_nce"].params()
    part: Literal["push", "price"] = Field("push", title="Part", description="Which further charts are shown.")
    n: int = Field(24, ge=8, le=64, title="Items", description="In the batch that the loss is looked at with.")
    closeness: float = Field(
        0.5, ge=0, le=0.99, title="Closeness ρ", description="Cosine of a positive, in the middle of the batch."
    )
    spread: float = Field(0.3, ge=0, le=0.5, title="Spread", description="How far the cosines reach to either side.")
    dim: int = Field(32, ge=2, le=128, title="Dimensions", description="Of the embeddings in this batch.")
    anchor: int = Field(0, ge=0, le=7, title="Anchor", description="Whose pull and push is drawn; 0 is the first.")
    weight: Literal["force", "motion"] = Field(
        "force",
        title="Each dot’s height",
        description="How hard its score is pushed, or how much its cosine changes in a small step.",
    )
    surface: Literal["loss", "push"] = Field(
        "loss", title="Surface of", description="What the anchor pays, or the push on its hardest negative."
    )


class Kinship(Params):
    """Which loss is looked at among all."""

    loss: LossKey = Field("info_nce", title="Loss", description="Whose place and nearest twins are shown.")
    setting: Literal["alike", "own"] = Field(
        "alike", title="Temperature", description="One for all losses that have one, or the default of each."
    )


class Paste(Params):
    """Which loss of your own is open; its text never stands in a link."""

    code: str = Field(
        "", pattern=r"^([0-9a-f]{64})?$", title="Your own loss", description="Hash of a text that is kept here."
    )


class Papers(Params):
    """Which papers are listed."""

    find: str = Field("", max_length=80, title="Search", description="Words of title, author, claim; all must occur.")
    state: Literal["all", "runs", "in part", "not yet"] = Field(
        "all", title="State", description="What of a paper runs here."
    )
    kind: PaperKind = Field("all", title="Kind", description="What a paper brings.")
    shown: PaperId = Field("", title="Paper", description="Whose claim the open page shows; empty for none.")


class Lab(Setting):
    """Made-up pairs, clean and mixed, and the lambda that is looked at."""

    lam: float = Field(0.6, ge=0.5, le=1, title="λ, share of the anchor", description="1: nothing is mixed in.")


class Scores(Params):
    """Which runs lie beside the chosen one."""

    beside: tuple[str, ...] = Field((), title="Beside it", description="Other runs, by id, drawn below the first.")


class MapView(Params):
    """How the map is drawn."""

    layout: Literal["pca", "umap"] = Field("pca", title="Layout", description="PCA at once, UMAP after a while.")
    items: Literal["all", "probe", "file"] = Field(
        "all", title="Points", description="All at the end, some step by step, or your own file as it is."
    )
    modality: str = Field("", title="Seen in", description="A modality, or both; empty for the first.")
    group: str = Field("", title="Show one group", description="A class in ink; empty for the first, none for none.")
    neighbours: int = Field(15, ge=2, le=100, title="Neighbours", description="What UMAP calls near; more is broader.")
    min_dist: float = Field(0.1, ge=0, le=1, title="Least distance", description="How tightly UMAP may pack items.")


class Inspect(Params):
    """What is taken apart, and which part of it is looked at."""

    of: Literal["run", "file", "checkpoint"] = Field(
        "run", title="Health of", description="A run of yours, the file in `data`, or a checkpoint by its hash."
    )
    part: Literal["health", "embed", "steps", "compare"] = Field(
        "health", title="Part", description="What is asked of it."
    )
    key: str = Field("", pattern=r"^([0-9a-f]{64})?$", title="Checkpoint", description="Hash of its content.")
    other: str = Field(
        "", pattern=r"^[0-9a-f]{0,64}$", title="Compared with", description="A run, a file or a checkpoint of its kind."
    )
    on: str = Field("", pattern=r"^[0-9a-f]{0,64}$", title="Run on", description="Digest of the data to embed.")
    tensor: str = Field("", max_length=400, title="Matrix", description="Whose singular values are drawn.")


class Missing(Params):
    """What is asked when modalities go missing, and of whose embeddings."""

    of: Literal["run", "file"] = Field("run", title="Of", description="A run of yours, or the file in `data`.")
    measure: Literal["accuracy", "retrieval"] = Field("accuracy", title="Measure", description="5-NN, or R@1.")
    gone: str = Field("", max_length=64, title="Gone", description="The modality that is missing; empty for the last.")
    fill: Rule = Field("zeros", title="In its place", description="What stands where the missing modality was.")
    rate: float = Field(0.5, ge=0, le=1, title="Missing in", description="Share of the items that lack it.")


class Evidence(Params):
    """Which claim is looked at, and which arm is held against its controls."""

    task: Literal["retrieval", "recommender", "missing", "calibration", "poisoning"] = Field(
        "missing", title="Claim", description="Which of the three claims of DMM, or of two other papers."
    )
    data: Literal["mfeat", "emoji"] = Field("mfeat", title="Data", description="What the claim was tested on here.")
    arm: Literal[
        "dmm", "dmm_each", "dmm_hard", "clip_released", "clip_dmm", "gmc_dmm", "dmm_released", "sum_dmm", "sum_released"
    ] = Field("dmm", title="Held against its controls", description="Which way of training is compared.")
    source: Literal["shipped", "yours"] = Field(
        "shipped", title="Results", description="Of the files that come along, or of your own run of the experiment."
    )
    noise: Literal["0.0", "0.2", "0.4"] = Field(
        "0.2", title="Wrong labels", description="Share of the labels that are drawn anew, for the calibration."
    )


class View(Recipe):
    """A recipe and the state of the pages."""

    at: int = Field(-1, ge=-1, title="Step", description="Which recorded step is shown; -1 for the last.")
    speed: Literal["slow", "normal", "fast"] = Field("normal", title="Speed", description="Of the playback.")
    run: str = Field("", pattern=r"^([0-9a-f]{16})?$", title="Run", description="Id of a run of yours.")
    lane: Lane = Lane()
    scene: Scene = Scene()
    lens: Lens = Lens()
    pairs: Pairs = Pairs()
    losses: Losses = Losses()
    family: Kinship = Kinship()
    paste: Paste = Paste()
    papers: Papers = Papers()
    lab: Lab = Lab()
    scores: Scores = Scores()
    map: MapView = MapView()
    inspect: Inspect = Inspect()
    missing: Missing = Missing()
    evidence: Evidence = Evidence()

    def recipe(self) -> Recipe:
        """The recipe alone."""
        return Recipe.model_validate({name: getattr(self, name) for name in Recipe.model_fields})

    def with_recipe(self, recipe: Mapping[str, Any]) -> "View":
        """This view of another recipe, given as plain data."""
        return View.model_validate({**self.model_dump(), **recipe, "at": -1})

    def second(self) -> Recipe:
        """The recipe of the second lane: same start, same batches, never a branch."""
        own = {"loss": self.lane.loss, "mixing": self.lane.mixing, "parent": "", "from_step": 0}
        return Recipe.model_validate({**dict(self.recipe()), **own})
