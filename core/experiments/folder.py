"""An experiment on disk: its settings, one file for each finished training, and the results once all are there.

experiment.json      what was asked
runs/<code>/<arm>/   a file for each finished training, named by purpose and hash of recipe, data and code
log/<arm>.txt        what the arm's process said
results.json         everything, once done
lock                 held by the command for as long as it lives
cancel               present where someone asked it to stop
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from core.environment import code_version
from core.experiments.settings import TUNING_SEEDS, Experiment
from core.params import Params
from core.refusal import Refusal
from core.runs.folder import write_json
from core.runs.locks import is_held

Purpose = Literal["tuning", "report"]


@dataclass(frozen=True)
class ExperimentFolder:
    """The files of one experiment."""

    path: Path

    def asked(self) -> Experiment:
        """What was asked of it.

        Raises:
            Refusal: if there is no such file, or it is of another version.
        """
        file = self.path / "experiment.json"
        try:
            return Experiment.model_validate_json(file.read_bytes())
        except OSError as error:
            raise Refusal(f"{file} cannot be read ({error.strerror}); start the experiment with --out") from error
        except ValidationError as error:
            raise Refusal(f"{file} is not an experiment of this version; choose a new folder") from error

    def write_asked(self, asked: Experiment) -> None:
        write_json(self.path / "experiment.json", asked.model_dump(mode="json"))

    def file(self, arm: str, purpose: Purpose, recipe: Params, digest: str) -> Path:
        """Where a training is kept: another recipe, other data or other code is another file."""
        known = json.dumps([recipe.model_dump(mode="json"), digest, code_version()], sort_keys=True)
        return (
            self.path
            / "runs"
            / code_version()
            / arm
            / f"{purpose}-{hashlib.sha256(known.encode()).hexdigest()[:16]}.json"
        )

    def results(self) -> dict[str, Any]:
        """The results, or nothing where it is not done."""
        try:
            return json.loads((self.path / "results.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    def is_alive(self) -> bool:
        return is_held(self.path / "lock")

    def ask_to_stop(self) -> None:
        """Ask the command to stop; what is finished stays."""
        (self.path / "cancel").touch()

    def asked_to_stop(self) -> bool:
        return (self.path / "cancel").exists()


def wanted(arms: int, asked: Experiment) -> int:
    """How many trainings there are in all."""
    return arms * (asked.configurations * len(TUNING_SEEDS) + asked.seeds)
