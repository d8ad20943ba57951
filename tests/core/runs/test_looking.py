"""Methods that look at the embeddings: when they look, who meets, what a loss is handed, and what does not fit."""

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import Tensor

from core.data.loading import load
from core.data.registry import DataSet
from core.losses.registry import LOSSES
from core.methods.registry import METHODS
from core.methods.remembering import joined_clusters
from core.procedures.cluster_batches import ClusterBatches, cluster_batches
from core.procedures.hard_batches import NeighbourBatches, neighbour_batches
from core.procedures.k_means import KMeans, Subclasses, k_means, subclasses
from core.runs.fit import Unfit, check_fit, offered, remarks
from core.runs.mixed_payment import pay_mixed
from core.runs.replay import moment
from core.runs.trainer import Trainer
from core.runs.worker import _take_over, prepare, state_at
from core.streams import stream
from tests.core.runs.conftest import small

LINKS = {
    "clustered": {"method__kind": "clustered", "method__every": "2", "method__clusters": "3"},
    "hard": {"method__kind": "hard", "method__k": "20", "method__select": "8"},
    "pseudo_labels": {"method__kind": "pseudo_labels", "method__every": "2", "loss__kind": "supcon"},
    "memory": {"method__kind": "memory", "method__every": "2", "method__clusters": "6", "method__size": "24"}
    | {"method__momentum": "0.9", "loss__kind": "interclr", "loss__pool": "0.5"},
    "cut_classes": {"method__kind": "cut_classes", "method__every": "2", "method__least": "3", "loss__kind": "sbcl"},
}
LOOKING = pytest.mark.parametrize("kind", LINKS)


def trainer(kind: str, device: str = "cpu", **more: str) -> Trainer:
    recipe = small(**LINKS[kind] | more)
    data = load(recipe.data)
    if kind == "cut_classes":
        data = replace(data, split=replace(data.split, train=uneven(data)))
    return Trainer(recipe, data, torch.device(device))


def uneven(data: DataSet) -> Tensor:
    """The training items, but of the first two classes no more than 4 each."""
    train = data.split.train
    return torch.cat([train[data.labels[train] == own][: 4 if own < 2 else None] for own in range(len(data.classes))])


def steps(ours: Trainer) -> int:
    """In an epoch."""
    return ours.method.steps(len(ours.train_items), ours.recipe.method)


def at_epoch(ours: Trainer, epoch: int) -> Trainer:
    """The trainer at the first step of an epoch."""
    while ours.step < epoch * steps(ours):
        ours.advance()
    return ours


def seen(ours: Trainer) -> list[Tensor]:
    """The training items, embedded one after the other."""
    each = [ours.embed(item[None]) for item in ours.train_items]
    return [torch.cat([one[name] for one in each]) for name in ours.inputs]


def same_cells(one: Tensor, other: Tensor) -> bool:
    return torch.equal(one[:, None] == one, other[:, None] == other)


def test_every_method_that_looks_is_tested_here():
    assert {entry.key for entry in METHODS if entry.call().looks} == set(LINKS)


