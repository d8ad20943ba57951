"""Singular values of weight matrices, and whether a matrix of independent random numbers would have the same.

A matrix (p, q), p at most q, of independent numbers of one variance s^2 and mean 0 has singular values between
s (sqrt(q) - sqrt(p)) and s (sqrt(q) + sqrt(p)), spread by the law of Marchenko and Pastur (1967); the largest one
leaves the upper edge by less than a few times the scale of Tracy and Widom (Johnstone 2001, Ann. Statist. 29(2),
theorem 1.1). Training makes some stand out, but not in every matrix: where none does, the numbers also have to be
spread as an initialisation that is in use spreads them, before a matrix is called fresh.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from core.checkpoints.families import Recognition, counted, quoted
from core.checkpoints.opened import Checkpoint, Listed
from core.checkpoints.weights import TensorStats, statistics
from core.diagnostics.verdicts import Verdict
from core.refusal import Refusal

LARGEST_SIDE = 4_096
WORK = 2e11  # multiply-adds for one matrix
BUDGET = 6e10  # multiply-adds for all matrices of a report
CHUNK = 4_096
GRID = 4_097
POSITIONS = re.compile(r"(^|[._])pos(_|\.|$)|position")  # tables that may be computed, not learned

FEWEST = 32  # smaller side from which the law is told from other spectra
OUTLIER = 6.0  # scales of Tracy and Widom above the edge; above: stands out
BULK = 6.0  # distance to the law, times the smaller side; random matrices stay below 4
ORTHOGONAL = 1e-3  # largest over smallest singular value, minus 1; up to it: orthogonal
SURE = 4.0  # standard errors by which a spread may miss that of an initialisation
NARROW = 0.1  # effective rank over the smaller side; below: narrow


@dataclass(frozen=True)
class Law:
    """A law of numbers: its kurtosis, and the standard error of that in a sample, times the root of their count."""

    kurtosis: float
    error: float


NORMAL = Law(3.0, math.sqrt(24))
UNIFORM = Law(1.8, math.sqrt(1152 / 875))


@dataclass(frozen=True)
class Start:
    """An initialisation: the spread of its numbers from inputs and outputs, and whether they are uniform."""

    title: str
    std: Callable[[int, int], float]
    uniform: bool = False


STARTS = (
    Start("PyTorch's default", lambda into, out: (3 * into) ** -0.5, uniform=True),
    Start("Xavier uniform", lambda into, out: (2 / (into + out)) ** 0.5, uniform=True),
    Start("Kaiming uniform", lambda into, out: (2 / into) ** 0.5, uniform=True),
    Start("Xavier normal", lambda into, out: (2 / (into + out)) ** 0.5),
    Start("Kaiming normal by inputs", lambda into, out: (2 / into) ** 0.5),
    Start("Kaiming normal by outputs", lambda into, out: (2 / out) ** 0.5),
    Start("LeCun normal", lambda into, out: into**-0.5),
    Start("normal of 0.02", lambda into, out: 0.02),
    Start("normal of 0.01", lambda into, out: 0.01),
    Start("normal of 1", lambda into, out: 1.0),
)


class Spectrum(BaseModel):
    """Singular values of a tensor as a matrix of (rows, columns): its first side against all others.

    `values` descend. `effective_rank`: exp of the entropy of their shares (Roy and Vetterli 2007, def. 1), from 1 to
    the smaller side, 0 for zeros alone. `stable_rank`: sum of squares over the largest square. `edge`: the largest
    value that random numbers of the same variance would have. `beyond`: how many lie above it for sure. `look`:
    "random", "orthogonal", "structured", or "too small" to tell; `sentence` says by which evidence. `start`: the
    initialisation that a random one is spread like, empty where it is none that is known.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    rows: int
    columns: int
    values: tuple[float, ...]
    effective_rank: float
    stable_rank: float
    edge: float
    beyond: int
    look: str
    sentence: str
    start: str

    @property
    def fresh(self) -> bool:
        """Whether it looks as it was initialised."""
        return self.look == "orthogonal" or (self.look == "random" and bool(self.start))

    @property
    def most(self) -> int:
        return min(self.rows, self.columns)

    @property
    def over(self) -> float:
        """The largest value over what random numbers of the same variance reach; infinite where all are equal."""
        return self.values[0] / self.edge if self.edge else math.inf


