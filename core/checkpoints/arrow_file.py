"""Tables with named columns, .csv and .parquet: columns that count up under one name are one modality."""

import csv as lines
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv as arrow_csv
from pyarrow import parquet as arrow_parquet

from core.checkpoints import pictures
from core.checkpoints.columns import LABELS, NAMES
from core.checkpoints.kept import Kept, too_large, whole
from core.refusal import Refusal

COUNTED = re.compile(r"(?P<name>.*?)[\s_.:\-\[]*(?P<place>\d{1,9})\]?")
BLOCK = 1 << 22
UNNAMED, LOOSE = "values", "numbers"
# Made when this is imported: the first scalar loads pandas, and the process that forks for each file should have it.
NO_NUMBER, NO_LIST = pa.scalar(float("nan")), pa.scalar(-1, pa.int32())
Fetch = Callable[[Sequence[int]], list[pa.ChunkedArray]]


def csv(file: Path, kept: Kept) -> None:
    """Read a table of text; commas, semicolons, tabs or spaces part its columns, and a first row of names is known."""
    limits = kept.limits
    with file.open("rb") as stream:
        first = stream.readline(limits.header).decode("utf-8-sig", "replace").rstrip("\r\n")
    delimiter = "\t" if file.suffix == ".tsv" else max(",;\t", key=first.count)
    if delimiter not in first and " " in first.strip():
        delimiter = " "
    names = next(lines.reader([first], delimiter=delimiter), [])
    _few_columns(len(names), limits.columns)
    bare = all(map(_is_number, names)) and names != [str(place) for place in range(len(names))]
    table = arrow_csv.read_csv(
        file,
        read_options=arrow_csv.ReadOptions(
            use_threads=False,
            block_size=max(BLOCK, 4 * len(first)),
            column_names=[str(place) for place in range(len(names))] if bare else None,
        ),
        parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
    )
    _few_rows(table.num_rows, limits.rows)
    fields = [(field.name, field.type) for field in table.schema]
    _sort(kept, fields, table.num_rows, lambda places: [table.column(place) for place in places])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def parquet(file: Path, kept: Kept) -> None:
    """Read a table of columns; what one of them would unpack to is asked of the headers first."""
    limits = kept.limits
    opened = arrow_parquet.ParquetFile(
        file,
        pre_buffer=False,
        thrift_string_size_limit=limits.header,
        thrift_container_size_limit=limits.nodes,
        arrow_extensions_enabled=False,
    )
    meta, schema = opened.metadata, opened.schema_arrow
    _few_columns(meta.num_columns, limits.columns)
    _few_rows(meta.num_rows, limits.rows)
    leaves = np.cumsum([0, *(_leaves(field.type) for field in schema)])

    def values(place: int) -> int:
        if not _is_list(schema.field(place).type):
            return meta.num_rows
        return sum(meta.row_group(g).column(int(leaves[place])).num_values for g in range(meta.num_row_groups))

    def fetch(places: Sequence[int]) -> list[pa.ChunkedArray]:
        announced = 4 * sum(map(values, places))
        if announced > limits.unpacked:
            raise too_large(announced, limits)
        names = [schema.field(place).name for place in places]
        found = opened.read(columns=names, use_threads=False)
        return [found.column(name) for name in names]

    _sort(kept, [(field.name, field.type) for field in schema], meta.num_rows, fetch)


def _few_columns(seen: int, most: int) -> None:
    if seen > most:
        raise Refusal(f"The table has {seen:,} columns; expected at most {most:,}: save fewer")


def _few_rows(seen: int, most: int) -> None:
    if seen > most:
        raise Refusal(f"The table has {seen:,} rows; expected at most {most:,}: save fewer")


def _leaves(kind: pa.DataType) -> int:
    return sum(_leaves(kind.field(i).type) for i in range(kind.num_fields)) if kind.num_fields else 1


def _is_one_number(kind: pa.DataType) -> bool:
    types = pa.types
    return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    if not (types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)):
        return False
    return _is_one_number(kind.value_type)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_bytes(kind.field(place).type)
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _sort(kept: Kept, fields: Sequence[tuple[str, pa.DataType]], rows: int, fetch: Fetch) -> None:
    """Put down every column by its type; single numbers that belong together are one modality."""
    groups, alone = together([name for name, _ in fields], [_is_one_number(kind) for _, kind in fields])
    for name, places in groups.items():
        kept.vector(name, _matrix(fetch(places), rows))
    loose: dict[str, np.ndarray] = {}
    for place in alone:
        name, kind = fields[place]
        if _is_one_number(kind):
            loose[name] = _numbers(fetch([place])[0])
        else:
            _sort_in(kept, name, kind, rows, lambda place=place: fetch([place])[0])
    _loose(kept, loose)


