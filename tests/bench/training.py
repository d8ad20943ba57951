"""G6: a training step against the same step without autograd, and against a loop over a DataLoader.

Digits, 64-256-256-64 with GELU, 256 items, two augmented views through one encoder, InfoNCE, AdamW, one thread.
"""

import math

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

from core.addresses import read
from core.data.loading import load
from core.recipe import Recipe
from core.runs.trainer import Trainer
from core.streams import stream
from tests.bench.paired import ratio

STEPS = 40
RECIPE = read({"data.kind": "digits", "loss.kind": "info_nce", "method.batch": "256", "encoder.dim": "64"}, Recipe())[0]


class ByHand:
    """The step of the trainer with its gradients written out."""

    def __init__(self) -> None:
        self.trainer = Trainer(RECIPE, load(RECIPE.data), torch.device("cpu"))
        self.linear = [m for m in self.trainer.model.modules() if isinstance(m, torch.nn.Linear)]
        for parameter in self.trainer.model.parameters():
            parameter.grad = torch.zeros_like(parameter)
            parameter.requires_grad_(False)

    def step(self) -> None:
        t = self.trainer
        items = t._items(t.clock(t.step))
        x = torch.cat(list(t._batch(items, t.step).values()))
        entered, before = [x], []
        for layer in self.linear[:-1]:
            before.append(torch.addmm(layer.bias, entered[-1], layer.weight.T))
            entered.append(F.gelu(before[-1]))
        out = torch.addmm(self.linear[-1].bias, entered[-1], self.linear[-1].weight.T)
        length = out.norm(dim=1, keepdim=True)
        z = out / length
        n = len(items)
        a, b, tau = z[:n], z[n:], RECIPE.loss.temperature
        share = torch.softmax(a @ b.T / tau, dim=1)
        share.diagonal().sub_(1)
        share /= n * tau
        g = torch.cat([share @ b, share.T @ a])
        g = (g - (g * z).sum(1, keepdim=True) * z) / length
        for k in range(len(self.linear) - 1, -1, -1):
            layer = self.linear[k]
            torch.mm(g.T, entered[k], out=layer.weight.grad)
            torch.sum(g, 0, out=layer.bias.grad)
            if k:
                g = torch.ops.aten.gelu_backward(g @ layer.weight, before[k - 1])
        t.optimiser.step()
        t.step += 1


class Items(Dataset):
    """One item at a time, each view distorted as it is taken, as most code feeds a network."""

    def __init__(self, data) -> None:
        self.views = [m.values for m in data.modalities]
        self.rows = data.split.train
        self.augment = data.augment
        self.g = stream(0, "bench")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int):
        row = self.rows[index]
        return tuple(self.augment("", view[row : row + 1], self.g)[0] for view in self.views)


def naive(trainer: Trainer) -> None:
    """An epoch over a DataLoader with statistics at every step."""
    loader = DataLoader(Items(trainer.data), batch_size=256, shuffle=True, drop_last=True)
    encoder = next(iter(trainer.model.towers.values()))
    for views in loader:
        a, b = (F.normalize(encoder(view), dim=1) for view in views)
        scores = a @ b.T
        loss = F.cross_entropy(scores / RECIPE.loss.temperature, torch.arange(len(a)))
        trainer.optimiser.zero_grad()
        loss.backward()
        trainer.optimiser.step()
        own = torch.eye(len(a), dtype=torch.bool)
        statistics = [loss.item(), scores[own].mean().item(), scores[~own].mean().item()]
        torch.histc(scores.detach(), 61, -1, 1)
        assert all(map(math.isfinite, statistics))


def run() -> list[tuple[str, float, str]]:
    torch.set_num_threads(1)
    data = load(RECIPE.data)
    ours, looped, hand = (
        Trainer(RECIPE, data, torch.device("cpu")),
        Trainer(RECIPE, data, torch.device("cpu")),
        ByHand(),
    )
    epoch = len(data.split.train) // 256
    return [
        ("step / the same without autograd", ratio(ours.advance, hand.step, times=(STEPS, STEPS)), "<= 1.25"),
        (
            "DataLoader loop / step",
            ratio(lambda: naive(looped), lambda: [ours.advance() for _ in range(epoch)], times=(4, 4)),
            ">= 2.5",
        ),
    ]
