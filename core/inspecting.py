"""`python -m core inspect`: the health of a file, of weights or of embeddings, as lines to read and as plain data."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from core.checkpoints import fence
from core.checkpoints.families import counted, sized
from core.checkpoints.limits import INDEX, SUFFIXES, TABLES
from core.checkpoints.opened import Checkpoint, open_checkpoint
from core.checkpoints.report import Report, report
from core.data.brought import bring, reading
from core.data.embeddings import file_embeddings
from core.data.npz import Npz
from core.diagnostics import embedding_health
from core.diagnostics.comparing import Comparison, compare
from core.diagnostics.embedding_health import EmbeddingHealth
from core.diagnostics.registry import DIAGNOSTICS
from core.diagnostics.verdicts import Verdict, changed
from core.refusal import Refusal

LARGEST = 12
MOST_COMPARED = 4_000


@dataclass(frozen=True)
class Inspection:
    """What is printed: lines for a person, or one object of plain data."""

    lines: tuple[str, ...]
    plain: dict[str, Any]


def inspect(file: Path, against: Path | None = None) -> Inspection:
    """The health of a file, and how another one differs from it. Nothing in them is run, and they are not changed.

    Raises:
        Refusal: with one sentence, if a file is not to be opened, or the two are not of one kind.
    """
    for each in filter(None, (file, against)):
        _check_ending(each)
    if against and (file.suffix in TABLES) != (against.suffix in TABLES):
        raise Refusal(
            f"'{file.name}' and '{against.name}' are not of one kind; expected two files of weights or two of "
            "embeddings: choose another"
        )
    try:
        found = _embeddings(file, against) if file.suffix in TABLES else _weights(file, against)
    except Refusal as error:
        raise Refusal(printable(str(error))) from error
    except OSError as error:
        raise Refusal(f"'{file.name}' cannot be read ({error.strerror}); expected a file: name one of yours") from error
    return Inspection(tuple(map(printable, found.lines)), found.plain)


def _check_ending(file: Path) -> None:
    if file.suffix not in (*SUFFIXES, *TABLES) and not file.name.endswith(INDEX):
        raise Refusal(
            printable(f"'{file.name[:80]}' is neither weights ({', '.join(SUFFIXES)}, *{INDEX}) nor embeddings ")
            + f"({', '.join(TABLES)}) by its ending; expected one of these: rename it if it is one"
        )


def printable(text: str) -> str:
    """A stranger's words without what would move a terminal's cursor or colour it."""
    return "".join(letter if letter.isprintable() else "�" for letter in text)


def _weights(file: Path, against: Path | None) -> Inspection:
    key = fence.add([file])
    checkpoint = open_checkpoint(key)
    other = open_checkpoint(fence.add([against])) if against else None
    found = report(checkpoint, other)
    plain = {"kind": "weights", "file": file.name, "key": key, **found.plain()}
    return Inspection(tuple(_weight_lines(file.name, checkpoint, found)), plain)


def _weight_lines(name: str, checkpoint: Checkpoint, found: Report) -> Iterator[str]:
    told, size = found.recognition, sum(each.size for each in checkpoint)
    yield f"{name}: {told.title}" + (f", {told.layout}" if told.layout else "")
    if told.also:
        yield f"The same names are used by {told.also}."
    numbers = sum(each.numel for each in checkpoint)
    yield f"{counted(len(checkpoint))}, {counted(numbers, 'number')}, {sized(size)}, {found.summary.kind}."
    groups = {
        "By these names": told.evidence,
        "Wrappers": told.wrappers,
        "Recognised": told.recognised,
        "Missing": told.missing,
        "Not understood": told.not_understood,
    }
    for title, sentences in groups.items():
        yield from _section(title, [text.removeprefix("Missing: ") for text in sentences])
    yield from _section("Health", _judged(found.verdicts))
    yield from _section("Largest tensors", _table(found))
    yield from ([found.spectra.left_out] if found.spectra.left_out else [])


def _section(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield title
        yield from (f"  {line}" for line in lines)


def _judged(verdicts: Sequence[Verdict]) -> list[str]:
    width = max((len(each.word) for each in verdicts), default=0)
    return [f"{each.state:<5}  {each.word:<{width}}  {each.sentence}" for each in verdicts]


def _table(found: Report) -> list[str]:
    largest = sorted(found.tensors, key=lambda each: -each.size)[:LARGEST]
    rank = {each.name: f"effective rank {each.effective_rank:.1f} of {each.most}" for each in found.spectra.spectra}
    width = max((len(each.name) for each in largest), default=0)
    return [
        f"{each.name:<{width}}  {' × '.join(map(str, each.shape)) or 'one number':<20}  {each.dtype:<9}  "
        f"norm {'none' if each.norm is None else f'{each.norm:.4g}':<9}  {rank.get(each.name, '')}".rstrip()
        for each in largest
    ]


def _embeddings(file: Path, against: Path | None) -> Inspection:
    digest = bring([file])
    data, arrays = file_embeddings(Npz(digest=digest))
    found = embedding_health.of_file(data, arrays)
    changes = _changes(arrays, file_embeddings(Npz(digest=bring([against])))[1]) if against else {}
    verdicts = {name: changed(*_of(each)) for name, each in changes.items()}
    understood = said.aloud() if (said := reading(digest)) else ""
    plain = {
        "kind": "embeddings",
        "file": file.name,
        "digest": digest,
        "understood": understood,
        "items": found.items,
        "note": found.note,
        "readings": {key: [_plain(asdict(each)) for each in row] for key, row in found.readings.items()},
        "spectra": found.spectra,
        "random": found.random,
        "against": {
            name: _plain({"cka": each.cka, "overlap": each.overlap, "moved": each.moved, "k": each.k})
            | {"most_moved": each.most_moved.tolist(), "verdict": asdict(verdicts[name])}
            for name, each in changes.items()
        }
        if against
        else None,
    }
    return Inspection(tuple(_embedding_lines(file.name, understood, found, verdicts)), plain)


def _of(found: Comparison) -> tuple[float, float, float, float]:
    return found.overlap, found.chance_overlap, found.moved, found.chance_moved


def _changes(one: Any, two: Any) -> dict[str, Comparison]:
    """Modality -> what changed; by name, or in their order where no name is in both.

    Raises:
        Refusal: if the two do not have the same number of rows.
    """
    rows, others = len(next(iter(one.values()))), len(next(iter(two.values())))
    if rows != others:
        raise Refusal(
            f"The first file has {rows:,} rows and the second {others:,}; expected the same items, row by row: cut "
            "them to size"
        )
    shared = [(name, name) for name in one if name in two] or list(zip(one, two, strict=False))
    items = torch.linspace(0, rows - 1, min(rows, MOST_COMPARED), dtype=torch.float64).round().long().numpy()
    return {name: compare(one[name][items], two[partner][items]) for name, partner in shared}


def _plain(value: Any) -> Any:
    """The same with nothing in place of what is no finite number, which JSON cannot say."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _embedding_lines(name: str, understood: str, found: EmbeddingHealth, changes: dict[str, Verdict]) -> Iterator[str]:
    yield f"{name}: embeddings"
    yield from ([understood] if understood else [])
    yield f"Read from {found.items}. {found.note}"
    titles = {each.key: each.title for each in DIAGNOSTICS}
    for key, row in found.readings.items():
        lines = [
            f"{each.verdict.state:<5}  {each.of}: {each.value:.3g} (chance {each.chance:.3g}), {each.verdict.word}. "
            f"{each.verdict.sentence}"
            for each in row
        ]
        yield from _section(titles.get(key, key), lines)
    yield from _section(
        "Against the other file",
        [f"{each.state:<5}  {of}: {each.word}. {each.sentence}" for of, each in changes.items()],
    )
