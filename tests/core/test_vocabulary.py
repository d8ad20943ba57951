"""The vocabulary of named inputs: every name of the design, with an example of its declared shape."""

import pytest
import torch

from core.streams import stream
from core.vocabulary import SMALL, VOCABULARY, Sizes, Slot

DESIGN = {
    "a", "b", "views", "modalities", "heads", "negatives", "labels", "targets", "bank", "bank_labels", "teacher",
    "sequence", "mask", "maps", "bags", "bag_mask", "graph", "node_weight", "gate", "candidate_scores",
    "teacher_scores", "log_prob_policy", "log_prob_reference", "margin", "temperature", "exclude",
}  # fmt: skip
EMBEDDINGS = (
    "a", "b", "views", "modalities", "joint", "context", "other_context", "heads", "negatives", "bank", "teacher",
    "sequence", "bags", "other_bags", "tags", "proxies",
    "predicted", "other_predicted", "other_fixed",
    "augmented", "other_augmented", "other_heads", "fixed", "fixed_views", "memory", "projections", "teacher_views",
    "other_teacher", "other_bank", "parts", "other_parts", "other_sequence",
)  # fmt: skip
SHARES = ("margin", "gate", "node_weight")
MASKS = ("mask", "bag_mask", "tag_mask", "neighbours", "part_mask", "rehearsed", "hardest", "exclude")
EVERY = pytest.mark.parametrize("name", VOCABULARY)
SEEDS = range(20)


def made(name: str, seed: int = 0, **sizes: int) -> torch.Tensor:
    return VOCABULARY[name].make(stream(seed, name), {**SMALL, **sizes})


def shape_of(name: str, sizes: Sizes) -> tuple[int, ...]:
    return tuple(int(symbol) if symbol.isdigit() else sizes[symbol] for symbol in VOCABULARY[name].shape.split())


def test_holds_the_names_of_the_design():
    assert set(VOCABULARY) >= DESIGN


@EVERY
def test_an_example_has_the_declared_shape_and_a_meaning(name: str):
    slot = VOCABULARY[name]
    assert made(name).shape == shape_of(name, SMALL)
    assert slot.meaning


@EVERY
def test_an_example_is_exact_or_whole_or_a_mask(name: str):
    assert made(name).dtype in (torch.float64, torch.int64, torch.bool)
    assert (made(name).dtype == torch.bool) == (name in MASKS)


@EVERY
def test_an_example_depends_on_its_generator_alone(name: str):
    state = torch.get_rng_state()
    assert torch.equal(made(name), made(name))
    assert any(not torch.equal(made(name), made(name, seed)) for seed in SEEDS)
    assert torch.equal(state, torch.get_rng_state())


@EVERY
def test_sizes_may_be_chosen(name: str):
    sizes = {symbol: size + 1 for symbol, size in SMALL.items()}
    assert made(name, **sizes).shape == shape_of(name, sizes)


@pytest.mark.parametrize("name", EMBEDDINGS)
def test_embeddings_are_unit_vectors_but_for_members_and_predictions_which_have_any_length(name: str):
    assert VOCABULARY[name].meaning.startswith("embedding")
    norms = made(name).norm(dim=-1)
    if VOCABULARY[name].meaning.endswith("of any length"):
        assert name in ("bags", "other_bags", "tags", "predicted", "other_predicted")
        assert norms.min() < 0.9 * norms.max()
        return
    torch.testing.assert_close(norms, torch.ones_like(norms))


def test_no_other_input_is_called_an_embedding():
    assert {name for name, slot in VOCABULARY.items() if slot.meaning.startswith("embedding")} == set(EMBEDDINGS)


@pytest.mark.parametrize("name", SHARES)
def test_shares_lie_between_0_and_1(name: str):
    value = made(name)
    assert 0 <= value.min() < value.max() <= 1


@pytest.mark.parametrize("name", ["labels", "bank_labels"])
def test_every_class_has_two_members_where_the_size_allows_it(name: str):
    assert set(made(name).bincount().tolist()) == {2}


def test_the_temperature_is_a_positive_number():
    assert all(made("temperature", seed) >= 0.1 for seed in SEEDS)


def test_a_graph_is_symmetric_without_loops():
    graph = made("graph")
    assert torch.equal(graph, graph.T)
    assert graph.diagonal().eq(0).all()
    assert graph.unique().tolist() == [0, 1]


@pytest.mark.parametrize("name", ["mask", "bag_mask", "tag_mask"])
def test_no_row_of_a_mask_is_empty(name: str):
    for seed in SEEDS:
        mask = made(name, seed)
        assert mask.any(dim=1).all()
    assert not mask.all()


def test_each_anchor_loses_one_candidate_that_is_not_its_own():
    for seed in SEEDS:
        exclude = made("exclude", seed)
        assert exclude.sum(1).tolist() == [1] * SMALL["A"]
        assert not exclude.diagonal().any()


def test_a_size_in_a_shape_may_be_a_number():
    slot = Slot("B 3", "three each", lambda shape, g: torch.rand(shape, generator=g))
    assert slot.make(stream(0)).shape == (SMALL["B"], 3)