def together(names: Sequence[str], numbers: Sequence[bool]) -> tuple[dict[str, list[int]], list[int]]:
    """Name -> the places of columns of numbers that count up under it, in their order; and all other places."""
    found: dict[str, dict[int, int]] = {}
    for place, name in enumerate(names):
        counted = COUNTED.fullmatch(name) if numbers[place] else None
        if counted is not None:
            found.setdefault(counted["name"], {}).setdefault(int(counted["place"]), place)
    groups = {name or UNNAMED: [of[at] for at in sorted(of)] for name, of in found.items() if len(of) > 1}
    taken = {place for places in groups.values() for place in places}
    return groups, [place for place in range(len(names)) if place not in taken]


def _sort_in(kept: Kept, name: str, kind: pa.DataType, rows: int, fetch: Callable[[], pa.ChunkedArray]) -> None:
    """Put down a column that is no single number."""
    if _is_list(kind):
        made = _lists(fetch())
        kept.leave(name, rows, "lists of unequal length") if made is None else kept.vector(name, made)
    elif _is_text(kind):
        texts = _texts(fetch())
        made = spelt_lists(texts)
        kept.texts(name, texts) if made is None else kept.vector(name, made)
    elif _is_bytes(kind):
        column = fetch()
        if pa.types.is_struct(kind):
            column = column.combine_chunks().flatten()[kind.get_field_index("bytes")]
        made = pictures.read(column.to_pylist(), kept.limits)
        kept.leave(name, rows, made) if isinstance(made, str) else kept.image(name, *made)
    else:
        kept.leave(name, rows, str(kind)[:80])


def _loose(kept: Kept, loose: dict[str, np.ndarray]) -> None:
    """Single columns of numbers; where there is no vector, what may be measurements make one."""
    used = {name for name in loose if name.lower() in (*LABELS, *NAMES)}
    fractions = {name for name, values in loose.items() if whole(values) is None}
    measured = fractions if len(fractions) > 1 else loose.keys() - used
    joined = [] if any(column.form == "vector" for column in kept.columns) else [n for n in loose if n in measured]
    if len(joined) > 1:
        kept.vector(LOOSE, np.stack([loose.pop(name) for name in joined], axis=1))
    for name, values in loose.items():
        kept.single(name, values)


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """(N,) numbers, NaN where there is none."""
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    if column.null_count or pa.types.is_decimal(column.type):
        column = column.cast(pa.float64(), safe=False).fill_null(NO_NUMBER)
    chunks = [np.from_dlpack(chunk) for chunk in column.chunks]
    return np.concatenate(chunks) if chunks else np.empty(0)


def _matrix(columns: Sequence[pa.ChunkedArray], rows: int) -> np.ndarray:
    """(N, F) float32."""
    made = np.empty((rows, len(columns)), np.float32)
    with np.errstate(over="ignore"):
        for place, column in enumerate(columns):
            made[:, place] = _numbers(column)
    return made


def _lists(column: pa.ChunkedArray) -> np.ndarray | None:
    """(N, F) float32 of lists, rows of NaN where there is none; None where their lengths differ."""
    lengths = _numbers(pc.call_function("list_value_length", [column]).fill_null(NO_LIST))
    given = lengths >= 0
    width = int(lengths.max(initial=0))
    if width < 1 or (lengths[given] != width).any():
        return None
    made = np.full((len(lengths), width), np.nan, np.float32)
    with np.errstate(over="ignore"):
        made[given] = _numbers(pc.call_function("list_flatten", [column])).reshape(-1, width)
    return made


def _texts(column: pa.ChunkedArray) -> list[str]:
    return ["" if text is None else str(text) for text in column.to_pylist()]


def spelt_lists(texts: Sequence[str]) -> np.ndarray | None:
    """(N, F) float32 of texts such as "[0.1, 0.2]" or "[0.1 0.2]"; None where they are none, or of unequal length."""
    first = next(filter(None, texts), "")
    if not re.match(r"\s*\[[-+\d.\s]", first):
        return None
    width = len(_spelt(first))
    made = np.full((len(texts), width), np.nan, np.float32)
    for row, text in enumerate(texts):
        if text:
            values = _spelt(text)
            if not width or len(values) != width:
                return None
            made[row] = values
    return made


def _spelt(text: str) -> np.ndarray:
    """The numbers of one spelt list; none where it is no such list."""
    inside = text.strip()
    if not (inside.startswith("[") and inside.endswith("]")):
        return np.empty(0, np.float32)
    try:
        return np.array(inside[1:-1].replace(",", " ").split(), np.float32)
    except ValueError:
        return np.empty(0, np.float32)
