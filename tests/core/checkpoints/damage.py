"""Reads many damaged copies of one file in a process of its own: `python -m tests.core.checkpoints.damage FILE FOLDER`.

The last line says how many were opened and how many were refused; a copy that ends it any other way is seen by its
absence.
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


def main(file: Path, folder: Path) -> None:
    content, copy = file.read_bytes(), folder / file.name
    counts = {"opened": 0, "refused": 0}
    reader.fence_in(len(content), Limits())
    for changed in damaged(content):
        copy.write_bytes(changed)
        reader.answer(copy, folder, Limits())
        refused = folder / reader.REFUSED
        counts["refused" if refused.exists() else "opened"] += 1
        if refused.exists():
            assert len(json.loads(refused.read_text())["sentence"]) < 600
            refused.unlink()
        else:
            (folder / reader.SUMMARY).unlink()
    print(json.dumps(counts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