def test_batches_of_one_cluster_are_those_of_k_means_on_what_the_networks_see_at_the_start_of_the_epoch():
    ours = at_epoch(trainer("clustered"), 2)
    z, n = torch.cat(seen(ours), dim=1), len(ours.train_items)
    cells = k_means(z, torch.rand(3, generator=stream(0, "clusters", 2)), KMeans(clusters=3))
    order = torch.randperm(n, generator=stream(0, "batches", 2))
    wanted = cluster_batches(cells, order, ClusterBatches(batch=16, rest="gather"))
    assert len(wanted) == steps(ours)
    for row in wanted:
        assert torch.equal(ours._items(ours.clock(ours.step)), ours.train_items[row])
        ours.advance()
    whole = sum(int(count) // 16 for count in cells.bincount())
    pure = [len(cells[row].unique()) == 1 for row in wanted]
    assert whole > 0
    assert pure == [True] * whole + pure[whole:]


def test_hard_batches_are_those_of_the_neighbours_in_the_other_modality_at_the_start_of_the_epoch():
    ours = at_epoch(trainer("hard"), 1)
    (a, b), n = seen(ours), len(ours.train_items)
    scores = (a.double() @ b.double().T).fill_diagonal_(-torch.inf)
    near = scores.argsort(dim=1, descending=True, stable=True)[:, :20]
    order = torch.randperm(n, generator=stream(0, "batches", 1))
    draws = torch.rand(near.shape, generator=stream(0, "neighbours", 1))
    wanted = neighbour_batches(near, order, draws, NeighbourBatches(batch=16, select=8))
    assert len(wanted) == steps(ours)
    for row in wanted:
        assert torch.equal(ours._items(ours.clock(ours.step)), ours.train_items[row])
        ours.advance()


def test_with_three_modalities_neighbours_are_alike_in_all_their_pairs_together():
    three = {"data__kind": "mfeat", "data__modalities": "fou,zer,mor"}
    ours = trainer("hard", **three)
    ours.payment()
    z = seen(ours)
    scores = torch.stack([x.double() @ y.double().T for x, y in combinations(z, 2)]).sum(dim=0)
    scores.fill_diagonal_(-torch.inf)
    kept = ours.kept["neighbours"]
    torch.testing.assert_close(scores.gather(1, kept), scores.topk(20, dim=1).values)


@pytest.mark.parametrize("kind", ["clustered", "hard"])
def test_no_item_comes_twice_in_an_epoch(kind):
    ours = trainer(kind)
    met = []
    for _ in range(steps(ours)):
        met.append(ours._items(ours.clock(ours.step)))
        ours.advance()
    assert len(torch.cat(met).unique()) == 16 * steps(ours)


@LOOKING
def test_it_looks_before_the_first_step_and_then_every_so_many_epochs(kind):
    ours = trainer(kind)
    looked, before = [], None
    for step in range(5 * steps(ours)):
        ours.advance()
        (kept,) = ours.kept.values()
        if kept is not before:
            looked.append(step / steps(ours))
        before = kept
    assert looked == list(range(0, 5, ours.recipe.method.every))


@LOOKING
@pytest.mark.parametrize("leave_at", [0, 3, 4])
def test_a_resumed_run_is_the_same_to_the_last_bit_from_within_an_epoch_and_from_where_it_looks(kind, leave_at):
    straight, broken, resumed = (trainer(kind) for _ in range(3))
    left, more = leave_at * steps(straight) // 2, steps(straight) * 2 + 1
    records = [straight.advance() for _ in range(left + more)]
    for _ in range(left):
        broken.advance()
    resumed.restore(broken.state())
    again = [resumed.advance() for _ in range(more)]
    assert [float(row["loss"]) for row in again] == [float(row["loss"]) for row in records[left:]]
    for part in ("model", "kept", "teacher"):
        mine, theirs = resumed.state()[part], straight.state()[part]
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


@LOOKING
def test_snapshots_and_payments_change_nothing(kind):
    watched, alone = trainer(kind), trainer(kind)
    for _ in range(2 * steps(alone) + 1):
        watched.snapshot()
        watched.payment()
        assert float(watched.advance()["loss"]) == float(alone.advance()["loss"])


def test_supcon_is_paid_by_clusters_in_place_of_classes():
    ours = at_epoch(trainer("pseudo_labels", method__clusters="4"), 2)
    paying, items = ours.payment(), ours._items(ours.clock(ours.step))
    draws = torch.rand(4, generator=stream(0, "clusters", 2))
    found = k_means(torch.cat(seen(ours), dim=1), draws, KMeans(clusters=4))
    place = {int(item): at for at, item in enumerate(ours.train_items)}
    labels = found[[place[int(item)] for item in items]]
    assert torch.equal(paying.batch.labels, labels)
    assert not same_cells(labels, ours.labels[items])
    z = paying.batch.z.values()
    torch.testing.assert_close(paying.paid.total(), LOSSES["supcon"].call(*z, labels, p=ours.recipe.loss).total())


def test_sbcl_is_paid_by_clusters_within_classes():
    ours = at_epoch(trainer("cut_classes"), 2)
    paying, items = ours.payment(), ours._items(ours.clock(ours.step))
    z, classes = torch.cat(seen(ours), dim=1), ours.data.labels[ours.data.split.train]
    draws = torch.rand(len(z), generator=stream(0, "clusters", 2))
    found = subclasses(z, classes, draws, Subclasses(least=3))
    assert len(found.unique()) > len(classes.unique())
    place = {int(item): at for at, item in enumerate(ours.train_items)}
    clusters = found[[place[int(item)] for item in items]]
    given = {"labels": ours.data.labels[items], "clusters": clusters}
    paid = LOSSES["sbcl"].call(*paying.batch.z.values(), **given, p=ours.recipe.loss)
    torch.testing.assert_close(paying.paid.total(), paid.total())


@pytest.mark.parametrize("target", ["hard", "soft"])
@pytest.mark.parametrize("kind", ["pseudo_labels", "cut_classes"])
def test_mixed_pairs_are_paid_by_the_same_labels_and_a_partners_share_by_the_partners(kind, target):
    ours = trainer(kind, mixing__kind="dmm", mixing__target=target)
    items, clock = ours._items(ours.clock(0)), ours.clock(0)
    x = {name: values[items] for name, values in ours.inputs.items()}
    batch = ours.encode(x, items)
    mixture, _ = ours._mixed(x, batch, clock)
    (mixed, plan), other = next(zip(mixture.z.values(), mixture.plans.values(), strict=True)), list(batch.z.values())[1]

    def paid(rows: Tensor) -> Tensor:
        given = {"labels": batch.labels[rows]}
        if batch.clusters is not None:
            given |= {"clusters": batch.clusters[rows]}
        return LOSSES.of(ours.recipe.loss).call(mixed, other[rows], **given, p=ours.recipe.loss).total()

    wanted = paid(torch.arange(len(items)))
    if target == "soft":
        lam = plan.lam[0]
        wanted = lam * wanted + (1 - lam) * paid(plan.partner)
    torch.testing.assert_close(pay_mixed(ours.recipe, batch, mixture).total(), wanted)


@pytest.mark.parametrize("kind", ["pseudo_labels", "cut_classes"])
def test_a_snapshot_keeps_what_the_step_is_paid_by(kind):
    ours = trainer(kind)
    for _ in range(3):
        ours.advance()
    arrays = ours.snapshot()
    z = [torch.from_numpy(arrays[f"z.{name}"]) for name in ours.inputs]
    given = {"labels": ours.labels[ours.probe()]} | {
        name.removeprefix("given."): torch.from_numpy(value) for name, value in arrays.items() if "given." in name
    }
    assert np.array_equal(given[METHODS[kind].call().gives[0]], next(iter(ours.kept.values())))
    by_hand = LOSSES.of(ours.recipe.loss).call(*z, **given, p=ours.recipe.loss)
    again = moment(ours.recipe, ours.data, ours.step, arrays)
    torch.testing.assert_close(again.clean.total(), by_hand.total())


def test_a_memory_is_filled_by_a_look_and_then_follows_the_teacher_item_by_item_and_cluster_by_cluster():
    ours = trainer("memory")
    ours.payment()
    teacher, z = ours.teacher, seen(ours)
    torch.testing.assert_close(teacher.memory, torch.stack(z))
    draws = torch.rand(6, generator=stream(0, "clusters", 0))
    assert torch.equal(teacher.clusters, k_means(torch.cat(list(teacher.memory), dim=1), draws, KMeans(clusters=6)))
    for _ in range(3):
        memory, clusters = teacher.memory.clone(), teacher.clusters.clone()
        batch, items = ours.payment().batch, ours._items(ours.clock(ours.step)).tolist()
        ours.advance()
        for row, item in enumerate(ours.train_items.tolist()):
            if item not in items:
                assert torch.equal(teacher.memory[:, row], memory[:, row])
                assert teacher.clusters[row] == clusters[row]
                continue
            keys = [batch.teacher[name][items.index(item)] for name in ours.inputs]
            assert torch.equal(teacher.memory[:, row], torch.stack(keys))
            products = {}
            for own in set(clusters.tolist()):
                mean = memory[:, clusters == own].mean(dim=1)
                products[own] = sum(float(key @ side) for key, side in zip(keys, mean, strict=True))
            assert products[int(teacher.clusters[row])] == pytest.approx(max(products.values()), abs=1e-6)


def test_nobody_joins_an_empty_cluster():
    memory = torch.tensor([[1.0, 0.0], [0.8, 0.6]])
    away = torch.tensor([[-1.0, 0.0], [0.0, 1.0]])
    assert joined_clusters(memory, torch.tensor([0, 2]), away, 3).tolist() == [2, 2]
    assert joined_clusters(memory, torch.tensor([0, 0]), away, 3).tolist() == [0, 0]


def test_interclr_is_paid_against_the_memory_of_the_other_side_in_a_step_and_in_its_snapshot():
    ours, entry = at_epoch(trainer("memory"), 1), LOSSES["interclr"]
    paying, arrays = ours.payment(), ours.snapshot()
    (one, other), teacher = ours.inputs, ours.teacher

    def by_hand(z: Mapping[str, Tensor], keys: Mapping[str, Tensor], items: Tensor) -> Tensor:
        total = torch.zeros(())
        for m, n, at in ((one, other, 1), (other, one, 0)):
            handed = {"a": z[m], "teacher": keys[n], "bank": teacher.bank[at], "memory": teacher.memory[at]}
            handed |= {"clusters": teacher.clusters[ours.rows[items]], "memory_clusters": teacher.clusters}
            total = total + entry.pay(handed, ours.recipe.loss, stream(0, "loss", m, n, ours.step)).total() / 2
        return total

    items = ours._items(ours.clock(ours.step))
    torch.testing.assert_close(paying.paid.total(), by_hand(paying.batch.z, paying.batch.teacher, items))
    z, keys = ({name: torch.from_numpy(arrays[f"{part}.{name}"]) for name in (one, other)} for part in ("z", "teacher"))
    again = moment(ours.recipe, ours.data, ours.step, arrays)
    torch.testing.assert_close(again.clean.total(), by_hand(z, keys, ours.probe()))


@LOOKING
def test_a_step_runs_on_the_meta_device(kind):
    before, on_meta = trainer(kind), trainer(kind, "meta")
    before.advance()
    on_meta.step, on_meta.kept = before.step, before.kept
    columns = on_meta.record(on_meta.payment())
    columns["loss"].backward()
    assert columns["loss"].is_meta


def test_a_branch_to_another_method_looks_at_once_and_its_teacher_starts_as_the_networks_are():
    parent = prepare(small(loss__kind="clip"))
    for link in (LINKS["clustered"] | {"loss__kind": "clip"}, {"method__kind": "queue", "method__size": "40"}):
        recipe = small(**link, parent=parent.id, from_step="10")
        child = Trainer(recipe, load(recipe.data), torch.device("cpu"))
        _take_over(child, state_at(parent, 10, child.device))
        child.payment()
        assert set(child.kept) == ({"cells"} if recipe.method.kind == "clustered" else set())
        if child.teacher:
            both = zip(child.teacher.networks.parameters(), child.model.parameters(), strict=True)
            assert all(torch.equal(mine, theirs) for mine, theirs in both)
        assert child.advance()["loss"].isfinite()


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("clustered", {"method__clusters": "200"}, "need not hold a batch of 16; choose at most"),
        ("hard", {"method__k": "999"}, "neighbours is 999 and each of"),
        ("pseudo_labels", {"method__clusters": "17"}, "choose at most 16 clusters"),
        ("cut_classes", {"loss__kind": "interclr"}, "needs teacher, bank, memory, .*; choose method memory"),
        ("memory", {"method__clusters": "37"}, "choose at most 36 clusters"),
        ("memory", {"method__size": "100"}, "the bank has room for 100"),
        ("memory", {"mixing__kind": "dmm"}, "meets a bank and mixing is dmm"),
        (
            "pseudo_labels",
            {"loss__kind": "sbcl"},
            "needs clusters, and method pseudo_labels keeps none; choose method cut",
        ),
        ("pseudo_labels", {"loss__kind": "moco"}, "choose method queue"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(kind, changes, said):
    recipe = small(**LINKS[kind] | changes)
    with pytest.raises(Unfit, match=said):
        check_fit(recipe, load(recipe.data))


@pytest.mark.parametrize("kind", ["hard", "pseudo_labels", "clustered"])
def test_what_is_said_to_be_the_most_is_no_more_refused(kind):
    name = {"hard": "method__k"}.get(kind, "method__clusters")
    recipe = small(**LINKS[kind] | {name: "999"})
    with pytest.raises(Unfit) as refused:
        check_fit(recipe, load(recipe.data))
    (most,) = re.findall(r"at most (\d+)", str(refused.value))
    recipe = small(**LINKS[kind] | {name: most})
    check_fit(recipe, load(recipe.data))
    recipe = small(**LINKS[kind] | {name: str(int(most) + 1)})
    with pytest.raises(Unfit):
        check_fit(recipe, load(recipe.data))


def without_classes() -> DataSet:
    whole = load(small().data)
    return replace(whole, classes=(), labels=torch.full_like(whole.labels, -1))


def test_on_data_without_classes_labels_are_made_and_classes_are_not_cut():
    bare = without_classes()
    with pytest.raises(Unfit, match="needs labels, and method shuffle keeps none; choose method pseudo_labels"):
        check_fit(small(loss__kind="supcon"), bare)
    recipe = small(**LINKS["pseudo_labels"])
    ours = Trainer(recipe, bare, torch.device("cpu"))
    assert ours.advance()["loss"].isfinite()
    assert "supcon" in offered(recipe, bare)
    assert not {"supcon", "sbcl"} & set(offered(small(), bare))
    with pytest.raises(Unfit, match="there are no classes to be cut into parts; choose method pseudo_labels"):
        check_fit(small(**LINKS["cut_classes"] | {"loss__kind": "clip"}), bare)
    with pytest.raises(Unfit, match="needs labels, clusters, and the data set"):
        check_fit(small(loss__kind="sbcl"), bare)


def test_labels_that_a_loss_does_not_take_are_said_to_change_nothing():
    recipe = small(**LINKS["pseudo_labels"] | {"loss__kind": "clip"})
    (said,) = remarks(recipe, load(recipe.data))
    assert "takes no labels, so method pseudo_labels changes nothing" in said
    plain, looking = trainer("pseudo_labels", loss__kind="clip"), small(loss__kind="clip")
    other = Trainer(looking, load(looking.data), torch.device("cpu"))
    assert all(float(plain.advance()["loss"]) == float(other.advance()["loss"]) for _ in range(9))
    for kind in LINKS:
        fit = small(**LINKS[kind])
        assert remarks(fit, load(fit.data)) == []
