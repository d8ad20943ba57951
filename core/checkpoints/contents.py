"""What a checkpoint holds beside its network: a temperature, a queue of embeddings, and the state of an optimiser."""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from core.checkpoints.families import Recognition, counted, sized
from core.checkpoints.opened import Checkpoint
from core.checkpoints.weights import SMALLEST, TensorStats
from core.diagnostics.geometry import chance_effective_rank, chance_uniformity, effective_rank, uniformity
from core.diagnostics.verdicts import Verdict

LOG_MOST = 7.0  # a logit_scale up to here is a logarithm: e^7 is far above CLIP's ceiling of 100
CEILING = 100.0  # CLIP never lets the scale grow above it
AT_CEILING = 0.995
UNIT = 1e-2  # how far from 1 a norm may be
MOST_ENTRIES, MOST_REPEATED = 2_048, 65_536
AS_CHANCE = 0.02  # difference to chance over chance; up to it: as random


class _Shown(BaseModel):
    model_config = ConfigDict(frozen=True)


class Temperature(_Shown):
    """A learned number of the loss. `temperature` divides similarities, None where the number is no temperature."""

    name: str
    stored: float
    temperature: float | None
    rule: str


@dataclass(frozen=True)
class _Rule:
    pattern: str
    read: Callable[[float], float | None]
    says: str


# How the number under a name becomes a temperature; the first that fits holds.
RULES = (
    _Rule(r"(.*[._])?(logit_)?bias$", lambda x: None, "an offset added to every score"),
    _Rule(r"learned\.kept\.temperature$", math.exp, "τ = exp(stored), as runs of Pushpull keep it"),
    _Rule(
        r"(.*\.)?(logit_scale|t_prime)$",
        lambda x: math.exp(-x) if x <= LOG_MOST else 1 / x,
        f"τ = exp(−stored), as CLIP and SigLIP keep it; above {LOG_MOST:g} it would be read as the scale itself",
    ),
    _Rule(r"(.*\.)?log_(temperature|tau)$", math.exp, "τ = exp(stored), by its name a logarithm"),
    _Rule(r"(.*\.)?(temperature|tau|temp)$", lambda x: x, "τ = stored, by its name the temperature itself"),
)
SETTINGS = re.compile(r"(^|[._])(temperature|tau|moco_t)$")


def temperatures(checkpoint: Checkpoint, recognition: Recognition) -> tuple[Temperature, ...]:
    """The learned scalars of the loss, each with the rule by which it is a temperature; and what the settings say."""
    found = []
    for name in recognition.parts.get("temperature", ()):
        listed = checkpoint.listed.get(checkpoint.summary.tied.get(name, name))
        if listed is not None and listed.numel == 1:
            found.append(_read(name, recognition.bare.get(name, name), float(checkpoint.tensor(name).reshape(()))))
    for place, text in checkpoint.summary.notes.items():
        if SETTINGS.search(place) and (value := _number(text)) is not None:
            found.append(Temperature(name=place, stored=value, temperature=value, rule="a setting saved in the file"))
    return tuple(found)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None


def _read(name: str, bare: str, stored: float) -> Temperature:
    rule = next((rule for rule in RULES if re.match(rule.pattern, bare)), None)
    if not math.isfinite(stored) or rule is None:
        text = "no rule is known for this name" if rule is None else "it is no finite number"
        return Temperature(name=name, stored=stored if math.isfinite(stored) else 0.0, temperature=None, rule=text)
    try:
        value = rule.read(stored)
    except (OverflowError, ZeroDivisionError):
        value = None
    return Temperature(name=name, stored=stored, temperature=value, rule=rule.says)


def of_temperatures(found: Sequence[Temperature]) -> Iterator[Verdict]:
    """A verdict on each."""
    for each in found:
        where = f"'{each.name}' holds {each.stored:.4g}".replace(" -", " −")
        if each.temperature is None:
            yield Verdict("no temperature", "info", f"{where}: {each.rule}.")
        elif each.temperature <= 0:
            yield Verdict("no temperature", "bad", f"{where}, read as {each.rule}; a temperature is above 0.")
        elif each.temperature * CEILING * AT_CEILING <= 1 and each.name.endswith("logit_scale"):
            yield Verdict(
                f"τ {each.temperature:.3g}",
                "watch",
                f"{where} ({each.rule}): a scale of {1 / each.temperature:.1f}, at the ceiling of {CEILING:g} that "
                "CLIP sets: it wanted to grow further.",
            )
        else:
            yield Verdict(f"τ {each.temperature:.3g}", "info", f"{where}: {each.rule}.")


