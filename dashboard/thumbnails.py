"""Pictures of items as static files: the browser fetches each once and keeps it. Knows no torch."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from core.environment import ROOT

STATIC = Path(__file__).parent / "static" / "thumbnails"
EMOJI = ROOT / "assets" / "data" / "emoji_images.npz"


def urls(name: str, rows: Sequence[int], pictures: Callable[[], np.ndarray]) -> list[str]:
    """Addresses of the thumbnails of `rows`, written the first time they are asked for.

    Args:
        name: a folder name that stands for these pictures and no others.
        rows: which items.
        pictures: gives all of them, (N, 32, 32, 4) uint8; called only where a file is missing.
    """
    missing = [row for row in rows if not (STATIC / name / f"{row}.png").exists()]
    if missing:
        from PIL import Image

        every = pictures()
        (STATIC / name).mkdir(parents=True, exist_ok=True)
        for row in missing:
            partial = STATIC / name / f".{row}.png"
            Image.fromarray(every[row], "RGBA").save(partial, "PNG")
            partial.replace(STATIC / name / f"{row}.png")
    return [f"/app/static/thumbnails/{name}/{row}.png" for row in rows]


def emoji_urls(rows: Sequence[int]) -> list[str]:
    """Addresses of the Noto pictures of the emoji in these rows."""

    def pictures() -> np.ndarray:
        with np.load(EMOJI, allow_pickle=False) as arrays:
            return arrays["noto"]

    return urls("noto", rows, pictures)
