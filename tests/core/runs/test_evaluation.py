"""The figures of a finished run against slow loops over its embeddings."""

import pytest
import torch

from core.data.loading import load
from core.encoders.bags import Bag
from core.runs.evaluation import evaluate, members
from core.runs.trainer import Trainer
from tests.core.runs.conftest import BAGS, small


def recall(queries: list[list[float]], gallery: list[list[float]], k: int) -> float:
    hits = 0
    for i, query in enumerate(queries):
        scores = [sum(u * v for u, v in zip(query, row, strict=True)) for row in gallery]
        hits += sum(score > scores[i] for score in scores) < k
    return hits / len(queries)


def test_bags_are_found_as_wholes_and_member_by_member():
    recipe = small(**{name.replace(".", "__"): value for name, value in BAGS.items()})
    trainer = Trainer(recipe, load(recipe.data), torch.device("cpu"))
    for _ in range(20):
        trainer.advance()
    metrics, embeddings = evaluate(trainer, {"loss": 0.0})
    test, (first, second) = trainer.data.split.test, trainer.data.modalities
    _, bags = trainer.look()
    whole = [embeddings[m.name][test].tolist() for m in (first, second)]
    each = [
        [(x / x.norm()).tolist() for i in test.tolist() for x in bags[m.name].members[i][m.mask[i]]]
        for m in (first, second)
    ]
    assert len(each[0]) == len(each[1]) > len(whole[0])
    for what, (a, b) in (("test", whole), ("test.member", each)):
        for k in (1, 5, 10):
            assert metrics[f"{what}.r{k}.clips_sentences"] == pytest.approx(recall(a, b, k), abs=1e-6)
            assert metrics[f"{what}.r{k}.sentences_clips"] == pytest.approx(recall(b, a, k), abs=1e-6)


def test_a_member_without_a_counterpart_is_not_searched_for():
    x = torch.tensor([[[3.0, 4], [1, 0]], [[0, 2], [5, 0]]])
    full, first = torch.ones(2, 2).bool(), torch.tensor([[1, 0], [1, 1]]).bool()
    found = members({"one": Bag(x, full), "two": Bag(x, first)})
    wanted = torch.tensor([[0.6, 0.8], [0, 1], [1, 0]])
    torch.testing.assert_close(found["one"], wanted)
    torch.testing.assert_close(found["two"], wanted)


def test_data_without_bags_has_no_members_to_find():
    recipe = small()
    metrics, _ = evaluate(Trainer(recipe, load(recipe.data), torch.device("cpu")), {"loss": 0.0})
    assert "test.r1.left_right" in metrics
    assert not [name for name in metrics if "member" in name]
