import itertools
import math
from collections.abc import Mapping

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from core.diagnostics.missing import (
    DRAWS,
    T_95,
    Outcomes,
    along_rates,
    draw_present,
    every_subset,
    fuse,
    interval,
    outcomes,
)
from core.diagnostics.probes import knn_accuracy
from core.diagnostics.retrieval import retrieval
from tests.core.diagnostics.clouds import groups, unit

NAMES = ("image", "name", "sound")
LABELS = {"train": torch.arange(90) % 5, "test": torch.arange(60) % 5}


def world(modalities: int, seed: int = 0) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Training and test items: a shared part by class and item, under noise of each modality's own."""
    found: list[dict[str, torch.Tensor]] = []
    for part, n in (("train", 90), ("test", 60)):
        shared, _ = groups(n, 12, 5, noise=0.4, seed=seed)
        shift = 1000 * (part == "test")
        found.append(
            {
                name: F.normalize(shared + (0.6 + 0.6 * m) * unit(n, 12, seed + 10 * m + 1 + shift), dim=1)
                for m, name in enumerate(NAMES[:modalities])
            }
        )
    return found[0], found[1]


def measured(modalities: int) -> Outcomes:
    train, test = world(modalities)
    return outcomes(train, LABELS["train"], test, LABELS["test"])


def test_a_joint_encoder_stands_for_complete_items_and_for_nothing_else():
    train, test = world(2)
    plain = measured(2)
    same = outcomes(train, LABELS["train"], test, LABELS["test"], (fuse(train), fuse(test)))
    assert torch.equal(same.correct, plain.correct)
    assert [p.above.tolist() for p in same.places] == [p.above.tolist() for p in plain.places]
    joint = unit(90, 12, 7), unit(60, 12, 8)
    found = outcomes(train, LABELS["train"], test, LABELS["test"], joint)
    whole = knn_accuracy(joint[0], LABELS["train"], joint[1], LABELS["test"])
    alone = knn_accuracy(joint[0], LABELS["train"], test["name"], LABELS["test"])
    by_subset = {subset.present: subset for subset in every_subset(found)}
    assert by_subset["image", "name"].accuracy == whole.accuracy
    assert by_subset["name",].accuracy == alone.accuracy
    assert by_subset["image", "name"].retrieval.r1 == 1
    assert by_subset["name",].retrieval == retrieval(test["name"], joint[1])


def slow_fuse(modalities: Mapping[str, torch.Tensor], present: list[list[bool]]) -> list[list[float]]:
    rows = []
    for i, there in enumerate(present):
        each = [z[i].tolist() for z, yes in zip(modalities.values(), there, strict=True) if yes]
        mean = [sum(values) / len(each) for values in zip(*each, strict=True)]
        length = math.sqrt(sum(v * v for v in mean))
        rows.append([v / length for v in mean])
    return rows


def test_fusing_equals_a_slow_loop():
    modalities = {name: unit(7, 5, m, torch.float64) for m, name in enumerate(NAMES)}
    present = [list(p) for p in itertools.product([False, True], repeat=3) if any(p)]
    found = fuse(modalities, np.array(present))
    assert np.allclose(found.numpy(), slow_fuse(modalities, present), atol=1e-14)
    assert torch.equal(fuse(modalities), fuse(modalities, torch.ones(7, 3, dtype=torch.bool)))


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 4), st.integers(0, 3), st.integers(0, 50))
def test_a_dropped_modality_equals_the_remaining_ones_alone_exactly(modalities, gone, seed):
    gone %= modalities
    each = {f"m{m}": unit(9, 6, seed + m) for m in range(modalities)}
    present = torch.ones(9, modalities, dtype=torch.bool)
    present[:, gone] = False
    others = {name: z for name, z in each.items() if name != f"m{gone}"}
    assert torch.equal(fuse(each, present), fuse(others))


def test_what_is_missing_may_be_anything_but_the_rest_decides():
    a, b = unit(4, 3, 1), unit(4, 3, 2)
    only_a = torch.tensor([[True, False]]).expand(4, -1)
    assert torch.equal(fuse({"a": a, "b": b}, only_a), fuse({"a": a, "b": -b}, only_a))


def test_modalities_that_cancel_out_point_nowhere():
    a = unit(3, 4)
    assert float(fuse({"a": a, "b": -a}).abs().max()) == 0


def test_every_subset_is_measured_by_its_definition():
    train, test = world(3)
    found = every_subset(measured(3))
    assert [s.present for s in found] == [s for k in (1, 2, 3) for s in itertools.combinations(NAMES, k)]
    known, gallery = fuse(train), fuse(test)
    for subset in found:
        query = fuse({name: test[name] for name in subset.present})
        assert subset.retrieval == retrieval(query, gallery)
        assert subset.accuracy == knn_accuracy(known, LABELS["train"], query, LABELS["test"]).accuracy
        assert subset.across == {}
    assert found[-1].retrieval.r1 == 1
    assert found[0].retrieval.r1 > found[2].retrieval.r1 > 2 / 60
    assert found[0].accuracy > 0.3


def test_two_modalities_are_also_searched_across():
    _, test = world(2)
    alone, other, both = every_subset(measured(2))
    assert set(both.across) == {("image", "name"), ("name", "image")}
    assert set(alone.across) == {("image", "name")}
    assert set(other.across) == {("name", "image")}
    for (source, to), seen in both.across.items():
        assert seen == retrieval(test[source], test[to])


def test_the_yardsticks_are_those_of_the_labels():
    found = measured(2)
    assert (found.chance, found.majority) == (0.2, 0.2)


