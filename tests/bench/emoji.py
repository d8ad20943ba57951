"""The emoji target: image and text with the defaults, on families that were never seen."""

import time

import torch

from core.addresses import read
from core.data.loading import load
from core.recipe import Recipe
from core.runs.evaluation import evaluate
from core.runs.trainer import Trainer


def run() -> list[tuple[str, float, str]]:
    torch.set_num_threads(1)
    rows = []
    for seed in ("0", "1"):
        started = time.process_time()
        recipe = read({"data.kind": "emoji", "loss.kind": "clip", "seed": seed}, Recipe())[0]
        trainer = Trainer(recipe, load(recipe.data), torch.device("cpu"))
        while trainer.step < recipe.steps:
            last = trainer.advance()
        metrics, _ = evaluate(trainer, {"loss": float(last["loss"])})
        both = (metrics["test.r1.noto_en"] + metrics["test.r1.en_noto"]) / 2
        rows.append((f"mean R@1 of both directions, seed {seed}", both, ">= 0.07"))
        rows.append((f"CPU seconds in all, seed {seed}", time.process_time() - started, "<= 120"))
    return rows
