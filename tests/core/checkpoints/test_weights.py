"""The numbers of a checkpoint against their definitions, and its verdicts against weights whose story is known."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from core.checkpoints import comparison, contents, fence, spectra, weights
from core.checkpoints.families import recognise
from core.checkpoints.opened import Checkpoint, Listed, open_checkpoint
from core.checkpoints.report import Report, report
from core.checkpoints.summary import Summary
from core.refusal import Refusal
from tests.core.checkpoints.honest import HONEST, adam, filled, moco, open_clip, resnet


class InMemory(Checkpoint):
    """A checkpoint whose tensors are here already."""

    def __init__(self, values: Mapping[str, Tensor], notes: Mapping[str, str] | None = None) -> None:
        summary = Summary(kind="safetensors", size=0, notes=dict(notes or {}))
        super().__init__("0" * 64, summary, {name: self.listing(name, value) for name, value in values.items()})
        self.values = dict(values)

    @staticmethod
    def listing(name: str, value: Tensor) -> Listed:
        dtype = str(value.dtype).removeprefix("torch.")
        return Listed(name, tuple(value.shape), dtype, value.numel(), value.numel() * value.element_size(), None)

    def tensor(self, name: str) -> Tensor:
        return self.values[name]


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def stats(value: Tensor) -> weights.TensorStats:
    return weights.statistics(InMemory.listing("x", value), value)


def of_state(module: nn.Module) -> Report:
    return report(InMemory({name: value.detach() for name, value in module.state_dict().items()}))


def words(found: Report) -> dict[str, str]:
    return {verdict.word: verdict.sentence for verdict in found.verdicts}


# Statistics


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16, torch.int32, torch.bool]
)
@pytest.mark.parametrize("chunk", [7, 1 << 20])
def test_statistics_are_their_definitions_however_the_tensor_is_cut(dtype, chunk, monkeypatch):
    monkeypatch.setattr(weights, "CHUNK", chunk)
    value = (5 + 3 * draw(10, 5)).clamp(min=4).to(dtype)
    value[0, :3] = 0
    seen, x = stats(value), value.double()
    assert seen.norm == pytest.approx(float(x.norm()), rel=1e-12)
    assert seen.mean == pytest.approx(float(x.mean()), rel=1e-12)
    assert seen.std == pytest.approx(float(x.std(correction=0)), rel=1e-12)
    assert (seen.low, seen.high) == (float(x.min()), float(x.max()))
    assert seen.zeros == pytest.approx(3 / 50)
    assert seen.broken == 0


def test_a_small_spread_around_a_large_mean_is_not_lost():
    assert stats(1e6 + draw(5000).double()).std == pytest.approx(float(draw(5000).double().std(correction=0)), rel=1e-6)


def test_what_is_not_finite_is_counted_and_left_out_of_the_rest():
    value = torch.tensor([[3.0, math.nan, 4.0, math.inf], [0.0, 0.0, 0.0, -math.inf]])
    seen = stats(value)
    assert (seen.norm, seen.low, seen.high) == (5.0, 0.0, 4.0)
    assert seen.broken == 3 / 8
    assert seen.zeros == 3 / 8


@pytest.mark.parametrize(
    ("value", "norm"),
    [
        (torch.zeros(0, 3), 0.0),
        (torch.full((2,), math.nan), None),
        (torch.tensor(-2.0), 2.0),
        (torch.full((4,), 1e300, dtype=torch.float64), None),
        (torch.full((4,), 1.7e308, dtype=torch.float64), None),
        (torch.tensor([3 + 4j]), 5.0),
    ],
)
def test_the_ends_of_the_scale(value, norm):
    seen = stats(value)
    assert seen.norm == norm
    json.dumps(seen.model_dump(), allow_nan=False)


def test_reading_statistics_leaves_the_tensor_as_it_was():
    value = draw(20).double()
    before = value.clone()
    stats(value)
    assert torch.equal(value, before)


def test_the_tree_adds_up_on_every_branch():
    values = {"a.b.w": draw(3, 4), "a.b.b": draw(4), "a.c": draw(5), "d": torch.full((2,), math.nan)}
    root = weights.tree(weights.measure(InMemory(values)))
    assert (root.tensors, root.numel, root.size, root.broken) == (4, 23, 92, 1)
    assert root.norm is None
    a = root.inside["a"]
    assert (a.tensors, a.numel, a.tensor) == (3, 21, None)
    together = torch.cat([values[name].flatten() for name in ("a.b.w", "a.b.b", "a.c")]).double()
    assert a.norm == pytest.approx(float(together.norm()))
    assert a.inside["b"].inside["w"].tensor.shape == (3, 4)


def test_broken_and_dead_weights_are_named():
    values = {"a.weight": draw(4, 4), "b.weight": torch.zeros(4, 4), "c.weight": draw(4, 4)}
    values["c.weight"][0, 0] = math.nan
    found = words(report(InMemory(values)))
    assert "1 tensor of 3 hold NaN or infinity, up to 6.25% of one: 'c.weight'." in found["broken"]
    assert "1 of 3 matrices hold nothing but 0: 'b.weight'." in found["all 0"]


def test_a_pruned_network_says_so():
    value = draw(20, 20)
    assert "pruned" in words(report(InMemory({"w.weight": value * (value > 0.5)})))
    assert "pruned" not in words(report(InMemory({"w.weight": value})))


# Spectra


@pytest.mark.parametrize("shape", [(40, 70), (70, 40), (1, 9), (6, 3, 3, 3), (40, 5000)])
def test_singular_values_are_those_of_a_full_decomposition(shape):
    value = draw(*shape)
    found = spectra.of_tensor("w", value)
    exact = torch.linalg.svdvals(value.reshape(shape[0], -1).double())
    np.testing.assert_allclose(found.values, exact, rtol=1e-9, atol=1e-9)
    shares = exact / exact.sum()
    assert found.effective_rank == pytest.approx(float((-shares * shares.log()).sum().exp()))
    assert found.stable_rank == pytest.approx(float((exact**2).sum() / exact[0] ** 2))
    assert (found.rows, found.columns) == (shape[0], math.prod(shape[1:]))


@pytest.mark.parametrize("rank", [1, 3])
def test_the_rank_of_a_product_is_seen(rank):
    found = spectra.of_tensor("w", draw(50, rank) @ draw(rank, 60, seed=1))
    assert found.stable_rank <= rank + 1e-6
    assert found.effective_rank <= rank + 1e-3
    assert found.look == "structured"


RANDOM: Mapping[str, Callable[[int, int, torch.Generator], Tensor]] = {
    "normal": lambda p, q, g: torch.randn(p, q, generator=g),
    "uniform": lambda p, q, g: torch.rand(p, q, generator=g) - 0.5,
    "signs": lambda p, q, g: torch.randint(0, 2, (p, q), generator=g) * 2.0 - 1,
    "cut": lambda p, q, g: nn.init.trunc_normal_(torch.empty(p, q), std=0.02, a=-0.04, b=0.04, generator=g),
}


@pytest.mark.parametrize("law", RANDOM)
@pytest.mark.parametrize(("rows", "columns"), [(32, 32), (64, 48), (33, 900), (160, 160)])
def test_independent_numbers_look_random_whatever_their_law(law, rows, columns):
    g = torch.Generator().manual_seed(1)
    looks = [spectra.of_tensor("w", 0.03 * RANDOM[law](rows, columns, g)).look for _ in range(6)]
    assert looks == ["random"] * 6


@pytest.mark.parametrize(("rows", "columns"), [(32, 32), (64, 48), (33, 900), (160, 160)])
def test_one_direction_that_stands_out_is_seen(rows, columns):
    noise = draw(rows, columns)
    spike = 2 * (math.sqrt(rows) + math.sqrt(columns))
    planted = noise + spike * torch.outer(
        F.normalize(draw(rows, seed=2), dim=0), F.normalize(draw(columns, seed=3), dim=0)
    )
    found = spectra.of_tensor("w", planted)
    assert found.look == "structured"
    assert found.beyond == 1
    assert found.values[0] == pytest.approx(spike, rel=0.3)
    assert found.over > 1.3


def test_a_bulk_of_another_shape_is_no_random_matrix():
    q1, _ = torch.linalg.qr(draw(64, 64))
    q2, _ = torch.linalg.qr(draw(64, 64, seed=1))
    flat = q1 @ torch.diag(torch.linspace(0.5, 1, 64)) @ q2
    found = spectra.of_tensor("w", flat)
    assert (found.look, found.beyond) == ("structured", 0)
    assert "The bulk is" in found.sentence


def test_the_edge_and_the_law_are_those_of_marchenko_and_pastur():
    """For a square matrix the squares s follow the density sqrt(4 s - s^2) / (2 pi s), whose median is known."""
    values = torch.tensor([2.0, 1.0, 1e-9], dtype=torch.float64) * math.sqrt(3)

    def law(x: float) -> float:
        return (math.sqrt(x * (4 - x)) / 2 + 2 * math.asin(math.sqrt(x) / 2) - 0) / math.pi

    steps = [(0.0, 0, 1), (law(1.0), 1, 2), (1.0, 2, 3)]
    expected = max(abs(at - k / 3) for at, low, high in steps for k in (low, high))
    assert spectra.distance_to_law(values, 3, 3, 1.0) == pytest.approx(expected, abs=1e-3)
    assert spectra.of_tensor("w", draw(40, 90)).edge == pytest.approx(math.sqrt(40) + math.sqrt(90), rel=0.05)


@pytest.mark.parametrize(
    ("value", "look"),
    [
        (torch.linalg.qr(draw(40, 40))[0], "orthogonal"),
        (torch.eye(33), "orthogonal"),
        (draw(31, 400), "too small"),
        (torch.zeros(40, 40), "too small"),
        (torch.ones(40, 40), "structured"),
    ],
)
def test_special_matrices(value, look):
    found = spectra.of_tensor("w", value)
    assert found.look == look
    assert found.sentence.endswith(".")


def test_a_spectrum_on_demand_and_its_refusals(monkeypatch):
    values = {"w": draw(4, 3, 2), "b": draw(4), "n": torch.tensor([[math.nan, 1.0]]), "i": torch.ones(2, 2).int()}
    checkpoint = InMemory(values | {"big": draw(9, 9)})
    assert len(spectra.spectrum(checkpoint, "w").values) == 4
    for name, words in (("b", "no matrix"), ("i", "no matrix"), ("n", "NaN, infinity")):
        with pytest.raises(Refusal, match=words):
            spectra.spectrum(checkpoint, name)
    monkeypatch.setattr(spectra, "LARGEST_SIDE", 8)
    with pytest.raises(Refusal, match="9 x 9 numbers, too many"):
        spectra.spectrum(checkpoint, "big")


def test_many_matrices_are_sampled_evenly_and_it_is_said():
    checkpoint = InMemory({f"layers.{k:02}.weight": draw(40, 40, seed=k) for k in range(12)})
    found = recognise(checkpoint)
    tensors = weights.measure(checkpoint)
    whole = spectra.sample(checkpoint, found, tensors)
    assert (len(whole.spectra), whole.matrices, whole.left_out) == (12, 12, "")
    some = spectra.sample(checkpoint, found, tensors, budget=4 * spectra.work((40, 40)))
    assert [each.name for each in some.spectra] == [f"layers.{k:02}.weight" for k in (1, 4, 7, 10)]
    assert some.left_out == "Spectra of 4 of 12 matrices, evenly chosen; the others take too long."


# Trained or not


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm, self.outer = nn.Linear(48, 64), nn.LayerNorm(64), nn.Linear(64, 40)

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.norm(self.inner(x)).relu())


@pytest.fixture(scope="module")
def trained() -> tuple[Net, Net]:
    """A network before and after it has learned which of 40 directions an input points to."""
    torch.manual_seed(0)
    net, start = Net(), Net()
    start.load_state_dict(net.state_dict())
    centres, optimiser = draw(40, 48), torch.optim.Adam(net.parameters(), lr=3e-3)
    for step in range(150):
        labels = torch.arange(200) % 40
        loss = F.cross_entropy(net(centres[labels] + 0.3 * draw(200, 48, seed=step)), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.5
    return start, net


def test_a_fresh_network_is_untrained_and_the_evidence_is_stated(trained):
    found = words(of_state(trained[0]))
    assert "In all 2 matrices that are large enough" in found["untrained"]
    assert "2 are spread as PyTorch's default" in found["untrained"]
    assert "1 of 1 scales of normalisation are still exactly 1" in found["untrained"]
    assert "trained" not in found


def test_a_trained_network_is_trained_and_its_largest_direction_named(trained):
    found = words(of_state(trained[1]))
    assert "None of 2 matrices looks as it was initialised; in 'outer.weight'" in found["trained"]
    assert "0 of 1 scales" in found["trained"]


def test_a_new_head_on_a_trained_network_is_named(trained):
    mixed = Net()
    mixed.load_state_dict(trained[1].state_dict() | {"outer.weight": trained[0].outer.weight})
    mixed.inner.weight.data += 0.5
    said = words(of_state(mixed))["partly fresh"]
    assert "1 of 2 matrices look as they were initialised (PyTorch's default): 'outer.weight'." in said


@pytest.mark.parametrize("what", ["scales that moved", "numbers that outgrew their start"])
def test_random_matrices_that_something_speaks_against_are_not_called_untrained(what, trained):
    mixed = Net()
    mixed.load_state_dict(trained[0].state_dict())
    if what == "scales that moved":
        mixed.norm.weight = trained[1].norm.weight
        assert "0 of 1 scales" in words(of_state(mixed))["looks random"]
    else:
        del mixed.norm
        mixed.inner.weight.data *= 1.2
        said = words(of_state(mixed))["looks random"]
        assert "1 are spread as PyTorch's default" in said


def test_a_network_in_which_little_stands_out_was_lightly_trained():
    odd = {f"layers.{k}.weight": 0.123 * draw(40, 50, seed=k) for k in range(3)}
    planted = draw(40, 50, seed=3) + 20 * torch.outer(*(F.normalize(draw(n, seed=4), dim=0) for n in (40, 50)))
    said = words(report(InMemory(odd | {"layers.3.weight": planted})))["lightly trained"]
    assert "In 1 of 4 matrices something stands out, in 'layers.3.weight'" in said


STARTS: Mapping[str, Callable[[Tensor], object]] = {
    "PyTorch's default": lambda w: nn.init.kaiming_uniform_(w, a=math.sqrt(5)),
    "Xavier uniform": nn.init.xavier_uniform_,
    "Kaiming uniform": lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"),
    "Xavier normal": nn.init.xavier_normal_,
    "Kaiming normal by inputs": lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"),
    "Kaiming normal by outputs": lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
    "LeCun normal": lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear"),
    "normal of 0.02": lambda w: nn.init.trunc_normal_(w, std=0.02),
    "normal of 0.01": lambda w: nn.init.normal_(w, std=0.01),
    "normal of 1": nn.init.normal_,
}


@pytest.mark.parametrize("title", STARTS)
@pytest.mark.parametrize("shape", [(50, 90), (60, 11, 3, 3)])
def test_an_initialisation_is_known_by_its_spread(title, shape):
    torch.manual_seed(3)
    weight = torch.empty(shape)
    STARTS[title](weight)
    assert spectra.of_tensor("w", weight).start == title
    assert spectra.of_tensor("w", 1.15 * weight).start != title


@pytest.mark.parametrize("std", [0.02, 0.01, 1.0])
def test_the_right_spread_of_the_wrong_law_is_no_start(std):
    heavy = draw(50, 90) * (1 + draw(50, 90, seed=1).square()).sqrt()
    assert spectra.of_tensor("w", std * heavy / heavy.square().mean().sqrt()).start == ""
    assert spectra.of_tensor("w", std * draw(50, 90) / draw(50, 90).square().mean().sqrt()).start


def test_every_start_is_tried():
    assert [start.title for start in spectra.STARTS] == list(STARTS)


def test_orthogonal_starts_are_untrained_too():
    layer = nn.Linear(40, 40)
    nn.init.orthogonal_(layer.weight)
    assert "1 are spread as orthogonal" in words(of_state(layer))["untrained"]


def test_small_networks_and_computed_positions_tell_nothing():
    assert "none of 1 matrices" in words(of_state(nn.Linear(400, 31)))["cannot tell"]
    table = torch.outer(torch.arange(64.0), torch.arange(1, 49)).sin()
    assert "none of 0 matrices" in words(report(InMemory({"encoder.pos_embedding": table})))["cannot tell"]


def test_a_matrix_of_few_directions_is_narrow():
    value = draw(64, 2) @ draw(2, 64, seed=1) + 1e-3 * draw(64, 64)
    assert "'proj.weight' 2." in words(report(InMemory({"proj.weight": value})))["narrow"]


# Temperatures


@pytest.mark.parametrize(
    ("name", "stored", "temperature"),
    [
        ("logit_scale", math.log(1 / 0.07), 0.07),
        ("module.logit_scale", math.log(100), 0.01),
        ("logit_scale", 14.3, 1 / 14.3),
        ("log_temperature", math.log(0.2), 0.2),
        ("temperature", 0.5, 0.5),
        ("loss.tau", 0.1, 0.1),
        ("logit_bias", -10.0, None),
        ("logit_scale", math.nan, None),
    ],
)
def test_the_rule_under_a_name_gives_the_temperature(name, stored, temperature):
    checkpoint = InMemory({name: torch.tensor(stored), "visual.proj": draw(3, 3), "transformer.w": draw(2)})
    (found,) = contents.temperatures(checkpoint, recognise(checkpoint))
    assert found.temperature == (None if temperature is None else pytest.approx(temperature, rel=1e-6))
    assert found.rule in next(contents.of_temperatures([found])).sentence


def test_a_scale_at_the_ceiling_of_clip_and_a_temperature_below_zero_are_pointed_out():
    def word(**values: float) -> tuple[str, str]:
        found = report(InMemory({name: torch.tensor(value) for name, value in values.items()}))
        return next((v.state, v.sentence) for v in found.verdicts if "τ" in v.sentence)

    assert "at the ceiling of 100" in word(logit_scale=math.log(100))[1]
    assert word(logit_scale=math.log(50))[0] == "info"
    assert word(temperature=-0.1)[0] == "bad"


def test_a_scale_for_each_head_is_no_temperature_and_settings_are_read():
    checkpoint = InMemory(
        {"blocks.0.attn.logit_scale": draw(3, 1, 1)}, {"hyper_parameters.temperature": "0.2", "lr": "1"}
    )
    (found,) = contents.temperatures(checkpoint, recognise(checkpoint))
    assert (found.name, found.temperature) == ("hyper_parameters.temperature", 0.2)


@pytest.mark.parametrize("name", ["checkpoint.pt", "epoch_1.pt"])
def test_the_temperature_of_a_saved_run_is_the_one_that_it_trained_with(name, tmp_path):
    save, _, _ = HONEST[name]
    checkpoint = open_checkpoint(fence.add([save(tmp_path / name)]))
    (found,) = contents.temperatures(checkpoint, recognise(checkpoint))
    sign = 1 if name == "checkpoint.pt" else -1
    assert found.temperature == pytest.approx(math.exp(sign * found.stored))


# Queues


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("entries", "dim"), [(300, 16), (16, 48)])
def test_a_queue_is_read_whichever_way_round_it_lies(turned, entries, dim):
    table = F.normalize(draw(entries, dim), dim=1)
    found = contents.of_queue("queue", table.T if turned else table)
    assert (found.entries, found.dim, found.axis) == (entries, dim, 0 if turned else 1)
    assert found.unit == 1
    assert (found.empty, found.repeated) == (0, 0)


def verdict(table: Tensor) -> str:
    return next(contents.of_queues([contents.of_queue("queue", table)])).word


def test_the_contents_of_a_queue_are_judged_beside_random_directions():
    random = F.normalize(draw(500, 32), dim=1)
    narrow = F.normalize(draw(500, 32) + 4 * draw(1, 32, seed=9), dim=1)
    clusters = F.normalize(draw(10, 32).repeat(50, 1) + 0.7 * draw(500, 32, seed=1), dim=1)
    assert verdict(random) == "as random"
    assert verdict(narrow) == "clumped queue"
    assert verdict(clusters) == "filled queue"
    assert verdict(torch.cat([clusters[:300], torch.zeros(200, 32)])) == "partly filled"
    assert verdict(clusters[:250].repeat(2, 1)) == "partly filled"
    assert verdict(torch.zeros(40, 8)) == "empty queue"


def test_both_queues_of_one_tensor_are_looked_at():
    values = filled({"queue": (2, 8, 64), "backbone.w": (3, 3), "projector.w": (3, 3)})
    found = report(InMemory(values))
    assert [(each.name, each.entries, each.dim) for each in found.queues] == [("queue[0]", 64, 8), ("queue[1]", 64, 8)]


# Optimisers


def test_the_state_of_an_optimiser_is_described(tmp_path):
    values = filled(open_clip())
    torch.save({"state_dict": values, "optimizer": adam(values, steps=40)}, tmp_path / "last.pt")
    found = report(open_checkpoint(fence.add([tmp_path / "last.pt"])))
    (state,) = found.optimisers
    assert state.kind.startswith("Adam")
    assert (state.name, state.weights, state.steps, state.never) == ("optimizer", 3, 40, 1)
    assert state.moments == {"exp_avg": 3, "exp_avg_sq": 3}
    assert state.settings["lr"] == "0.001"
    assert "1 of them never had a gradient other than 0" in words(found)["silent weights"]
    assert "all 0" not in words(found)


def test_steps_that_are_no_tensors_are_found_too():
    values = {"optimizer_states.0.state.0.momentum_buffer": draw(3), "state_dict.w": draw(3)}
    notes = {"optimizer_states.0.state.0.step": "12", "optimizer_states.0.param_groups.0.lr": "0.1"}
    (state,) = report(InMemory(values, notes)).optimisers
    assert (state.kind, state.steps, state.settings) == ("SGD with momentum", 12, {"lr": "0.1"})


# Two files


def compared(one: Mapping[str, Tensor], two: Mapping[str, Tensor]) -> tuple[comparison.Comparison, dict[str, str]]:
    first, second = InMemory(one), InMemory(two)
    found = comparison.compare(first, second, recognise(first), recognise(second))
    return found, {each.word: each.sentence for each in comparison.findings(found)}


def test_what_moved_is_measured_tensor_by_tensor():
    a, b = draw(30, 40), draw(30, 40, seed=1)
    found, said = compared({"w": a, "v": a}, {"w": a + 0.1 * b, "v": 2 * a})
    moved = {each.name: each for each in found.moved}
    assert moved["w"].change == pytest.approx(float(0.1 * b.norm() / a.norm()), rel=1e-6)
    assert moved["w"].cosine == pytest.approx(float(F.cosine_similarity(a.flatten(), (a + 0.1 * b).flatten(), dim=0)))
    assert moved["v"].change == pytest.approx(1)
    assert moved["v"].growth == pytest.approx(1)
    assert moved["v"].cosine == pytest.approx(1)
    assert "'v' by 100%" in said["moved"]


def test_missing_unexpected_and_reshaped_tensors_are_told_apart():
    found, said = compared(
        {"a": draw(3), "b": draw(3), "c": draw(2, 3)},
        {"module.b": draw(3), "module.c": draw(3, 2), "module.d": draw(1)},
    )
    assert [each.name for each in found.moved] == ["b"]
    assert (found.missing, found.unexpected) == (("a",), ("module.d",))
    assert found.reshaped == {"c": ((2, 3), (3, 2))}
    assert "1 tensor missing from the other file: 'a'." in said["partly matched"]
    assert "1 tensor of another shape: 'c'." in said["partly matched"]


def test_a_file_beside_itself_is_the_same_and_beside_another_start_unrelated():
    values, other = filled(resnet()), {name: draw(*value.shape, seed=5) for name, value in filled(resnet()).items()}
    _, same = compared(values, values)
    assert same.keys() == {"matched", "the same"}
    _, strange = compared(values, other)
    assert "no more alike than independent weights" in strange["unrelated"]
    _, near = compared(
        values, {name: value * 1.001 if value.is_floating_point() else value for name, value in values.items()}
    )
    assert "nearly the same" in near


def test_nothing_in_common_is_said():
    _, said = compared({"a": draw(2)}, {"b": draw(2)})
    assert said.keys() == {"nothing in common"}


def test_the_encoder_inside_a_method_is_matched_with_the_bare_network():
    method = filled(moco())
    bare = {name: method[f"module.encoder_q.{name}"] for name in resnet(head=False)}
    found, said = compared(method, bare)
    assert len(found.moved) == len(bare)
    assert all(each.same for each in found.moved)
    assert "behind 'encoder_q.' in one of the files" in said["partly matched"]


def test_numbers_that_are_not_finite_are_not_compared():
    found, _ = compared({"a": torch.tensor([1.0, math.nan])}, {"a": torch.tensor([1.0, 2.0])})
    assert (found.moved[0].change, found.moved[0].cosine, found.moved[0].same) == (None, None, False)


# The whole report


@pytest.mark.parametrize(
    "name", ["checkpoint.pt", "moco_v2_200ep.pth.tar", "solo.ckpt", "model.safetensors.index.json"]
)
def test_the_report_of_an_honest_file_is_plain_data(name, tmp_path):
    save, family, _ = HONEST[name]
    checkpoint = open_checkpoint(fence.add([save(tmp_path / name)]))
    found = report(checkpoint, checkpoint)
    plain = json.loads(json.dumps(found.plain(), allow_nan=False))
    assert plain["recognition"]["family"] == family
    assert len(plain["tensors"]) == len(checkpoint)
    assert "values" not in plain["spectra"]["spectra"][0]
    assert all(each["sentence"].endswith(".") for each in plain["verdicts"])
    assert words(found)["the same"]


@pytest.mark.parametrize("size", [1.7e308, 1e300, 1e152, 1e110, 3e38, 1e-40, 1e-110, 1e-152, 1e-300, 5e-324])
def test_numbers_of_any_size_are_reported_and_compared(size):
    table = size * F.normalize(draw(40, 36).double(), dim=1)
    values = {"w.weight": table, "queue": table, "logit_scale": torch.tensor(size), "s.state.0.exp_avg_sq": table}
    values |= {"float.weight": table.float(), "norm.weight": table[0]}
    plain = {name: torch.zeros_like(value) + 1 for name, value in values.items()}
    for pair in ((values, plain), (plain, values)):
        found = report(*map(InMemory, pair))
        json.dumps(found.plain(), allow_nan=False)
        json.dumps(weights.tree(found.tensors).norm, allow_nan=False)


def test_no_verdict_speaks_of_one_who_is_not_there():
    found = report(InMemory({"encoder.weight": 0.02 * draw(40, 40)}))
    assert (found.queues, found.optimisers, found.temperatures, found.against) == ((), (), (), None)
    assert [verdict.word for verdict in found.verdicts] == ["finite", "untrained"]
    assert replace(found).plain() == found.plain()
