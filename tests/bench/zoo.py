"""The guess of the loss on a zoo that it was not set on: shares of right and of wrong answers; the rest are not sure.

Seed, split and pairs of feature sets are none of those that its thresholds and candidates were chosen on. Linear towers
come to rest on them; where they do not, as where they learn all pairs by heart, no loss can be told from its rest.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch

from core.data.loading import load
from core.diagnostics.guessing import guess
from core.recipe import Recipe
from core.runs.trainer import Trainer

STEPS, SEED, BATCH = 1_200, 23, 128
ZOOS: dict[str, dict[str, Any]] = {
    " and ".join(names): {"kind": "mfeat", "modalities": names, "split_seed": 3}
    for names in (("kar", "mor"), ("kar", "zer"), ("fou", "mor"))
}
MEMBERS: tuple[tuple[str, dict[str, Any]], ...] = (
    *(("softmax", {"kind": "clip", "temperature": t}) for t in (0.06, 0.12, 0.25, 0.5)),
    *(("softmax", {"kind": "nt_xent", "temperature": t}) for t in (0.1, 0.2)),
    *(("hinge", {"kind": "ranking", "margin": m}) for m in (0.12, 0.25, 0.4)),
    *(("hinge", {"kind": "ranking", "margin": m, "violation": "max"}) for m in (0.2, 0.4)),
    *(
        ("logistic", {"kind": "siglip", "temperature": t, "bias": b})
        for t, b in ((0.1, -10), (0.1, -5), (0.15, -6), (0.2, -3))
    ),
    *(("contrastive", {"kind": "contrastive", "margin": m}) for m in (0.8, 1, 1.3)),
)


def answer(data: dict[str, Any], loss: dict[str, Any]) -> str | None:
    """The family that is guessed from the training items of one member."""
    given = {
        "data": data,
        "encoder": {"dim": 32, "vector": {"kind": "linear"}},
        "method": {"kind": "shuffle", "batch": BATCH},
        "optimiser": {"lr": 5e-3, "schedule": "cosine", "weight_decay": 0.01},
        "loss": loss,
        "steps": STEPS,
        "seed": SEED,
    }
    recipe = Recipe.model_validate(given)
    found = load(recipe.data)
    trainer = Trainer(recipe, found, torch.device("cpu"))
    for _ in range(recipe.steps):
        trainer.advance()
    return guess(*(z[found.split.train] for z in trainer.embed().values()), batch=BATCH).family


def run() -> Iterator[tuple[str, float, str]]:
    torch.set_num_threads(1)
    answers = {zoo: [(family, answer(data, loss)) for family, loss in MEMBERS] for zoo, data in ZOOS.items()}
    for zoo, found in answers.items():
        yield f"{zoo}: family right", _share(found, lambda family, said: said == family), "none alone"
    every = [each for found in answers.values() for each in found]
    yield f"all {len(every)}: family right", _share(every, lambda family, said: said == family), "0.7 or more"
    yield "all: family wrong", _share(every, lambda family, said: said not in (family, None)), "0; 0.037 is known"


def _share(answers: list[tuple[str, str | None]], holds: Callable[[str, str | None], bool]) -> float:
    return sum(holds(*each) for each in answers) / len(answers)
