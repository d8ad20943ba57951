"""What a run is called: a hash of its recipe, its data and the code that runs it."""

import hashlib
import json

from core.environment import code_version
from core.recipe import Recipe


def run_id(recipe: Recipe, data_digest: str) -> str:
    """16 hex digits that depend on everything that decides the run's numbers."""
    known = json.dumps([recipe.model_dump(mode="json"), data_digest, code_version()], sort_keys=True)
    return hashlib.sha256(known.encode()).hexdigest()[:16]