@pytest.mark.parametrize("modalities", [1, 2, 3])
def test_nothing_dropped_equals_the_complete_case_exactly(modalities):
    found = measured(modalities)
    complete = every_subset(found)[-1]
    (at,) = along_rates(found, [0.0])
    for seen, wanted in (
        (at.accuracy, complete.accuracy),
        (at.r1, complete.retrieval.r1),
        (at.r5, complete.retrieval.r5),
        (at.r10, complete.retrieval.r10),
    ):
        assert seen.mean == seen.low == seen.high == wanted
    for pair, each in at.across.items():
        whole = complete.across[pair]
        assert [seen.mean for seen in each] == [whole.r1, whole.r5, whole.r10]


def test_each_draw_is_measured_by_its_definition():
    """The outcomes looked up by subset equal fusing what is present, item by item, and measuring that."""
    train, test = world(2)
    found = outcomes(train, LABELS["train"], test, LABELS["test"])
    (at,) = along_rates(found, [0.4], seed=3)
    known, gallery = fuse(train), fuse(test)
    accuracy, r1, across = [], [], []
    for draw in range(DRAWS):
        there = draw_present(60, 2, 0.4, 3, draw)
        query = fuse(test, there)
        accuracy.append(knn_accuracy(known, LABELS["train"], query, LABELS["test"]).accuracy)
        r1.append(retrieval(query, gallery).r1)
        left = there[:, 1].nonzero().flatten()
        across.append(retrieval(test["name"][left], test["image"], left).r1)
    for seen, values in ((at.accuracy, accuracy), (at.r1, r1), (at.across["name", "image"][0], across)):
        wanted = stats.t.interval(0.95, DRAWS - 1, np.mean(values), stats.sem(values))
        assert seen.mean == pytest.approx(np.mean(values), abs=1e-12)
        assert (seen.low, seen.high) == pytest.approx(wanted, abs=1e-6)
        assert seen.low < seen.mean < seen.high


def test_all_but_one_dropped_leaves_single_modalities():
    found = measured(2)
    alone, other, both = every_subset(found)
    (at,) = along_rates(found, [1.0])
    assert min(alone.accuracy, other.accuracy) <= at.accuracy.mean <= max(alone.accuracy, other.accuracy)
    assert at.r1.mean == pytest.approx((alone.retrieval.r1 + other.retrieval.r1) / 2, abs=0.05)
    assert at.r1.mean < both.retrieval.r1


def test_one_modality_is_never_dropped():
    found = measured(1)
    assert along_rates(found, [1.0])[0].accuracy.mean == every_subset(found)[0].accuracy


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.6, 1.0])
def test_drops_are_independent_and_never_take_the_last(rate):
    """Keeping k of 3 by chance alone, and the one that is left instead of none: 3-sigma bounds on 20,000 items."""
    there = draw_present(20_000, 3, rate, 0, 0)
    assert int(there.sum(dim=1).min()) >= 1
    for pattern in itertools.product([False, True], repeat=3):
        kept = sum(pattern)
        wanted = (1 - rate) ** kept * rate ** (3 - kept) if kept else 0
        wanted += rate**3 / 3 if kept == 1 else 0
        seen = float((there == torch.tensor(pattern)).all(dim=1).float().mean())
        assert seen == pytest.approx(wanted, abs=3 * math.sqrt(wanted * (1 - wanted) / 20_000) + 1e-9)


def test_draws_have_addresses():
    drawn = draw_present(50, 3, 0.5, 1, 2)
    assert torch.equal(drawn, draw_present(50, 3, 0.5, 1, 2))
    assert not torch.equal(drawn, draw_present(50, 3, 0.5, 1, 3))
    assert not torch.equal(drawn, draw_present(50, 3, 0.5, 2, 2))
    found = measured(2)
    assert along_rates(found, [0.5], seed=1) == along_rates(found, [0.2, 0.5], seed=1)[1:]
    assert along_rates(found, [0.5], seed=1) != along_rates(found, [0.5], seed=2)


def test_the_quantile_of_student_is_that_of_nineteen_degrees():
    assert pytest.approx(stats.t.ppf(0.975, DRAWS - 1), abs=1e-12) == T_95


def test_an_interval_of_equal_values_is_that_value():
    third = 1 / 3
    found = interval([third] * DRAWS)
    assert (found.mean, found.low, found.high) == (third, third, third)
    assert interval([0.0] * 10 + [1.0] * 10).low > 0
    assert interval([1.0] * 19 + [0.0]).high == 1
    assert math.isnan(interval([0.5, math.nan]).mean)


def test_a_direction_that_no_query_can_take_has_no_number():
    """With one item, some of the draws lose its only query."""
    train, test = world(2)
    one = outcomes(train, LABELS["train"], {name: z[:1] for name, z in test.items()}, LABELS["test"][:1])
    (at,) = along_rates(one, [0.5])
    assert math.isnan(at.across["image", "name"][0].mean)
    assert not math.isnan(at.r1.mean)


@pytest.mark.parametrize("rate", [-0.1, 1.1, math.nan])
def test_a_rate_is_a_share(rate):
    with pytest.raises(ValueError, match="between 0 and 1"):
        along_rates(measured(1), [0.5, rate])


def test_both_parts_need_the_same_modalities():
    train, test = world(2)
    with pytest.raises(ValueError, match="the same ones"):
        outcomes({"image": train["image"]}, LABELS["train"], test, LABELS["test"])
    with pytest.raises(ValueError, match="the same ones"):
        outcomes({}, LABELS["train"], {}, LABELS["test"])
    with pytest.raises(ValueError, match="a row in each"):
        fuse({"a": unit(3, 4), "b": unit(2, 4)})
