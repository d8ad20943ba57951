"""The poisoning probe: how a loss treats a few images of one class that carry a mark, on built-in digits alone.

After BLTO (Sun et al. 2024, arXiv:2404.07863), as a measure of how robust a loss is. Marks are made, used and forgotten
here; nothing hands one out. The loop counts are this probe's own: the paper does not state its.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Generator, Tensor, nn

from core.addresses import read
from core.data.digits import SIDE, Digits, distorted
from core.data.loading import load
from core.diagnostics.harm import Harm, harm
from core.experiments.intervals import spread
from core.experiments.results import provenance
from core.losses.info_nce import InfoNCE
from core.losses.registry import LOSSES, LossEntry
from core.optimisers import Adam
from core.params import Params
from core.refusal import Refusal
from core.runs.folder import write_json
from core.streams import stream

WIDTH, DIM, BATCH, RATE = 128, 32, 128, 2e-3
ROUNDS, INNER, OUTER, PACE = 10, 40, 20, 0.03
SURROGATE = InfoNCE(temperature=0.2)
VICTIMS = ("clean_fixed", "clean_optimised", "poisoned_fixed", "poisoned_optimised")
ENDS = ("mean", "low", "high")
MEASURES = ("accuracy", "success", "cosine")


def of_pairs(entry: LossEntry) -> bool:
    """Whether two views without labels are all that a loss takes."""
    return set(entry.needed) == {"a", "b"} and entry.companion is None


if TYPE_CHECKING:
    PairLoss = Any
else:
    PairLoss = LOSSES.union(of_pairs)


class Poisoning(Params):
    """What the probe does; the defaults are those of the results that come along."""

    loss: PairLoss = SURROGATE
    seeds: int = Field(5, ge=2, le=20, title="Seeds", description="Each draws networks, marks and batches anew.")
    steps: int = Field(400, ge=1, le=5000, title="Steps", description="Of each victim's training.")
    epsilon: float = Field(
        0.35, ge=0, le=1, title="Bound ε", description="By how much a mark changes a pixel at most, of 0 to 1."
    )
    share: float = Field(
        0.05, ge=0, le=0.1, title="Poisoned share", description="Of all training items; they are of the target class."
    )


@dataclass(frozen=True)
class _Digits:
    """Pixels (N, 64) from 0 to 1 and classes, to train with and to test on."""

    train: Tensor
    labels: Tensor
    test: Tensor
    test_labels: Tensor


def probe(p: Poisoning, seed: int) -> dict[str, Harm]:
    """Train three victims by a loss, on clean data and on data poisoned by either mark, and mark the test part.

    Args:
        p: loss and sizes of the probe.
        seed: of everything that is drawn; the same for every loss, so that all losses meet the same marks.

    Returns:
        A `Harm` for each of `VICTIMS`: which data it was trained on, and which mark is laid on the test part. What the
        optimised mark does to a victim that never saw it is the control: poisoning adds the difference.
    """
    data, target = _digits(), seed % 10
    chosen = _poisoned(data.labels, target, p.share, stream(seed, "poisoning", "chosen"))
    marks = {"fixed": _fixed(p, seed), "optimised": _optimised(data, chosen, target, p.epsilon, seed)}
    found, clean = {}, _trained(p.loss, data.train, p.steps, seed)
    for name, mark in marks.items():
        found[f"clean_{name}"] = _harm(clean, data, mark, target)
        victim = _trained(p.loss, _marked(data.train, mark, chosen), p.steps, seed)
        found[f"poisoned_{name}"] = _harm(victim, data, mark, target)
    return {name: found[name] for name in VICTIMS}


def control(p: Poisoning, seed: int) -> Harm:
    """What `probe` finds under "clean_fixed", alone: a clean victim and the fixed mark."""
    data = _digits()
    return _harm(_trained(p.loss, data.train, p.steps, seed), data, _fixed(p, seed), seed % 10)


def _fixed(p: Poisoning, seed: int) -> Tensor:
    """(64,) a drawn mark: every pixel goes up or down by as much as is allowed."""
    up = torch.rand(SIDE * SIDE, generator=stream(seed, "poisoning", "fixed")) < 0.5
    return torch.where(up, p.epsilon, -p.epsilon)


def _digits() -> _Digits:
    data = load(Digits())
    x, y = torch.as_tensor(data.modalities[0].values), data.labels
    train, test = torch.cat([data.split.train, data.split.validation]), data.split.test
    return _Digits(x[train], y[train], x[test], y[test])


def _poisoned(labels: Tensor, target: int, share: float, g: Generator) -> Tensor:
    """(N,) which items carry the mark: a share of all, out of the target class."""
    own = (labels == target).nonzero().squeeze(1)
    picked = own[torch.randperm(len(own), generator=g)[: round(share * len(labels))]]
    return torch.zeros(len(labels), dtype=torch.bool).index_fill(0, picked, True)


def _marked(x: Tensor, mark: Tensor, which: Tensor | None = None) -> Tensor:
    made = (x + mark).clamp(0, 1)
    return made if which is None else torch.where(which[:, None], made, x)


def _network(g: Generator) -> nn.Sequential:
    layers = nn.Linear(SIDE * SIDE, WIDTH), nn.Linear(WIDTH, DIM)
    for layer in layers:
        nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu", generator=g)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layers[0], nn.ReLU(), layers[1])


def _view(x: Tensor, g: Generator) -> Tensor:
    return distorted(x.reshape(-1, 1, SIDE, SIDE), g).flatten(1)


def _train(network: nn.Module, optimiser: Any, loss: Any, x: Tensor, steps: int, g: Generator) -> None:
    """Some steps on two views of drawn items."""
    entry = LOSSES.of(loss)
    for _ in range(steps):
        batch = x[torch.randint(len(x), (BATCH,), generator=g)]
        a, b = (F.normalize(network(_view(batch, g)), dim=1) for _ in range(2))
        optimiser.zero_grad()
        entry.pay({"a": a, "b": b}, loss, g).total().backward()
        optimiser.step()


def _trained(loss: Any, x: Tensor, steps: int, seed: int) -> nn.Module:
    network = _network(stream(seed, "poisoning", "victim"))
    optimiser = Adam(network.parameters(), RATE)
    _train(network, optimiser, loss, x, steps, stream(seed, "poisoning", "batches"))
    return network


def _optimised(data: _Digits, chosen: Tensor, target: int, epsilon: float, seed: int) -> Tensor:
    """(64,) the mark that draws any item to the target class in a surrogate, which is trained on what is poisoned."""
    g = stream(seed, "poisoning", "optimised")
    network = _network(g)
    mark = torch.zeros(data.train.shape[1], requires_grad=True)
    inner, outer = Adam(network.parameters(), RATE), Adam([mark], PACE)
    own = data.train[data.labels == target]
    for _ in range(ROUNDS):
        _train(network, inner, SURROGATE, _marked(data.train, mark.detach(), chosen), INNER, g)
        for _ in range(OUTER):
            any_item = data.train[torch.randint(len(data.train), (BATCH,), generator=g)]
            reference = own[torch.randint(len(own), (BATCH,), generator=g)]
            drawn, wanted = network(_view(_marked(any_item, mark), g)), network(_view(reference, g))
            (g_mark,) = torch.autograd.grad(-F.cosine_similarity(drawn, wanted, dim=1).mean(), mark)
            mark.grad = g_mark
            outer.step()
            with torch.no_grad():
                mark.clamp_(-epsilon, epsilon)
    return mark.detach()


@torch.no_grad()
def _harm(network: nn.Module, data: _Digits, mark: Tensor, target: int) -> Harm:
    others = data.test[data.test_labels != target]
    train, test, marked = (F.normalize(network(x), dim=1) for x in (data.train, data.test, _marked(others, mark)))
    return harm(train, data.labels, test, data.test_labels, marked, goal=target)


def asked(flat: Mapping[str, str]) -> Poisoning:
    """What is asked, from the words of the command line.

    Raises:
        Refusal: naming the flag, what was seen and what was expected.
    """
    p, refused = read(flat, Poisoning())
    if refused:
        raise Refusal(f"--{refused[0].address} {refused[0].value}: {refused[0].reason}")
    return p


def summary(p: Poisoning, found: Sequence[Mapping[str, Harm]]) -> dict[str, Any]:
    """For each victim and measure its mean over the seeds with a 95 % interval."""
    means = {
        victim: {
            measure: dict(zip(ENDS, spread([vars(each[victim])[measure] for each in found]), strict=True))
            for measure in MEASURES
        }
        for victim in VICTIMS
    }
    return {"asked": p.model_dump(mode="json"), "victims": means}


def keep(file: Path, p: Poisoning, found: Sequence[Mapping[str, Harm]]) -> None:
    """Write the numbers of one loss into a file, in place of its former ones; other settings begin a new file.

    Raises:
        Refusal: if the file cannot be written.
    """
    settings, loss = p.model_dump(mode="json", exclude={"loss"}), p.loss.model_dump(mode="json")
    try:
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        rows = [each for each in known.get("losses", []) if known["asked"] == settings and each["loss"] != loss]
        seeds = [{victim: vars(harm) for victim, harm in each.items()} for each in found]
        write_json(file, {"asked": settings, "losses": [*rows, {"loss": loss, "seeds": seeds}]} | provenance())
    except (OSError, ValueError, KeyError, AttributeError) as error:
        said = "cannot be written, or holds something else"
        raise Refusal(f"{file} {said}; name a new file with --out") from error
