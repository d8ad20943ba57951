"""Reads damaged copies of files in a process of its own: `python -m tests.core.checkpoints.damage FOLDER FILE...`.

The last line says of each file how many copies were opened and how many were refused; a copy that ends the process is
seen by its absence.
"""

import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from core.checkpoints import reader
from core.checkpoints.limits import Limits

CUTS, FLIPS = 200, 1_000


def damaged(content: bytes) -> Iterator[bytes]:
    """Truncations at random points, then random single bits turned over."""
    dice = random.Random(0)
    for _ in range(CUTS):
        yield content[: dice.randrange(len(content))]
    for _ in range(FLIPS):
        changed = bytearray(content)
        changed[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
        yield bytes(changed)


def read_all(file: Path, folder: Path) -> dict[str, int]:
    """How many damaged copies of a file were opened and refused."""
    copy, refused, counts = folder / file.name, folder / reader.REFUSED, {"opened": 0, "refused": 0}
    for changed in damaged(file.read_bytes()):
        copy.write_bytes(changed)
        reader.answer(copy, folder, Limits())
        if refused.exists():
            assert len(json.loads(refused.read_text())["sentence"]) < 600
            refused.unlink()
            counts["refused"] += 1
        else:
            (folder / reader.SUMMARY).unlink()
            counts["opened"] += 1
        copy.unlink()  # to write over it would wait for the disk
    return counts


if __name__ == "__main__":
    reader.fence_in(10_000, Limits())
    print(json.dumps({name: read_all(Path(name), Path(sys.argv[1])) for name in sys.argv[2:]}))
