"""The map of all losses, measured once and kept for as long as the code is what it was.

home()/family/
  <code version>-<setting>  a SHA-256 of the rest, then an npz: behaviours, places, and why a loss has none
"""

import hashlib
import io
from pathlib import Path

import numpy as np
import torch

from core.diagnostics.family_map import FamilyMap, Said, Setting, every_loss
from core.environment import code_version
from core.home import home
from core.losses.registry import LOSSES
from core.runs.folder import write_atomically

DIGEST = 32


def family_file(setting: Setting) -> Path:
    """Where the map is kept."""
    return home() / "family" / f"{code_version()}-{setting}"


def kept(setting: Setting) -> FamilyMap | None:
    """The map as it was measured with this very code; None where there is none, or not a whole one."""
    try:
        content = family_file(setting).read_bytes()
    except OSError:
        return None
    if hashlib.sha256(content[DIGEST:]).digest() != content[:DIGEST]:
        return None
    with np.load(io.BytesIO(content[DIGEST:]), allow_pickle=False) as arrays:
        found = FamilyMap(
            keys=tuple(arrays["keys"].tolist()),
            **{name: torch.from_numpy(arrays[name]) for name in ("vectors", "active", "places")},
            stress=float(arrays["stress"]),
            trust=float(arrays["trust"]),
            apart=dict(zip(arrays["apart"].tolist(), arrays["reasons"].tolist(), strict=True)),
        )
    return found if sorted([*found.keys, *found.apart]) == sorted(LOSSES.keys()) else None


def family(setting: Setting, said: Said | None = None) -> FamilyMap:
    """The map, measured now where it is not kept; arguments as for `every_loss`."""
    found = kept(setting)
    if found is None:
        found = every_loss(setting, said)
        _keep(setting, found)
    return found


def _keep(setting: Setting, found: FamilyMap) -> None:
    """Write the map, and forget those of other states of the code."""
    file, content = family_file(setting), io.BytesIO()
    arrays = {name: getattr(found, name).numpy() for name in ("vectors", "active", "places")}
    words = {"keys": found.keys, "apart": list(found.apart), "reasons": [str(why) for why in found.apart.values()]}
    np.savez(content, allow_pickle=False, stress=found.stress, trust=found.trust, **arrays, **words)
    whole = content.getvalue()
    write_atomically(file, lambda out: out.write(hashlib.sha256(whole).digest() + whole), durable=False)
    for old in file.parent.glob("[!.]*"):
        if not old.name.startswith(code_version()):
            old.unlink(missing_ok=True)
