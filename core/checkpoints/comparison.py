"""Two checkpoints side by side: which tensors are the same ones, and how far each has moved."""

import math
from collections import Counter
from collections.abc import Mapping
from itertools import product

from pydantic import BaseModel, ConfigDict

from core.checkpoints.families import Recognition, counted, quoted
from core.checkpoints.opened import Checkpoint
from core.checkpoints.weights import flat
from core.diagnostics.verdicts import Verdict

UNRELATED = 4.0  # cosine times the root of the numbers; independent weights stay below
FEWEST = 100  # numbers from which a cosine tells anything
SMALL = 0.01  # change over the norm; up to it: nearly the same


class Moved(BaseModel):
    """A tensor in both files. `change`: norm of the difference over the norm of the first, None where that is 0.

    `growth`: relative change of the norm; `cosine`: of the two as one long vector, None where one is 0. Where a tensor
    has NaN or infinity in one of the files, all three are None.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    other: str
    role: str
    numel: int
    same: bool
    change: float | None = None
    growth: float | None = None
    cosine: float | None = None


class Comparison(BaseModel):
    """Tensors of the first file against those of the second, matched by their names without wrappers.

    `missing` are in the first file alone, `unexpected` in the second alone, `reshaped` in both with other shapes. `how`
    says how names were matched, a sentence.
    """

    model_config = ConfigDict(frozen=True)

    moved: tuple[Moved, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    reshaped: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    how: str


def compare(first: Checkpoint, second: Checkpoint, one: Recognition, two: Recognition) -> Comparison:
    """The tensors of two files, but for the state of their optimisers.

    Args:
        first: the file to measure against.
        second: the other one.
        one: what `first` was recognised as.
        two: what `second` was recognised as.
    """
    views = list(product(_views(one), _views(two)))
    (left, prefix), (right, other) = max(views, key=lambda pair: len(pair[0][0].keys() & pair[1][0].keys()))
    shapes = {name: (_shape(first, left[name]), _shape(second, right[name])) for name in left if name in right}
    role = one.role_of()
    taken = [f"'{each}'" for each in (prefix, other) if each]
    return Comparison(
        moved=tuple(
            _moved(first, second, left[name], right[name], role[left[name]])
            for name, (mine, theirs) in shapes.items()
            if mine == theirs
        ),
        missing=tuple(left[name] for name in left if name not in right),
        unexpected=tuple(right[name] for name in right if name not in left),
        reshaped={left[name]: pair for name, pair in shapes.items() if pair[0] != pair[1]},
        how="Matched by their names without wrappers"
        + (f", behind {' and '.join(taken)} in one of the files." if taken else "."),
    )


def _views(found: Recognition) -> list[tuple[dict[str, str], str]]:
    """Bare name -> name in the file: of the whole file, and of the network inside it where it has one."""
    often = Counter(found.bare.values())
    averages = {name for name in found.parts.get("teacher", ()) if often[found.bare[name]] > 1}
    whole = {bare: name for name, bare in found.bare.items() if name not in averages}
    cut = len(found.inside)
    within = {bare[cut:]: name for bare, name in whole.items() if bare.startswith(found.inside)} if cut else {}
    return [(whole, ""), *([(within, found.inside)] if within else [])]


def _shape(checkpoint: Checkpoint, name: str) -> tuple[int, ...]:
    return checkpoint.listed[checkpoint.summary.tied.get(name, name)].shape


def _moved(first: Checkpoint, second: Checkpoint, mine: str, theirs: str, role: str) -> Moved:
    a, b = first.tensor(mine), second.tensor(theirs)
    aa = bb = ab = dd = 0.0
    for x, y in zip(flat(a), flat(b), strict=True):
        aa, bb, ab = aa + float(x @ x), bb + float(y @ y), ab + float(x @ y)
        gone = y - x
        dd += float(gone @ gone)
    known: dict[str, float] = {}
    if all(map(math.isfinite, (aa, bb, ab, dd, aa * bb))):
        known |= {"change": math.sqrt(dd / aa), "growth": math.sqrt(bb / aa) - 1} if aa else {}
        known |= {"cosine": max(-1.0, min(1.0, ab / math.sqrt(aa * bb)))} if aa * bb else {}
    return Moved(name=mine, other=theirs, role=role, numel=a.numel(), same=dd == 0, **_finite(known))


def _finite(values: Mapping[str, float]) -> dict[str, float]:
    return {key: value for key, value in values.items() if math.isfinite(value)}


def findings(found: Comparison) -> tuple[Verdict, ...]:
    """What the comparison comes to."""
    return (_matched(found), *([_distance(found)] if found.moved else []))


def _matched(found: Comparison) -> Verdict:
    lost = {
        "missing from the other file": found.missing,
        "in the other file alone": found.unexpected,
        "of another shape": tuple(found.reshaped),
    }
    rest = [f"{counted(len(names))} {words}: {quoted(names)}" for words, names in lost.items() if names]
    text = f"{counted(len(found.moved))} in both files. {found.how}" + "".join(
        f" {each[0].upper()}{each[1:]}." for each in rest
    )
    if not found.moved:
        return Verdict("nothing in common", "bad", text)
    return Verdict("partly matched", "watch", text) if rest else Verdict("matched", "ok", text)


def _distance(found: Comparison) -> Verdict:
    same = sum(each.same for each in found.moved)
    if same == len(found.moved):
        return Verdict("the same", "info", "Every tensor in both files holds the same numbers.")
    measured: Mapping[str, float] = {
        each.name: each.change
        for each in found.moved
        if each.change is not None and each.role != "queue" and not each.same
    }
    told = [each for each in found.moved if each.cosine is not None and each.numel >= FEWEST]
    strangers = [each for each in told if abs(each.cosine or 0.0) * math.sqrt(each.numel) < UNRELATED]
    text = f"{same:,} of {len(found.moved):,} hold the same numbers."
    if measured:
        most = max(measured, key=lambda name: measured[name])
        middle = sorted(measured.values())[len(measured) // 2]
        text += f" Half of the others moved by {100 * middle:.3g}% of their norm or more,"
        text += f" '{most}' by {100 * measured[most]:.3g}%."
    if told and len(strangers) > len(told) / 2:
        more = f" {len(strangers):,} of {len(told):,} are no more alike than independent weights: another start."
        return Verdict("unrelated", "watch", text + more)
    if measured and max(measured.values()) <= SMALL:
        return Verdict("nearly the same", "info", text)
    return Verdict("moved", "info", text)
