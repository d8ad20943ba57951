"""The papers that the product stands on, and what of each one runs here, read off the registries."""

import json
from functools import lru_cache
from typing import Literal

from pydantic import Field

from core.catalogue import REGISTRIES
from core.environment import ROOT
from core.params import Params
from core.registry import Entry

FILE = ROOT / "assets" / "papers.json"
KINDS = (
    "analysis", "architecture", "augmentation", "data", "decoding", "loss", "mixing", "procedure", "regulariser",
    "sampler", "training",
)  # fmt: skip
State = Literal["runs", "in part", "not yet"]


class Place(Params):
    """A page, and the part of a link that it is opened with."""

    page: str = ""
    link: dict[str, str] = Field(default_factory=dict)


class Paper(Params):
    """One row of the table.

    `confidence` says where its formulas come from, `golden` which files of the tests hold its numbers, `missing` what
    of it does not run yet, `open` where it is seen at work, `note` what a reader should know beside its claim.

    Where the claim shows there, on one batch or in one short run, `look` says what to look at and which number tells
    it, and `control` changes the link to the picture without what the paper brings; it is empty where both stand on
    one page. `weak` says what of the claim does not show at this scale.
    """

    number: int
    id: str
    title: str
    authors: str
    year: int
    venue: str
    arxiv: str
    kinds: tuple[str, ...]
    claim: str
    confidence: Literal["code", "paper", "recalled", "designed"]
    golden: tuple[str, ...]
    missing: tuple[str, ...]
    open: Place
    look: str = ""
    control: dict[str, str] = Field(default_factory=dict)
    weak: str = ""
    note: str

    @property
    def pieces(self) -> list[tuple[str, Entry]]:
        """What is registered under its id, each with the kind of its registry."""
        return [(registry.kind, entry) for registry in REGISTRIES for entry in registry if self.id in entry.papers]

    @property
    def state(self) -> State:
        """Whether all of it that is planned runs, a part, or nothing yet."""
        if not self.pieces:
            return "not yet"
        return "in part" if self.missing else "runs"

    @property
    def reference(self) -> str:
        """Authors, venue, year and archive number."""
        where = " ".join(filter(None, (self.venue, str(self.year))))
        return f"{self.authors}, {where}" + (f", arXiv:{self.arxiv}" if self.arxiv else "")

    def answers(self, words: str) -> bool:
        """Whether all these words occur in what is known of it."""
        parts = (self.id, self.title, self.reference, self.claim, self.look, self.weak, self.note, *self.kinds)
        said = " ".join([*parts, *self.missing, *(entry.title for _, entry in self.pieces)]).lower()
        return all(word in said for word in words.lower().split())


@lru_cache(maxsize=1)
def papers() -> tuple[Paper, ...]:
    """All papers, DMM first."""
    return tuple(Paper.model_validate(row) for row in json.loads(FILE.read_text(encoding="utf-8")))
