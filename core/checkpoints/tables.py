"""Files of embeddings, read inside the fence: every column is put down by what it can be.

Numbers become `NNN.npy` and texts `NNN.json`, beside a `Table` that lists them; nothing here decides what a column is
for, but for columns of numbers that only make sense together.
"""

from pathlib import Path

import numpy as np

from core.checkpoints import arrow_file
from core.checkpoints.columns import Table
from core.checkpoints.kept import Kept
from core.checkpoints.limits import Limits
from core.data import contents
from core.refusal import Refusal


def read(file: Path, out: Path, limits: Limits) -> Table:
    """Write every column of a file of embeddings to `out`, and list them.

    Raises:
        Refusal: with one sentence, if it is not to be opened.
    """
    size = file.stat().st_size
    if size > limits.table:
        raise Refusal(f"The file has {size / 1e6:,.0f} MB; expected at most {limits.table / 1e6:,.0f} MB: save less")
    kept = Kept(out, limits)
    if file.suffix == ".npz":
        for name, array in contents.unpack(file.read_bytes()).items():
            _sort(kept, name, array)
    elif file.suffix == ".npy":
        _sort(kept, file.stem, _npy(file))
    elif file.suffix == ".parquet":
        arrow_file.parquet(file, kept)
    else:
        arrow_file.csv(file, kept)
    return Table.model_validate(
        {"kind": file.suffix[1:], "size": size, "columns": tuple(kept.columns), "more": kept.more}
    )


def _npy(file: Path) -> np.ndarray:
    """The array of an .npy, after its header was held against its bytes."""
    with file.open("rb") as stream:
        try:
            announced = contents.announced(stream, file.stem)
        except ValueError as error:
            raise (
                error
                if isinstance(error, Refusal)
                else Refusal(f"The file is no .npy ({str(error)[:80]}); expected what numpy.save writes: save it again")
            ) from error
        if announced > file.stat().st_size - stream.tell():
            raise Refusal("The array is shorter than its header says; expected a whole file: save it again")
    return np.load(file, allow_pickle=False)


def _sort(kept: Kept, name: str, array: np.ndarray) -> None:
    """Put down one array of numpy's by its shape and type."""
    numbers = array.dtype.kind in "fiub"
    if numbers and array.ndim == 2 and array.shape[1]:
        kept.vector(name, array)
    elif numbers and array.ndim == 1:
        kept.single(name, array)
    elif array.dtype == np.uint8 and array.ndim == 4:
        kept.image(name, array)
    elif array.dtype.kind == "U" and array.ndim == 1:
        kept.texts(name, array.tolist())
    else:
        rows = len(array) if array.ndim else 0
        kept.leave(name, rows, f"{array.dtype} in the shape {array.shape}"[:80])
