"""What a checkpoint is, told by the names and shapes of its tensors alone, and what each tensor in it is for."""

import functools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import get_args

from pydantic import BaseModel, ConfigDict

from core.checkpoints.layouts import (
    AVERAGES,
    BOXES,
    COMMON,
    FAMILIES,
    INSERTED,
    LIGHTNING,
    OPTIMISER,
    SHELLS,
    Expected,
    Family,
    Role,
    Sign,
)
from core.checkpoints.opened import Checkpoint

NOT_SURE = "not sure"
ROLES: tuple[Role, ...] = get_args(Role)
FEWEST_INSIDE = 4
MOST_BLOCKS = 10_000
Shapes = Mapping[str, tuple[int, ...]]


class Recognition(BaseModel):
    """What was told from names and shapes; every text is a sentence.

    `family` is the key of a family, empty where nothing is sure; `title` its name or "not sure". `parts`: role -> the
    tensors of it, by their names in the file; `bare`: such a name -> the name without wrappers. `also`: who else names
    tensors so. `inside`: the prefix of the network that embeds, where it has one.
    """

    model_config = ConfigDict(frozen=True)

    family: str
    title: str
    layout: str
    evidence: tuple[str, ...]
    wrappers: tuple[str, ...]
    recognised: tuple[str, ...]
    missing: tuple[str, ...]
    not_understood: tuple[str, ...]
    also: str
    inside: str
    parts: dict[Role, tuple[str, ...]]
    bare: dict[str, str]

    def role_of(self) -> dict[str, Role]:
        """Name in the file -> its role."""
        return {name: role for role, names in self.parts.items() for name in names}


def recognise(checkpoint: Checkpoint) -> Recognition:
    """What the names and shapes of a checkpoint tell, those that are tied to another among them."""
    shapes = {each.name: each.shape for each in checkpoint}
    shapes |= {name: shapes[kept] for name, kept in checkpoint.summary.tied.items() if kept in shapes}
    found = of_names(shapes, checkpoint.summary.notes)
    strange = _strange(checkpoint)
    return found.model_copy(update={"not_understood": (*found.not_understood, *strange)})


def of_names(shapes: Shapes, notes: Mapping[str, str] | None = None) -> Recognition:
    """The same of names with their shapes, and of the plain values that a file holds beside them."""
    optimiser = dict.fromkeys(name for name in shapes if _fits(OPTIMISER, name))
    bare, averages, wrappers = unwrapped([name for name in shapes if name not in optimiser])
    live = {bare[name]: shapes[name] for name in bare if name not in averages}
    family = next((family for family in FAMILIES if _signed(family, live)), None)
    parts, odd = _sorted_in(bare, averages, family)
    parts["optimiser"] = list(optimiser)
    inner = _inner(family, live)
    lightning = any(_fits(LIGHTNING, note) for note in notes or {})
    return Recognition(
        family=family.key if family else "lightning" if lightning else "",
        title=family.title if family else "a module of Lightning" if lightning else NOT_SURE,
        layout=family.layout if family else "",
        evidence=_evidence(family, live, lightning),
        wrappers=wrappers,
        recognised=(*_told(parts, shapes, family), *_remarks(family, live), *inner),
        missing=_missing(family, live, bool(optimiser)),
        not_understood=(*_odd(odd, family, live), *_unequal(family, live)),
        also=family.also if family else "",
        inside=family.inside if family else "",
        parts={role: tuple(parts[role]) for role in ROLES if parts.get(role)},
        bare=bare,
    )


@functools.cache
def _pattern(pattern: str) -> Callable[[str], re.Match[str] | None]:
    return re.compile(pattern).match


def _fits(pattern: str, name: str) -> bool:
    return _pattern(pattern)(name) is not None


def _those(pattern: str, names: Iterable[str]) -> list[str]:
    return [name for name in names if _fits(pattern, name)]


