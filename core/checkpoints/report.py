"""The health of a file of weights: all that is told of it, with verdicts, as plain data."""

from dataclasses import asdict, dataclass
from typing import Any

from core.checkpoints import comparison, contents, spectra, weights
from core.checkpoints.comparison import Comparison
from core.checkpoints.contents import OptimiserState, Queue, Temperature
from core.checkpoints.families import Recognition, recognise
from core.checkpoints.opened import Checkpoint
from core.checkpoints.spectra import Sample
from core.checkpoints.summary import Summary
from core.checkpoints.weights import TensorStats
from core.diagnostics.verdicts import Verdict


@dataclass(frozen=True)
class Report:
    """`verdicts` are all, in the order in which they are to be read; `against` is set where there is another file."""

    summary: Summary
    recognition: Recognition
    tensors: tuple[TensorStats, ...]
    spectra: Sample
    temperatures: tuple[Temperature, ...]
    queues: tuple[Queue, ...]
    optimisers: tuple[OptimiserState, ...]
    against: Comparison | None
    verdicts: tuple[Verdict, ...]

    def plain(self) -> dict[str, Any]:
        """The report as JSON can hold it; of each spectrum the values are left out."""
        found: dict[str, Any] = {
            name: getattr(self, name).model_dump(mode="json") for name in ("summary", "recognition")
        }
        found["spectra"] = self.spectra.model_dump(mode="json", exclude={"spectra": {"__all__": {"values"}}})
        for name in ("tensors", "temperatures", "queues", "optimisers"):
            found[name] = [each.model_dump(mode="json") for each in getattr(self, name)]
        found["against"] = self.against.model_dump(mode="json") if self.against else None
        return found | {"verdicts": [asdict(each) for each in self.verdicts]}


def report(checkpoint: Checkpoint, other: Checkpoint | None = None) -> Report:
    """Everything that is told of a file of weights, and of how far another one is from it."""
    recognition, tensors = recognise(checkpoint), weights.measure(checkpoint)
    named, sample = weights.by_name(tensors), spectra.sample(checkpoint, recognition, tensors)
    temperatures = contents.temperatures(checkpoint, recognition)
    queues = contents.queues(checkpoint, recognition, named)
    optimisers = contents.optimisers(checkpoint, recognition, named)
    against = comparison.compare(checkpoint, other, recognition, recognise(other)) if other else None
    return Report(
        summary=checkpoint.summary,
        recognition=recognition,
        tensors=tensors,
        spectra=sample,
        temperatures=temperatures,
        queues=queues,
        optimisers=optimisers,
        against=against,
        verdicts=(
            *weights.findings(tensors, recognition.parts.get("optimiser", ())),
            *spectra.findings(sample, tensors),
            *contents.of_temperatures(temperatures),
            *contents.of_queues(queues),
            *contents.of_optimisers(optimisers),
            *(comparison.findings(against) if against else ()),
        ),
    )
