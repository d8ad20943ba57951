"""All registered pieces as plain data: what the command line prints and the pages list."""

from typing import Any

from core.data.registry import DATA
from core.diagnostics.registry import DIAGNOSTICS
from core.encoders.registry import ENCODERS
from core.losses.registry import LOSSES
from core.methods.registry import METHODS
from core.mixing.registry import MIXINGS
from core.procedures.registry import PROCEDURES
from core.registry import Registry

REGISTRIES: tuple[Registry[Any], ...] = (LOSSES, MIXINGS, METHODS, PROCEDURES, DIAGNOSTICS, DATA, ENCODERS)


def catalogue() -> list[dict[str, Any]]:
    """One object for each piece: key, kind, title, summary, source, papers, origin, params (JSON schema)."""
    return [
        {
            "key": entry.key,
            "kind": registry.kind,
            "title": entry.title,
            "summary": entry.summary,
            "source": entry.source,
            "papers": list(entry.papers),
            "origin": entry.origin,
            "params": entry.params.model_json_schema(),
        }
        for registry in REGISTRIES
        for entry in registry
    ]