def counted(n: int, what: str = "tensor") -> str:
    """'1 tensor', '2 tensors'."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def sized(size: int) -> str:
    """Bytes in words: '4.2 kB', '210.0 MB'."""
    return f"{size / 1e3:,.1f} kB" if size < 1e6 else f"{size / 1e6:,.1f} MB"


def quoted(names: Sequence[str], most: int = 3) -> str:
    """The first names in quotes, and how many more there are."""
    shown = ", ".join(f"'{name[:80]}'" for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most:,} more"


class _Names:
    """Names that lose their wrappers step by step, and what is said of each step."""

    def __init__(self, names: Sequence[str]) -> None:
        self.bare = {name: name for name in names}
        self.averages: set[str] = set()
        self.said: list[str] = []

    def within(self, box: str) -> list[str]:
        return [name for name, text in self.bare.items() if text.startswith(f"{box}.")]

    def take_off(self, box: str, names: Sequence[str]) -> None:
        self.bare.update({name: self.bare[name][len(box) + 1 :] for name in names})
        self.said.append(f"'{box}.' was taken off {counted(len(names), 'name')}.")

    def take_out(self, word: str) -> None:
        """Modules that stand anywhere in a name."""
        cut = {name: re.sub(rf"(^|\.){word}\.", r"\1", text) for name, text in self.bare.items()}
        if changed := [name for name, text in self.bare.items() if cut[name] != text]:
            self.said.append(f"'{word}.' was taken out of {counted(len(changed), 'name')}.")
            self.bare.update(cut)

    def unbox(self, box: str) -> None:
        """Boxes that stand first; a moving average is one beside the weights only if there are others."""
        chosen = self.within(box)
        if chosen and box in AVERAGES and len(chosen) < len(self.bare):
            self.averages.update(chosen)
        if chosen:
            self.take_off(box, chosen)

    def shell(self, shell: str) -> None:
        """Boxes that hold everything."""
        chosen = [name for name in self.within(shell) if name not in self.averages]
        if chosen and len(chosen) == len(self.bare) - len(self.averages):
            self.take_off(shell, chosen)


def unwrapped(names: Sequence[str]) -> tuple[dict[str, str], set[str], tuple[str, ...]]:
    """Names without the boxes and modules that training code wraps a network into.

    Returns:
        Name -> bare name; the names that lie in a moving average beside the weights; and what was taken off, in words.
    """
    found = _Names(names)
    for word in INSERTED:
        found.take_out(word)
    for _ in range(3):
        for box in (*BOXES, *AVERAGES):
            found.unbox(box)
        for shell in SHELLS:
            found.shell(shell)
    if found.averages:
        found.said.append(f"A moving average of the weights lies beside them: {counted(len(found.averages))}.")
    return found.bare, found.averages, tuple(found.said)


def _signed(family: Family, shapes: Shapes) -> bool:
    return all(_shaped(sign, _those(sign.pattern, shapes), shapes) for sign in family.signs)


def _sorted_in(
    bare: Mapping[str, str], averages: set[str], family: Family | None
) -> tuple[dict[Role, list[str]], list[str]]:
    """Role -> names in the file, and the names that the family does not have."""
    parts: dict[Role, list[str]] = {role: [] for role in ROLES}
    odd = []
    for name, text in bare.items():
        known = next((role for pattern, role in family.roles if _fits(pattern, text)), None) if family else None
        if family and known is None:
            odd.append(name)
        parts["teacher" if name in averages else known or common_role(text)].append(name)
    return parts, odd


def common_role(name: str) -> Role:
    """What a name is commonly for, where no family says it."""
    return next((role for pattern, role in COMMON if _fits(rf"(.*\.)?{pattern}", name)), "other")


def _evidence(family: Family | None, shapes: Shapes, lightning: bool) -> tuple[str, ...]:
    if family is None:
        return ("The file says which version of Lightning wrote it.",) if lightning else ()
    found = (_those(sign.pattern, shapes) for sign in family.signs)
    return tuple(
        f"{counted(len(names))} named like '{names[0]}', of shape {_shape(shapes[names[0]])}." for names in found
    )


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "one number"


def _told(parts: Mapping[Role, Sequence[str]], shapes: Shapes, family: Family | None) -> tuple[str, ...]:
    how = "" if family else ", by a common word in their names"
    return tuple(
        f"{role.capitalize()}: {counted(len(names))} of {counted(_numel(names, shapes), 'number')}"
        f"{'' if role == 'optimiser' else how}."
        for role, names in parts.items()
        if names and role != "other"
    )


def _numel(names: Sequence[str], shapes: Shapes) -> int:
    return sum(functools.reduce(int.__mul__, shapes[name], 1) for name in names)


def _remarks(family: Family | None, shapes: Shapes) -> tuple[str, ...]:
    if family is None:
        return ()
    said = [text for pattern, text in family.remarks if _those(pattern, shapes)]
    if blocks := _blocks(family, shapes):
        said.append(f"It has {counted(len(blocks), 'block')}.")
    return tuple(said)


def _blocks(family: Family, shapes: Shapes) -> set[int]:
    match = _pattern(family.blocks) if family.blocks else None
    return {int(found[1]) for name in shapes if (found := match(name))} if match else set()


def _inner(family: Family | None, shapes: Shapes) -> tuple[str, ...]:
    """What lies behind the prefixes of the file: networks with names of their own."""
    heads = Counter(name.partition(".")[0] + "." for name in shapes)
    often = [head for head, n in heads.items() if n >= FEWEST_INSIDE]
    prefixes = [family.inside] if family and family.inside else [] if family else often[:20]
    said = []
    for prefix in prefixes:
        within = {name[len(prefix) :]: shape for name, shape in shapes.items() if name.startswith(prefix)}
        if inner := next((other for other in FAMILIES if not other.inside and _signed(other, within)), None):
            said.append(f"Behind '{prefix}' lies {inner.layout}, by the names of {inner.title}.")
    return tuple(said)


def _missing(family: Family | None, shapes: Shapes, has_optimiser: bool) -> tuple[str, ...]:
    if family is None:
        return ()

    def lacks(each: Expected) -> bool:
        return not _those(each.pattern, shapes) and (not each.when or bool(_those(each.when, shapes)))

    said = [f"Missing: {each.missing}." for each in family.expects if lacks(each)]
    if family.trains and not has_optimiser:
        said.append("Missing: the state of the optimiser: it can be used, and training goes on with fresh moments.")
    blocks = sorted(_blocks(family, shapes))
    gaps = [place for place, number in enumerate(blocks) if place != number]
    if gaps and blocks[-1] < MOST_BLOCKS:
        lost = blocks[-1] + 1 - len(blocks)
        said.append(f"Missing: {counted(lost, 'block')} of {blocks[-1] + 1}, the first is number {gaps[0]}.")
    halves = [(name, name.replace("running_mean", "running_var")) for name in shapes if name.endswith("running_mean")]
    if lost := [other for name, other in halves if other not in shapes]:
        said.append(f"Missing: {counted(len(lost), 'variance')} beside a running mean, such as {quoted(lost, 1)}.")
    return tuple(said)


def _odd(odd: Sequence[str], family: Family | None, shapes: Shapes) -> tuple[str, ...]:
    if family is None:
        return _why_not(shapes)
    if not odd:
        return ()
    return (f"{counted(len(odd))} have no place in {family.layout} of {family.title}: {quoted(odd)}.",)


def _why_not(shapes: Shapes) -> tuple[str, ...]:
    """Why no family was found."""
    if not shapes:
        return ("There are no weights in the file.",)
    said = [f"No library that is known here names its tensors like {quoted(tuple(shapes))}."]
    for family in FAMILIES:
        named = [_those(sign.pattern, shapes) for sign in family.signs]
        if all(named):
            wrong = [
                names[0] for sign, names in zip(family.signs, named, strict=True) if not _shaped(sign, names, shapes)
            ]
            seen = ", ".join(f"'{name}' is {_shape(shapes[name])}" for name in wrong)
            said.append(f"Its names are those of {family.layout} of {family.title}, its shapes are not: {seen}.")
    return tuple(said)


def _shaped(sign: Sign, names: Iterable[str], shapes: Shapes) -> bool:
    return any(not sign.ndim or len(shapes[name]) in sign.ndim for name in names)


def _unequal(family: Family | None, shapes: Shapes) -> tuple[str, ...]:
    """Sides that should be alike and are not."""
    sides = {
        name: shapes[name][axis]
        for pattern, axis in (family.equal if family else ())
        for name in _those(pattern, shapes)
        if len(shapes[name]) > axis
    }
    if len(set(sides.values())) < 2:
        return ()
    seen = ", ".join(f"'{name}' {side}" for name, side in sides.items())
    return (f"Embeddings that should be of one size are not: {seen}.",)


def _strange(checkpoint: Checkpoint) -> tuple[str, ...]:
    """What the fence could not keep, and the classes that the file named."""
    summary, said = checkpoint.summary, []
    if summary.left:
        first, why = next(iter(summary.left.items()))
        said.append(f"{counted(len(summary.left))} could not be looked into: '{first[:80]}', because {why}.")
    if summary.classes:
        said.append(f"Values of other classes were left where they are: {quoted(summary.classes)}.")
    return tuple(said)
