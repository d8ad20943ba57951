"""One training run in memory: a recipe becomes networks, and each step a record of what was paid."""

import copy
import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.data.registry import DataSet, Modality
from core.encoders.registry import ENCODERS, build
from core.losses.registry import LOSSES, LossEntry
from core.methods.registry import METHODS
from core.mixing.registry import MIXINGS, Plan, Step
from core.paid import Paid
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.payment import modality_pairs, pay_all
from core.streams import stream

PROBE = 256
SMALLEST = 1e-24


class Unfit(Refusal):
    """A recipe whose parts do not fit each other; the message says what is missing."""


def choose_device() -> torch.device:
    """CUDA where there is one, then MPS, then the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def check_fit(recipe: Recipe, data: DataSet) -> None:
    """Refuse a recipe whose loss needs what the data lacks.

    Raises:
        Unfit: naming the loss, what it needs and what the data has.
    """
    entry = LOSSES.of(recipe.loss)
    has = {"a", "b"} | ({"labels"} if data.classes else set())
    missing = [name for name, required in entry.inputs.items() if required and name not in has]
    if missing:
        raise Unfit(
            f"{entry.title} needs {', '.join(missing)}, and the data set '{recipe.data.kind}' has only "
            f"{', '.join(sorted(has))}; choose another loss, or data with {', '.join(missing)}"
        )


class LearnedScalars(nn.Module):
    """The positive scalars that a loss has learned along, kept as logarithms and bounded."""

    def __init__(self, entry: LossEntry, p: Any) -> None:
        super().__init__()
        self.ranges = dict(entry.learned(p))
        self.logs = nn.ParameterDict(
            {name: nn.Parameter(torch.tensor(float(np.log(spec.initial)))) for name, spec in self.ranges.items()}
        )

    def forward(self) -> dict[str, Tensor]:
        """Name -> () value within its range."""
        return {name: self.logs[name].exp().clamp(spec.low, spec.high) for name, spec in self.ranges.items()}


def on_sphere(x: Tensor) -> Tensor:
    """(n, D) rows scaled to length 1; the same as normalising, with a shorter way back."""
    return x * x.square().sum(dim=-1, keepdim=True).clamp_min(SMALLEST).rsqrt()


@dataclass(frozen=True)
class Paying:
    """One payment: what is paid, and the plan of its mixing if there was one."""

    paid: Paid
    plan: Plan | None


class Trainer:
    """Networks, optimiser and step counter of one recipe on one device.

    Everything random is drawn from an address (seed, purpose, step), so the state is the parameters, the optimiser's
    and the step: nothing else has to be restored.
    """

    def __init__(self, recipe: Recipe, data: DataSet, device: torch.device) -> None:
        check_fit(recipe, data)
        self.recipe, self.data, self.device, self.step = recipe, data, device, 0
        self.loss = LOSSES.of(recipe.loss)
        self.mixing = MIXINGS.of(recipe.mixing).call()
        self.method = METHODS.of(recipe.method).call()
        self.inputs = {m.name: self._prepare(m).to(device) for m in data.modalities}
        self.labels = data.labels.to(device)
        self.train_items = data.split.train.to(device)
        self.tower = {m.name: m.tower for m in data.modalities}
        self.pairs = modality_pairs(self.inputs)
        shapes = {self.tower[name]: x.shape[1:] for name, x in self.inputs.items()}
        forms = {m.tower: m.form for m in data.modalities}
        self.model = nn.ModuleDict(
            {
                tower: build(getattr(recipe.encoder, forms[tower]), shape, recipe.encoder.dim, recipe.seed, tower)
                for tower, shape in shapes.items()
            }
        ).to(device)
        self.learned = LearnedScalars(self.loss, recipe.loss).to(device)
        self.optimiser = self._optimiser()
        self._epoch, self._order = -1, torch.empty(0)

    def _prepare(self, m: Modality) -> Tensor:
        p = getattr(self.recipe.encoder, m.form)
        return ENCODERS.of(p).prepare(m, p)

    def _optimiser(self) -> torch.optim.Optimizer:
        settings = self.recipe.optimiser
        groups = [
            {"params": list(self.model.parameters()), "weight_decay": settings.weight_decay},
            {"params": list(self.learned.parameters()), "weight_decay": 0.0},
        ]
        used = [group for group in groups if group["params"]]
        return torch.optim.AdamW(used, lr=settings.lr, fused=self.device.type in ("cpu", "cuda"))

    def state(self) -> dict[str, Any]:
        """All that a checkpoint has to hold."""
        return {
            "step": self.step,
            "model": self.model.state_dict(),
            "learned": self.learned.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from `state`, as `state()` gave it; nothing of it is shared afterwards."""
        self.model.load_state_dict(state["model"])
        self.learned.load_state_dict(state["learned"])
        self.optimiser.load_state_dict(copy.deepcopy(state["optimiser"]))
        self.step = state["step"]

    def precision(self) -> AbstractContextManager[Any]:
        """bfloat16 inside the encoders on CUDA, float32 everywhere else."""
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()

    def encode(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Modality -> (n, D) unit embeddings; modalities of one tower go through it together."""
        z: dict[str, Tensor] = {}
        for tower in dict.fromkeys(self.tower[name] for name in inputs):
            names = [name for name in inputs if self.tower[name] == tower]
            with self.precision():
                out = self.model[tower](torch.cat([inputs[name] for name in names]))
            unit = on_sphere(out.float())
            z |= dict(zip(names, unit.chunk(len(names)), strict=True))
        return z

    def mix(
        self, x: Mapping[str, Tensor], z: Mapping[str, Tensor], items: Tensor, clock: Step
    ) -> tuple[Paid, dict[str, Tensor], Plan]:
        """The mixed payment on a batch, the mixed embeddings by modality, and the plan that made them."""
        p = self.recipe.mixing
        assert self.mixing is not None
        own = getattr(self.recipe.loss, "margin", 0.0)
        g = stream(self.recipe.seed, "mixing", clock.index)
        plan = self.mixing.plan(len(items), p, g, margin=own).to(self.device)
        names = dict.fromkeys(pair[0 if p.side == "a" else 1] for pair in self.pairs)
        source = x if p.level == "input" else z
        mixed = {name: self.mixing.apply({p.side: source[name]}, plan, p)[p.side] for name in names}
        mixed = self.encode(mixed) if p.level == "input" else mixed
        paid = pay_all(self.recipe, z, self.labels[items], self.learned(), mixed, plan.margin)
        return paid, mixed, plan

    def clock(self, step: int) -> Step:
        """The step and its epoch."""
        return Step(step, step // self.method.steps(len(self.train_items), self.recipe.method))

    def _items(self, clock: Step) -> Tensor:
        if clock.epoch != self._epoch:
            order = self.method.epoch(len(self.train_items), self.recipe.method, self.recipe.seed, clock.epoch)
            self._epoch, self._order = clock.epoch, order.to(self.device)
        return self.train_items[self._order[clock.index % len(self._order)]]

    def _batch(self, items: Tensor, step: int) -> dict[str, Tensor]:
        x = {name: values[items] for name, values in self.inputs.items()}
        if self.data.augment is None:
            return x
        forms = {m.name: m.form for m in self.data.modalities}
        return {
            name: self.data.augment(name, values, stream(self.recipe.seed, "augment", name, step))
            if forms[name] != "text"
            else values
            for name, values in x.items()
        }

    def payment(self) -> Paying:
        """What the batch of the present step pays, with its graph."""
        clock = self.clock(self.step)
        items = self._items(clock)
        self.model.train()
        self._seed_dropout()
        x = self._batch(items, self.step)
        z = self.encode(x)
        clean = pay_all(self.recipe, z, self.labels[items], self.learned())
        if self.mixing is None:
            return Paying(clean, None)
        mixed, _, plan = self.mix(x, z, items, clock)
        return Paying(self.mixing.combine(clean, mixed, clock, self.recipe.mixing), plan)

    def _seed_dropout(self) -> None:
        """Let the masks of this step depend on its address alone."""
        seed = stream(self.recipe.seed, "dropout", self.step).initial_seed()
        if self.device.type == "cpu":
            torch.default_generator.manual_seed(seed)
        else:
            torch.manual_seed(seed)

    def record(self, paying: Paying) -> dict[str, Tensor]:
        """Column -> () value of the present step, still on the device."""
        total = paying.paid.total()
        columns = {"loss": total}
        if len(paying.paid.terms) > 1:
            columns |= {f"term.{name}": term.value() for name, term in paying.paid.terms.items()}
        columns |= {f"learned.{name}": value for name, value in self.learned().items()}
        if plan := paying.plan:
            lam, margin = plan.lam.detach(), plan.margin.detach()
            columns |= {"lam": lam.mean(), "margin": margin.mean()}
            columns |= {"margin.low": margin.min(), "margin.high": margin.max()}
        return columns

    def rate(self) -> float:
        """The learning rate of the present step."""
        settings = self.recipe.optimiser
        if settings.schedule == "constant":
            return settings.lr
        return settings.lr * 0.5 * (1 + math.cos(math.pi * min(1.0, self.step / self.recipe.steps)))

    def advance(self) -> dict[str, Tensor]:
        """Pay for the present step, take it, and return its record, as it was before the step."""
        columns = self.record(self.payment())
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.optimiser.zero_grad(set_to_none=True)
        columns["loss"].backward()
        self.optimiser.step()
        self.step += 1
        return {name: value.detach() for name, value in columns.items()}

    @torch.no_grad()
    def embed(self, items: Tensor | None = None) -> dict[str, Tensor]:
        """Modality -> (n, D) unit embeddings of the items (all by default), without augmentation or dropout."""
        self.model.eval()
        chosen = torch.arange(len(self.data), device=self.device) if items is None else items
        parts = [self.encode({name: x[chunk] for name, x in self.inputs.items()}) for chunk in chosen.split(512)]
        return {name: torch.cat([part[name] for part in parts]) for name in self.inputs}

    def probe(self) -> Tensor:
        """(P,) the items that snapshots show: the training items, or a fixed draw of them where there are many."""
        if len(self.train_items) <= PROBE:
            return self.train_items
        order = torch.randperm(len(self.train_items), generator=stream(self.recipe.seed, "probe"))
        return self.train_items[order[:PROBE].sort().values.to(self.device)]

    @torch.no_grad()
    def snapshot(self) -> dict[str, np.ndarray]:
        """Arrays of the present state on the probe items: `z.<modality>` (P, D), learned scalars, and the mixing.

        With a mixing also `mixed.<modality>` (P, D), `lam`, `margin` and `partner`, each (P,), drawn for the probe
        from this step's address: where lambda is one a batch, it is the very one of this step.
        """
        items = self.probe()
        z = self.embed(items)
        arrays = {f"z.{name}": value for name, value in z.items()}
        arrays |= {f"learned.{name}": value for name, value in self.learned().items()}
        if self.mixing is not None:
            x = {name: values[items] for name, values in self.inputs.items()}
            _, mixed, plan = self.mix(x, z, items, self.clock(self.step))
            arrays |= {f"mixed.{name}": value for name, value in mixed.items()}
            arrays |= {"lam": plan.lam, "margin": plan.margin, "partner": plan.partner}
        return {"items": items.cpu().numpy()} | {name: value.cpu().numpy() for name, value in arrays.items()}
