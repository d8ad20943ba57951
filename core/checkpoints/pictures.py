"""Pictures in a column of bytes: PNG and JPEG alone, small, and brought to one size."""

import io
import time
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from core.checkpoints.limits import Limits

SIDE = 32
FORMATS = {b"\x89PNG": "PNG", b"\xff\xd8\xff": "JPEG"}


def read(cells: Sequence[bytes | None], limits: Limits) -> tuple[np.ndarray, int] | str:
    """(N, 32, 32, 3) uint8 on white, and how many rows have no picture that can be read; or why there are none.

    A cell is refused by its header if it has more than `limits.pixels`; decoding them all stops after
    `limits.decoding` seconds.
    """
    end = time.monotonic() + limits.decoding
    if not any(_format(cell) for cell in cells[:100]):
        return "bytes that are no PNG or JPEG"
    made = np.full((len(cells), SIDE, SIDE, 3), 255, np.uint8)
    gaps = 0
    for row, cell in enumerate(cells):
        if time.monotonic() > end:
            return f"pictures that take more than {limits.decoding:.0f} s to read"
        picture = _picture(cell, limits.pixels)
        if picture is None:
            gaps += 1
        else:
            made[row] = picture
    return (made, gaps) if gaps < len(cells) else "pictures that cannot be read"


def _format(cell: bytes | None) -> str:
    return next((kind for start, kind in FORMATS.items() if cell and cell.startswith(start)), "")


def _picture(cell: bytes | None, pixels: int) -> np.ndarray | None:
    """(32, 32, 3) uint8, its sides filled up with white; None where it cannot be read or is too large."""
    kind = _format(cell)
    if not cell or not kind:
        return None
    try:
        with Image.open(io.BytesIO(cell), formats=[kind]) as opened:
            if opened.width * opened.height > pixels:
                return None
            opened.draft("RGB", (2 * SIDE, 2 * SIDE))
            seen = opened.convert("RGBA")
        white = Image.new("RGBA", seen.size, "white")
        flat = Image.alpha_composite(white, seen).convert("RGB")
        return np.asarray(ImageOps.pad(flat, (SIDE, SIDE), color="white"))
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError):
        return None
