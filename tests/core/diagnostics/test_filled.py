"""A missing tower: nothing dropped is the complete case, all dropped and unfilled is the other tower alone."""

import pytest
import torch
import torch.nn.functional as F

from core.diagnostics.filled import DRAWS, RULES, Filled, filled, side_by_side
from core.diagnostics.probes import knn_accuracy
from core.streams import stream
from tests.core.diagnostics.clouds import unit
from tests.core.diagnostics.test_missing import LABELS, world

TRAIN, TEST = ({name: z.double() for name, z in part.items()} for part in world(2))
GONE, LEFT = "name", "image"


def measured(gone: str = GONE) -> Filled:
    return filled(TRAIN, TEST, gone, LABELS["train"], LABELS["test"])


def mean(x: torch.Tensor | None) -> float:
    assert x is not None
    return float(x.double().mean())


@pytest.mark.parametrize("rule", RULES)
def test_nothing_dropped_is_the_complete_case(rule):
    found = measured()
    known, asked = side_by_side(TRAIN), side_by_side(TEST)
    whole = knn_accuracy(known, LABELS["train"], asked, LABELS["test"])
    assert found.at(rule, "accuracy", 0) == pytest.approx(whole.accuracy)
    assert found.at(rule, "neighbours", 0) == 1


@pytest.mark.parametrize(("gone", "left"), [(GONE, LEFT), (LEFT, GONE)])
def test_all_dropped_and_left_empty_is_the_other_tower_alone(gone, left):
    found = measured(gone).rules["zeros"]
    near = (TEST[left] @ TRAIN[left].T).topk(5, dim=1).indices
    votes = LABELS["train"][near]
    scores = torch.stack([(votes == c).sum(dim=1) for c in range(5)], dim=1)
    sure = scores.topk(2, dim=1).values.diff(dim=1)[:, 0] != 0
    assert found.correct is not None
    assert sure.float().mean() > 0.5
    assert torch.equal((scores.argmax(dim=1) == LABELS["test"])[sure], found.correct.bool()[sure])
    assert mean(found.neighbours) == pytest.approx(mean(overlap(TEST[left] @ TEST[left].T)))


def overlap(scores: torch.Tensor) -> torch.Tensor:
    """Share of the 10 nearest others by these scores that are the 10 nearest of the complete items, one by one."""
    gallery = side_by_side(TEST)
    whole, shares = gallery @ gallery.T, []
    for i in range(len(scores)):
        near, own = ([j for j in row.argsort(descending=True).tolist() if j != i][:10] for row in (scores[i], whole[i]))
        shares.append(len(set(near) & set(own)) / 10)
    return torch.tensor(shares)


@pytest.mark.parametrize("rule", RULES)
def test_the_curve_is_straight_and_its_area_the_mean_of_its_ends(rule):
    found = measured()
    for measure in ("accuracy", "neighbours"):
        ends = found.at(rule, measure, 0), found.at(rule, measure, 1)
        assert found.at(rule, measure, 0.25) == pytest.approx(0.75 * ends[0] + 0.25 * ends[1])
        assert found.area(rule, measure) == pytest.approx(sum(ends) / 2)


def test_each_rule_fills_by_its_definition():
    known, asked = TRAIN[GONE], TEST[LEFT]

    def kept(fill: torch.Tensor) -> torch.Tensor:
        query = F.normalize(torch.cat([asked, fill], dim=1), dim=1)
        return overlap(query @ side_by_side(TEST).T)

    found = measured().rules
    near = torch.tensor([int((TRAIN[LEFT] @ query).argmax()) for query in asked])
    drawn = [torch.randint(len(known), (60,), generator=stream(0, "filled", draw)) for draw in range(DRAWS)]
    for rule, fills in {
        "zeros": [torch.zeros_like(asked)],
        "mean": [known.mean(dim=0).expand(60, -1)],
        "neighbour": [known[near]],
        "random": [known[rows] for rows in drawn],
        "partner": [asked],
    }.items():
        assert torch.allclose(found[rule].neighbours, torch.stack([kept(fill) for fill in fills]).mean(dim=0)), rule


def test_a_linear_fill_restores_a_tower_that_is_a_rotation_of_the_other():
    turn = torch.linalg.qr(torch.randn(12, 12, dtype=torch.float64, generator=stream(0, "turn"))).Q
    train, test = ({LEFT: part[LEFT], GONE: part[LEFT] @ turn} for part in (TRAIN, TEST))
    found = filled(train, test, GONE, LABELS["train"], LABELS["test"])
    assert mean(found.rules["linear"].neighbours) > 0.99
    assert torch.equal(found.rules["linear"].correct, found.complete.correct)
    assert mean(found.rules["random"].neighbours) < 0.9


def test_a_random_fill_of_noise_keeps_neighbours_at_chance():
    train, test = ({LEFT: unit(n, 12, seed), GONE: unit(n, 12, seed + 1)} for n, seed in ((300, 0), (400, 2)))
    test = {LEFT: F.normalize(torch.ones(400, 12), dim=1), GONE: test[GONE]}
    found = filled(train, test, GONE)
    assert found.at("random", "neighbours", 1) == pytest.approx(10 / 399, abs=0.01)


def test_towers_may_have_different_widths_and_need_no_labels():
    train, test = ({LEFT: part[LEFT], GONE: F.normalize(part[GONE][:, :7], dim=1)} for part in (TRAIN, TEST))
    found = filled(train, test, GONE)
    assert found.complete.correct is None
    assert found.chance == {"accuracy": None, "neighbours": 10 / 59}
    assert list(found.rules) == [rule for rule in RULES if rule != "partner"]
    with pytest.raises(ValueError, match="no labels"):
        found.at("mean", "accuracy", 0.5)


def test_the_damage_of_a_class_is_what_its_items_lose():
    found = measured()
    damage = found.damage("zeros", "accuracy", LABELS["test"])
    assert found.complete.correct is not None
    lost = found.complete.correct - found.rules["zeros"].correct
    each = [lost[LABELS["test"] == c].double() for c in range(5)]
    assert damage.mean.tolist() == pytest.approx([float(x.mean()) for x in each])
    assert damage.half.tolist() == pytest.approx([1.959964 * float(x.std()) / len(x) ** 0.5 for x in each])
    assert damage.items.tolist() == [12] * 5
    weights = torch.bincount(LABELS["test"]).double() / 60
    total = found.at("zeros", "accuracy", 0) - found.at("zeros", "accuracy", 1)
    assert float((damage.mean * weights).sum()) == pytest.approx(total)


@pytest.mark.parametrize(
    ("train", "test", "gone"), [({LEFT: 0}, {LEFT: 0}, LEFT), ({LEFT: 0, GONE: 0}, {LEFT: 0, GONE: 0}, "sound")]
)
def test_two_towers_and_one_of_them_gone_are_needed(train, test, gone):
    with pytest.raises(ValueError, match="give both the same two or more"):
        filled({name: TRAIN[name] for name in train}, {name: TEST[name] for name in test}, gone)


@pytest.mark.parametrize("rate", [-0.1, 1.1])
def test_a_rate_is_a_share(rate):
    with pytest.raises(ValueError, match="between 0 and 1"):
        measured().at("mean", "neighbours", rate)
