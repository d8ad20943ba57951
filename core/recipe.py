"""The recipe: everything that decides a run, frozen, validated and versioned."""

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from core.data.registry import DATA
from core.encoders.registry import ENCODERS
from core.losses.registry import LOSSES
from core.methods.registry import METHODS
from core.mixing.registry import MIXINGS
from core.params import Params
from core.pasted.entry import Pasted as Pasted  # stands aside among the losses from here on

SCHEMA_VERSION = 1


if TYPE_CHECKING:
    AnyData = AnyMethod = AnyMixing = AnyLoss = ListedLoss = VectorEncoder = ImageEncoder = TextEncoder = BagEncoder = (
        Any
    )
else:
    AnyData, AnyMethod, AnyMixing, ListedLoss = DATA.union(), METHODS.union(), MIXINGS.union(), LOSSES.union()
    AnyLoss = LOSSES.union(aside=True)
    VectorEncoder = ENCODERS.union(lambda entry: "vector" in entry.forms)
    ImageEncoder = ENCODERS.union(lambda entry: "image" in entry.forms)
    TextEncoder = ENCODERS.union(lambda entry: "text" in entry.forms)
    BagEncoder = ENCODERS.union(lambda entry: "bag" in entry.forms)


class Encoder(Params):
    """One network per form of modality; their outputs meet in one space."""

    dim: int = Field(64, ge=2, le=256, title="Dimensions", description="Of the space that the embeddings live in.")
    vector: VectorEncoder = ENCODERS["mlp"].params()
    image: ImageEncoder = ENCODERS["cnn"].params()
    text: TextEncoder = ENCODERS["text"].params()
    bag: BagEncoder = ENCODERS["deep_sets"].params()
    joint: bool = Field(
        False, title="Joint encoder", description="One more network that sees all modalities, for losses that take it."
    )


class Optimiser(Params):
    """AdamW."""

    lr: float = Field(2e-3, gt=0, le=1, title="Learning rate", description="Size of a step.")
    schedule: Literal["constant", "cosine"] = Field(
        "constant", title="Schedule", description="Keep the rate, or let it fall to 0 along half a cosine."
    )
    weight_decay: float = Field(0.05, ge=0, le=1, title="Weight decay", description="Pull of the weights towards 0.")


class Recipe(Params):
    """What a run is made of. Equal recipes on equal data and code are one and the same run."""

    schema_version: Literal[1] = SCHEMA_VERSION
    data: AnyData = DATA["emoji"].params()
    encoder: Encoder = Encoder()
    method: AnyMethod = METHODS["shuffle"].params()
    mixing: AnyMixing = MIXINGS["none"].params()
    loss: AnyLoss = LOSSES["clip"].params()
    optimiser: Optimiser = Optimiser()
    steps: int = Field(500, ge=1, le=100_000, title="Steps", description="How long to train.")
    seed: int = Field(0, ge=0, le=2**31 - 1, title="Seed", description="Decides weights, batches and every other draw.")
    parent: str = Field("", pattern=r"^([0-9a-f]{16})?$", title="Branch of", description="Id of the run it leaves.")
    from_step: int = Field(0, ge=0, title="Branches at", description="The parent's step that it starts from.")