class Queue(_Shown):
    """Embeddings that a file keeps of earlier items. `axis`: the side of the tensor along which an embedding runs.

    `unit`: share of entries of length 1. `uniformity` and `effective_rank` are of the directions of at most 2,048
    evenly chosen entries, None where there are too few with a direction; `chance_` of as many random directions.
    `empty`: share of entries that are all 0; `repeated`: share of the first 65,536 entries that equal an
    earlier one.
    """

    name: str
    entries: int
    dim: int
    axis: int
    low: float
    high: float
    unit: float
    empty: float
    repeated: float
    uniformity: float | None = None
    chance_uniformity: float | None = None
    effective_rank: float | None = None
    chance_effective_rank: float | None = None


def queues(checkpoint: Checkpoint, recognition: Recognition, tensors: Mapping[str, TensorStats]) -> tuple[Queue, ...]:
    """The queues of a file; one of three dimensions holds several, side by side."""
    found = []
    for name in recognition.parts.get("queue", ()):
        listed, stats = checkpoint.listed.get(name), tensors.get(name)
        if listed is None or stats is None or not listed.floating or not stats.legible or not listed.numel:
            continue
        if len(listed.shape) == 2:
            found.append(of_queue(name, checkpoint.tensor(name)))
        elif len(listed.shape) == 3:
            found += [of_queue(f"{name}[{place}]", part) for place, part in enumerate(checkpoint.tensor(name))]
    return tuple(found)


def of_queue(name: str, values: Tensor) -> Queue:
    """The entries of a queue (entries, D) or (D, entries), whichever way round their lengths are alike."""
    lengths = {side: torch.linalg.vector_norm(values, dim=side, dtype=torch.float64) for side in (1, 0)}
    axis = min(lengths, key=lambda side: _unlike(lengths[side]))
    entries, norms = values if axis == 1 else values.T, lengths[axis]
    alive = entries[norms > 0]
    few = alive[torch.linspace(0, len(alive) - 1, min(len(alive), MOST_ENTRIES)).round().long()]
    shape, first = {}, alive[:MOST_REPEATED].float()
    if len(few) > 1 and few.shape[1] > 1:
        z = F.normalize(few.double(), dim=1, eps=SMALLEST)
        shape = {
            "uniformity": uniformity(z),
            "chance_uniformity": chance_uniformity(z.shape[1]),
            "effective_rank": effective_rank(z),
            "chance_effective_rank": chance_effective_rank(*z.shape),
        }
    return Queue(
        name=name,
        entries=len(entries),
        dim=entries.shape[1],
        axis=axis,
        low=float(norms.min()),
        high=float(norms.max()),
        unit=float(((norms - 1).abs() <= UNIT).float().mean()),
        empty=1 - len(alive) / len(entries),
        repeated=1 - len(torch.unique(first, dim=0)) / len(first) if len(first) else 0.0,
        **shape,
    )


def _unlike(norms: Tensor) -> float:
    """How far the lengths along one side, but for those of 0, are from one common length."""
    alive = norms[norms > 0]
    return float(alive.std(correction=0) / alive.mean()) if len(alive) > 1 else math.inf


def of_queues(found: Sequence[Queue]) -> Iterator[Verdict]:
    """A verdict on each."""
    for each in found:
        where = f"'{each.name}' keeps {each.entries:,} embeddings of {each.dim:,}"
        if each.empty == 1:
            yield Verdict("empty queue", "watch", f"{where}, all of them 0: nothing was ever kept.")
        elif each.uniformity is None or each.chance_uniformity is None or each.chance_effective_rank is None:
            yield Verdict("short queue", "info", f"{where}, too few to say how they are spread.")
        else:
            yield _spread(each, where, each.uniformity, each.chance_uniformity)


