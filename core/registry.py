"""One registry per kind of piece: the entry says everything about it once, and everything else iterates.

A package (`core/losses`, `core/mixing`, ...) owns one `Registry`; its modules register themselves on import, and the
registry imports them all the first time someone asks. The key of a piece is the `kind` field of its params.
"""

import functools
import importlib
import inspect
import operator
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import Field

from core.params import Params

Origin = Literal["code", "paper", "recalled", "designed"]


@dataclass(frozen=True)
class Entry:
    """What is known of one registered piece.

    `origin` says where its definition comes from: the authors' *code*, the *paper*, *recalled* from the field's
    common knowledge, or *designed* here.
    """

    title: str
    params: type[Params]
    call: Callable[..., Any]
    source: str
    origin: Origin = "designed"
    papers: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return self.params.model_fields["kind"].default

    @property
    def summary(self) -> str:
        """The first sentence of the docstring."""
        return (inspect.getdoc(self.call) or "").split("\n\n")[0].replace("\n", " ")

    @functools.cached_property
    def inputs(self) -> dict[str, bool]:
        """Named inputs in the order of the signature; True where the input is required."""
        parameters = inspect.signature(self.call).parameters.values()
        return {q.name: q.default is q.empty for q in parameters if q.name != "p"}


@dataclass(frozen=True)
class Learned:
    """A scalar that the trainer owns, learns and passes on by its name.

    In log space it is positive and moves by factors; in linear space it moves by amounts and may be of either sign.
    """

    initial: float
    low: float
    high: float
    space: Literal["log", "linear"] = "log"


E = TypeVar("E", bound=Entry)


@dataclass
class Registry(Generic[E]):
    """The pieces of one kind, in order of registration within each module, modules in alphabetical order."""

    kind: str
    package: str
    _entries: dict[str, E] = field(default_factory=dict)
    _complete: bool = False
    _aside: dict[str, E] = field(default_factory=dict)

    def add(self, entry: E) -> None:
        """Register `entry`.

        Raises:
            ValueError: if its key is taken.
        """
        if entry.key in self._entries:
            raise ValueError(f"{self.kind} '{entry.key}' is registered twice; choose another `kind` for its params")
        self._entries[entry.key] = entry

    def stand_aside(self, entry: E) -> None:
        """Let `entry` be found by its key, and stand in no list: what is said of all pieces is not said of it."""
        self._aside[entry.key] = entry

    def remove(self, key: str) -> None:
        """Forget a piece; for tests that plant one."""
        del self._entries[key]

    def _load(self) -> dict[str, E]:
        if not self._complete:
            package = importlib.import_module(self.package)
            for module in sorted(m.name for m in pkgutil.iter_modules(package.__path__)):
                importlib.import_module(f"{self.package}.{module}")
            self._entries = dict(sorted(self._entries.items(), key=lambda item: item[1].call.__module__))
            self._complete = True
        return self._entries

    def __getitem__(self, key: str) -> E:
        return self._aside[key] if key in self._aside else self._load()[key]

    def __iter__(self) -> Iterator[E]:
        return iter(self._load().values())

    def __len__(self) -> int:
        return len(self._load())

    def keys(self) -> list[str]:
        return list(self._load())

    def of(self, p: Any) -> E:
        """The entry that these params belong to."""
        return self[p.kind]

    def union(self, only: Callable[[E], bool] = lambda entry: True, *, aside: bool = False) -> Any:
        """The type of a recipe's field: any params of this kind, told apart by their `kind`.

        Args:
            only: which of the listed pieces.
            aside: whether those that stand aside are among them.
        """
        members = [entry.params for entry in (*self, *(self._aside.values() if aside else ())) if only(entry)]
        together: Any = functools.reduce(operator.or_, members)
        return Annotated[together, Field(discriminator="kind")] if len(members) > 1 else together