def as_matrix(shape: Sequence[int]) -> tuple[int, int]:
    """(rows, columns) of a tensor of two or more dimensions, such as (out, in x height x width) of a convolution."""
    return shape[0], math.prod(shape[1:])


def work(shape: Sequence[int]) -> float:
    """Multiply-adds of a spectrum: the Gram matrix of the smaller side and its eigenvalues."""
    small, large = sorted(as_matrix(shape))
    return small * small * (large + 6.0 * small)


def singular_values(matrix: Tensor) -> Tensor:
    """(min(rows, columns),) float64, descending; from the Gram matrix of the smaller side in float64.

    Values below about 1e-8 of the largest are rounding.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    gram = torch.zeros(len(wide), len(wide), dtype=torch.float64)
    for part in wide.split(CHUNK, dim=1):
        exact = part.double()
        gram.addmm_(exact, exact.T)
    return torch.linalg.eigvalsh(gram).clamp(min=0).sqrt().flip(0)


def spectrum(checkpoint: Checkpoint, name: str) -> Spectrum:
    """The singular values of a tensor.

    Raises:
        Refusal: if it is no matrix of finite numbers, or too large to be done here.
    """
    listed = checkpoint.listed.get(checkpoint.summary.tied.get(name, name))
    if listed is not None and not _is_matrix(listed):
        raise Refusal(f"'{name[:80]}' is no matrix of numbers; expected two or more sides: choose another tensor")
    if listed is not None and not _fits(listed):
        small, large = sorted(as_matrix(listed.shape))
        raise Refusal(
            f"'{name[:80]}' has {small:,} x {large:,} numbers, too many for its spectrum here; expected a smaller side "
            f"of at most {LARGEST_SIDE:,}: choose another tensor"
        )
    values = checkpoint.tensor(name)
    if listed is not None and not statistics(listed, values).legible:
        raise Refusal(
            f"'{name[:80]}' holds NaN, infinity or numbers too far from 1 for a spectrum; expected weights: see its row"
        )
    return of_tensor(name, values)


def _is_matrix(listed: Listed) -> bool:
    return listed.floating and len(listed.shape) > 1 and listed.numel > 0


def _fits(listed: Listed) -> bool:
    return min(as_matrix(listed.shape)) <= LARGEST_SIDE and work(listed.shape) <= WORK


def of_tensor(name: str, tensor: Tensor) -> Spectrum:
    """The same of finite numbers of two or more dimensions."""
    matrix = tensor.reshape(as_matrix(tensor.shape))
    values = singular_values(matrix)
    (small, large), largest, total = sorted(matrix.shape), float(values[0]), float(values.sum())
    variance = float(matrix.double().var(correction=0))
    edge = math.sqrt(variance) * (math.sqrt(small) + math.sqrt(large))
    beyond = int((standing_out(values, small, large, variance) > OUTLIER).sum()) if variance else 0
    look, sentence = _look(values, small, large, variance, beyond, edge)
    return Spectrum(
        name=name,
        rows=matrix.shape[0],
        columns=matrix.shape[1],
        values=tuple(values.tolist()),
        effective_rank=float(torch.special.entr(values / total).sum().exp()) if total else 0.0,
        stable_rank=float(values.square().sum()) / largest**2 if largest else 0.0,
        edge=edge,
        beyond=beyond,
        look=look,
        sentence=sentence,
        start=started(tensor) if look == "random" else "",
    )


def started(tensor: Tensor) -> str:
    """The initialisation that the numbers of a layer (out, in, ...) are spread like, or nothing.

    Their standard deviation has to be that of the initialisation and their kurtosis that of its law, both within a few
    standard errors, and uniform ones have to keep within their bounds.
    """
    x = tensor.reshape(-1).double()
    into, out = as_matrix(tensor.shape)[1], tensor.shape[0] * math.prod(tensor.shape[2:])
    square = float(x.square().mean())
    tails, largest = float(x.pow(4).mean()) / square**2, float(x.abs().max())
    for start in STARTS:
        std, law = start.std(into, out), UNIFORM if start.uniform else NORMAL
        within = not start.uniform or largest <= math.sqrt(3) * std * 1.001
        spread = abs(math.sqrt(square) / std - 1) <= SURE * math.sqrt((law.kurtosis - 1) / (4 * len(x)))
        if within and spread and abs(tails - law.kurtosis) <= SURE * law.error / math.sqrt(len(x)):
            return start.title
    return ""


def standing_out(values: Tensor, small: int, large: int, variance: float) -> Tensor:
    """How many scales of Tracy and Widom the squares of singular values lie above the edge of random numbers."""
    root = math.sqrt(max(large - 1, 1)) + math.sqrt(small)
    scale = root * (1 / math.sqrt(max(large - 1, 1)) + 1 / math.sqrt(small)) ** (1 / 3)
    return (values.square() / variance - root**2) / scale


def distance_to_law(values: Tensor, small: int, large: int, variance: float) -> float:
    """Largest difference of the share of singular values up to a point and the share by Marchenko and Pastur: 0 to 1.

    Args:
        values: (small,) singular values, descending.
        small: smaller side.
        large: larger side.
        variance: of the entries.
    """
    ratio = small / large
    low, high = (variance * (1 + sign * math.sqrt(ratio)) ** 2 for sign in (-1, 1))
    angle = torch.linspace(0, math.pi, GRID, dtype=torch.float64)
    place = (high + low) / 2 - (high - low) / 2 * angle.cos()
    density = angle.sin().square() / place.clamp(min=1e-12 * high)
    share = torch.cat([torch.zeros(1, dtype=torch.float64), torch.cumulative_trapezoid(density, angle)])
    seen = values.flip(0).square() / large
    right = torch.searchsorted(place, seen.clamp(low, high)).clamp(1, GRID - 1)
    left_of = (seen.clamp(low, high) - place[right - 1]) / (place[right] - place[right - 1])
    law = torch.lerp(share[right - 1], share[right], left_of) / share[-1]
    step = torch.arange(small + 1, dtype=torch.float64) / small
    return float(torch.maximum((law - step[:-1]).abs(), (law - step[1:]).abs()).max())


def _look(values: Tensor, small: int, large: int, variance: float, beyond: int, edge: float) -> tuple[str, str]:
    if not float(values[0]):
        return "too small", "It holds nothing but 0."
    if small < FEWEST:
        return "too small", f"Its smaller side of {small} is below {FEWEST}, too little to tell random numbers by."
    if float(values[0]) <= (1 + ORTHOGONAL) * float(values[-1]):
        return "orthogonal", "All singular values are alike, as orthogonal initialisation makes them."
    if not variance:
        return "structured", "All its numbers are equal."
    if beyond:
        return "structured", (
            f"{counted(beyond, 'singular value')} above the edge of random numbers; the largest is "
            f"{float(values[0]) / edge:.2f} times that edge."
        )
    away = distance_to_law(values, small, large, variance)
    if away * small > BULK:
        return (
            "structured",
            f"The bulk is {away:.3f} away from that of random numbers; they stay within {BULK / small:.3f}.",
        )
    return "random", (
        f"No singular value leaves the bulk of random numbers (largest {float(values[0]) / edge:.2f} of its edge, "
        f"distance to the law of Marchenko and Pastur {away:.3f})."
    )


class Sample(BaseModel):
    """Spectra of some matrices of a checkpoint, and why the others were left out, a sentence, or nothing."""

    model_config = ConfigDict(frozen=True)

    spectra: tuple[Spectrum, ...]
    matrices: int
    left_out: str


def sample(
    checkpoint: Checkpoint, recognition: Recognition, tensors: Sequence[TensorStats], budget: float = BUDGET
) -> Sample:
    """The spectra of the matrices of the network, or of evenly many of them where all would take too long.

    Args:
        checkpoint: to read them from.
        recognition: tells which tensors are weights; a teacher's, queues, moments and tables of positions are left out.
        tensors: from `weights.measure`.
        budget: multiply-adds for all.
    """
    role = recognition.role_of()
    wanted = [
        checkpoint.listed[each.name]
        for each in tensors
        if role[each.name] not in ("optimiser", "queue", "teacher", "temperature")
        and _is_matrix(checkpoint.listed[each.name])
        and min(as_matrix(each.shape)) > 1
        and each.legible
        and not POSITIONS.search(each.name)
    ]
    feasible = [each for each in wanted if _fits(each) and work(each.shape) <= budget / 2]
    stride = max(1, math.ceil(sum(work(each.shape) for each in feasible) / budget))
    chosen = feasible[stride // 2 :: stride]
    left = len(wanted) - len(chosen)
    return Sample(
        spectra=tuple(of_tensor(each.name, checkpoint.tensor(each.name)) for each in chosen),
        matrices=len(wanted),
        left_out=f"Spectra of {len(chosen):,} of {len(wanted):,} matrices, evenly chosen; the others take too long."
        if left
        else "",
    )


def findings(found: Sample, tensors: Sequence[TensorStats]) -> tuple[Verdict, ...]:
    """Whether the weights look trained, and whether matrices use few of their directions."""
    told = [each for each in found.spectra if each.look != "too small"]
    narrow = [each for each in told if each.effective_rank < NARROW * each.most]
    verdicts = [_trained(told, found, _scales(tensors))]
    if narrow:
        first = min(narrow, key=lambda each: each.effective_rank / each.most)
        verdicts.append(
            Verdict(
                "narrow",
                "watch",
                f"{len(narrow):,} of {len(told):,} matrices use less than {100 * NARROW:.0f}% of their directions; "
                f"'{first.name}' {first.effective_rank:.1f} of {first.most}.",
            )
        )
    return tuple(verdicts)


def _scales(tensors: Sequence[TensorStats]) -> tuple[int, int]:
    """How many scales of normalisation layers there are, and how many are still exactly 1 everywhere."""
    scales = [
        each for each in tensors if len(each.shape) == 1 and each.name.endswith((".weight", ".gain")) and each.numel
    ]
    return len(scales), sum(each.low == each.high == 1 for each in scales)


def _starts(fresh: Sequence[Spectrum]) -> str:
    return " or ".join(dict.fromkeys(each.start or "orthogonal" for each in fresh))


def _trained(told: Sequence[Spectrum], found: Sample, scales: tuple[int, int]) -> Verdict:
    if not told:
        return Verdict(
            "cannot tell",
            "info",
            f"Whether the weights were trained cannot be told: none of {found.matrices:,} matrices has a smaller side "
            f"of {FEWEST} or more.",
        )
    layers, fresh = scales
    ones = f" {fresh:,} of {layers:,} scales of normalisation are still exactly 1." if layers else ""
    still = [each for each in told if each.fresh]
    if all(each.look != "structured" for each in told):
        text = (
            f"In all {len(told):,} matrices that are large enough, the singular values are those of independent random "
            "numbers or of an orthogonal start, and none stands out"
        )
        known = f"; {len(still):,} are spread as {_starts(still)}.{ones}" if still else f".{ones}"
        if fresh == layers and (layers or len(still) == len(told)):
            return Verdict("untrained", "bad", f"{text}{known} A very short training would look the same.")
        more = " Either it was trained, but lightly, or on data without a leading direction; or it started otherwise."
        return Verdict("looks random", "watch", f"{text}{known}{more}")
    if still:
        return Verdict(
            "partly fresh",
            "watch",
            f"{len(still):,} of {len(told):,} matrices look as they were initialised ({_starts(still)}): "
            f"{quoted([each.name for each in still])}.{ones}",
        )
    first, clear = max(told, key=lambda each: each.over), sum(each.look == "structured" for each in told)
    if 2 * clear < len(told):
        return Verdict(
            "lightly trained",
            "watch",
            f"In {clear:,} of {len(told):,} matrices something stands out, in '{first.name}' {first.over:.2f} times "
            f"what random numbers reach; the others look random, yet not as they start.{ones}",
        )
    return Verdict(
        "trained",
        "ok",
        f"None of {len(told):,} matrices looks as it was initialised; in '{first.name}' the largest singular value is "
        f"{first.over:.1f} times what random numbers reach.{ones}",
    )