def _spread(queue: Queue, where: str, seen: float, chance: float) -> Verdict:
    length = f"{100 * queue.unit:.0f}% of length 1" if queue.unit else f"lengths {queue.low:.3g} to {queue.high:.3g}"
    text = (
        f"{where}, {length}; uniformity {seen:.2f}, random directions {chance:.2f}; effective rank "
        f"{queue.effective_rank:.1f}, random {queue.chance_effective_rank:.1f}."
    ).replace("-", "−")
    if queue.empty or queue.repeated > 0.01:
        more = f" {100 * queue.empty:.0f}% are all 0, {100 * queue.repeated:.0f}% repeat an earlier one."
        return Verdict("partly filled", "watch", text + more)
    if abs(seen - chance) <= AS_CHANCE * abs(chance):
        return Verdict(
            "as random", "watch", text + " It may never have been filled: a queue starts as random directions."
        )
    if seen >= 0.5 * chance:
        return Verdict("clumped queue", "watch", text)
    return Verdict("filled queue", "ok", text)


MOMENT = re.compile(r"(?P<prefix>(?:.*\.)?)state\.(?P<place>\d+)\.(?P<moment>\w+)$")
KINDS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("exp_avg", "exp_avg_sq"), "Adam or AdamW (their states are alike)"),
    (("momentum_buffer",), "SGD with momentum"),
    (("square_avg",), "RMSprop"),
    (("sum",), "Adagrad"),
    (("exp_avg",), "a first moment alone (as Lion keeps it)"),
)
SECOND = ("exp_avg_sq", "square_avg", "sum")


class OptimiserState(_Shown):
    """What an optimiser keeps. `moments`: name -> how many weights have it; `steps`: taken so far, None where untold.

    `never`: weights whose second moments are all 0, so that no gradient ever reached them; `settings`: of the first
    group of weights.
    """

    name: str
    kind: str
    weights: int
    moments: dict[str, int]
    steps: int | None
    size: int
    never: int
    settings: dict[str, str]


def optimisers(
    checkpoint: Checkpoint, recognition: Recognition, tensors: Mapping[str, TensorStats]
) -> tuple[OptimiserState, ...]:
    """The optimisers of a file, each with what it keeps."""
    kept: dict[str, list[tuple[str, str, TensorStats]]] = {}
    for name in recognition.parts.get("optimiser", ()):
        if (found := MOMENT.match(name)) and name in tensors:
            kept.setdefault(found["prefix"], []).append((found["place"], found["moment"], tensors[name]))
    return tuple(_optimiser(prefix, rows, checkpoint.summary.notes) for prefix, rows in kept.items())


def _optimiser(prefix: str, rows: Sequence[tuple[str, str, TensorStats]], notes: Mapping[str, str]) -> OptimiserState:
    moments: dict[str, int] = {}
    for _, moment, _ in rows:
        moments[moment] = moments.get(moment, 0) + 1
    steps = [stats.high for _, moment, stats in rows if moment == "step" and stats.high is not None]
    steps += [
        value
        for place, text in notes.items()
        if (found := MOMENT.match(place)) and found["prefix"] == prefix and found["moment"] == "step"
        if (value := _number(text)) is not None
    ]
    group = f"{prefix}param_groups.0."
    return OptimiserState(
        name=prefix.rstrip("."),
        kind=next((kind for names, kind in KINDS if set(names) <= set(moments)), "an optimiser that is not known here"),
        weights=len({place for place, _, _ in rows}),
        moments={moment: n for moment, n in moments.items() if moment != "step"},
        steps=int(max(steps)) if steps else None,
        size=sum(stats.size for _, _, stats in rows),
        never=sum(moment in SECOND and stats.norm == 0 for _, moment, stats in rows),
        settings={
            name.removeprefix(group): text
            for name, text in notes.items()
            if name.startswith(group) and ".params" not in name
        },
    )


def of_optimisers(found: Sequence[OptimiserState]) -> Iterator[Verdict]:
    """A verdict on each."""
    for each in found:
        steps = "an unknown number of steps" if each.steps is None else counted(each.steps, "step")
        text = f"{each.kind} for {counted(each.weights)} after {steps}, {sized(each.size)}."
        text = text[0].upper() + text[1:]
        if each.never:
            yield Verdict(
                "silent weights", "watch", f"{text} {each.never:,} of them never had a gradient other than 0."
            )
        else:
            yield Verdict("optimiser", "info", text)
