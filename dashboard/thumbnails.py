"""Pictures of items as static files: the browser fetches each once and keeps it. Knows no torch."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from core.environment import ROOT

STATIC = Path(__file__).parent / "static" / "thumbnails"
EMOJI = ROOT / "assets" / "data" / "emoji_images.npz"


@lru_cache(maxsize=8)
def _present(folder: Path, _changed: int) -> set[int]:
    """Rows that have their file; read again where the folder has changed."""
    return {int(file.stem) for file in folder.glob("*.png") if file.stem.isdigit()}


def urls(name: str, rows: Sequence[int], pictures: Callable[[], np.ndarray]) -> list[str]:
    """Addresses of the thumbnails of `rows`, written the first time they are asked for.

    Args:
        name: a folder name that stands for these pictures and no others.
        rows: which items.
        pictures: gives all of them, (N, 32, 32, 4) uint8; called only where a file is missing.
    """
    folder = STATIC / name
    missing = set(rows) - _present(folder, folder.stat().st_mtime_ns if folder.exists() else 0)
    if missing:
        from PIL import Image

        every = pictures()
        folder.mkdir(parents=True, exist_ok=True)
        for row in missing:
            partial = folder / f".{row}.png"
            Image.fromarray(every[row], "RGBA").save(partial, "PNG")
            partial.replace(folder / f"{row}.png")
    return [f"/app/static/thumbnails/{name}/{row}.png" for row in rows]


def emoji_urls(rows: Sequence[int]) -> list[str]:
    """Addresses of the Noto pictures of the emoji in these rows."""

    def pictures() -> np.ndarray:
        with np.load(EMOJI, allow_pickle=False) as arrays:
            return arrays["noto"]

    return urls("noto", rows, pictures)
