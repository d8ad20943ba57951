"""Embed with a checkpoint: its own networks give its own numbers, a stranger's fit in one way or are refused."""

import dataclasses
import io
from collections.abc import Mapping

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from core.addresses import knobs, read, spell
from core.checkpoints import fence
from core.checkpoints.embedding import as_file, embed, fit
from core.checkpoints.inferred import ASSUMED, RULES, encoders, fits, said_by
from core.checkpoints.opened import Checkpoint, open_checkpoint
from core.data import npz
from core.data.embeddings import file_embeddings
from core.data.loading import load
from core.diagnostics.embedding_health import of_items
from core.diagnostics.verdicts import THRESHOLDS, Hits, guessing_does_as_well, untrained
from core.encoders.registry import ENCODERS
from core.recipe import Recipe
from core.refusal import Refusal
from core.runs.networks import Networks, prepared
from core.runs.trainer import Trainer

SMALL = {"data.kind": "circle", "encoder.dim": "6", "encoder.vector.width": "16", "method.batch": "32"}
DIGITS = {"data.kind": "digits", "encoder.dim": "8", "encoder.vector.width": "16"}


def recipe_of(flat: Mapping[str, str]) -> Recipe:
    recipe, refused = read(flat, Recipe())
    assert refused == []
    return recipe


def networks(recipe: Recipe) -> Networks:
    data = load(recipe.data)
    return Networks(recipe, data, {m.name: prepared(recipe, m) for m in data.modalities})


def kept(tmp_path, content: object) -> Checkpoint:
    torch.save(content, tmp_path / "some.pt")
    return open_checkpoint(fence.add([tmp_path / "some.pt"]))


def trained(flat: Mapping[str, str], steps: int) -> Trainer:
    recipe = recipe_of(flat)
    trainer = Trainer(recipe, load(recipe.data), torch.device("cpu"))
    for _ in range(steps):
        trainer.advance()
    return trainer


def same(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def spelt(recipe: Recipe) -> dict[str, str]:
    return {knob.address: spell(knob.value) for knob in knobs(recipe)}


def test_the_state_of_a_run_embeds_to_the_same_bits_and_says_its_recipe(tmp_path):
    own = SMALL | {"seed": "5", "data.clusters": "4", "loss.learned": "on"}
    trainer = trained(own | {"method.kind": "queue", "method.size": "32"}, 3)
    checkpoint = kept(tmp_path, trainer.state() | {"recipe": spelt(trainer.recipe)})
    assert said_by(checkpoint) == trainer.recipe
    first = fits(checkpoint)[0]
    assert first.recipe == trainer.recipe
    found = embed(checkpoint, first.recipe)
    assert same(found.z, trainer.embed())
    start = Trainer(trainer.recipe, trainer.data, torch.device("cpu")).embed()
    assert same(found.random[0], start)
    assert not same(found.random[1], start)
    assert any("of the teacher" in text and "of the optimiser" in text for text in found.said)


STATES = {
    "circle": SMALL,
    "digits": DIGITS,
    "pictures": {
        "data.kind": "digits", "data.form": "image", "encoder.image.width": "8", "encoder.image.depth": "2",
    },
    "three views": {"data.kind": "mfeat", "data.modalities": "zer,mor,pix", "encoder.vector.depth": "1"},
    "bags": {"data.kind": "clips", "encoder.bag.depth": "1", "encoder.bag.width": "12"},
    "joint": SMALL | {"encoder.joint": "on"},
    "linear": {"data.kind": "circle", "encoder.vector.kind": "linear"},
    "free": {"data.kind": "circle", "encoder.vector.kind": "free"},
}  # fmt: skip


@pytest.mark.parametrize("name", STATES)
def test_the_recipe_of_bare_weights_is_told_from_names_and_shapes(name, tmp_path):
    recipe = recipe_of(STATES[name])
    made = networks(recipe)
    found = fits(kept(tmp_path, {"state_dict": made.state_dict()}))[0]
    assert found.recipe.data == recipe.data
    assert {key: tuple(value.shape) for key, value in networks(found.recipe).state_dict().items()} == {
        key: tuple(value.shape) for key, value in made.state_dict().items()
    }
    assert ASSUMED in found.said


def test_every_encoder_has_a_rule_that_gives_its_settings_back():
    assert RULES.keys() == set(ENCODERS.keys())


def test_text_and_pictures_of_emoji_are_told_and_the_side_of_a_picture_is_said_to_be_assumed():
    recipe = recipe_of({"data.kind": "emoji", "encoder.image.width": "4", "encoder.text.buckets": "64"})
    data, weights = load(recipe.data), {}
    made = {"noto": (3, 24, 24), "en": (64,)}
    for tower, shape in made.items():
        p = recipe.encoder.image if tower == "noto" else recipe.encoder.text
        network = ENCODERS.of(p).call(p, shape, 64)
        weights[tower] = tuple(tuple(value.shape) for value in network.state_dict().values() if value.ndim > 1)
    found, said = next(encoders(data, weights))
    assert found == recipe.encoder
    assert said == ("Pictures can have been shrunk to 17 to 24 pixels by its shapes; 24 is assumed.",)


class Stranger(nn.Module):
    """A perceptron as others would write it."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.fc2, self.fc3 = nn.Linear(64, 20), nn.Linear(20, 20), nn.Linear(20, 5)


def test_a_strangers_perceptron_is_matched_by_its_shapes_and_that_is_said(tmp_path):
    torch.manual_seed(0)
    stranger = Stranger()
    checkpoint = kept(tmp_path, {"state_dict": stranger.state_dict(), "epoch": 3})
    (found,) = fits(checkpoint)
    assert (found.recipe.data.kind, found.recipe.encoder.dim) == ("digits", 5)
    assert any("other names than ours" in text for text in found.said)
    assert any("GELU" in text for text in found.said)
    embedded = embed(checkpoint, found.recipe)
    pixels = embedded.data.modality("view_a").values
    with torch.no_grad():
        h = nn.functional.gelu(stranger.fc2(nn.functional.gelu(stranger.fc1(pixels))))
        expected = nn.functional.normalize(stranger.fc3(h), dim=1)
    torch.testing.assert_close(embedded.z["view_a"], expected, rtol=1e-5, atol=1e-5)


def test_layers_of_one_shape_that_no_number_tells_apart_are_refused(tmp_path):
    recipe = recipe_of(SMALL)
    given = {
        f"{side}.{name}": value
        for side, tower in (("audio", "left"), ("video", "right"))
        for name, value in networks(recipe).towers[tower].state_dict().items()
    }
    with pytest.raises(Refusal, match=r"have one shape, so which is which cannot be told"):
        fit(kept(tmp_path, given), recipe)


def broken(change) -> dict[str, Tensor]:
    state = dict(networks(recipe_of(SMALL)).state_dict())
    change(state)
    return state


def cut(state: dict[str, Tensor]) -> None:
    del state["towers.left.1.bias"]


def reshaped(state: dict[str, Tensor]) -> None:
    state["towers.left.1.weight"] = torch.zeros(16, 9)


def lost(state: dict[str, Tensor]) -> None:
    state["towers.right.4.weight"][0, 0] = float("nan")


def whole_numbers(state: dict[str, Tensor]) -> None:
    state["towers.right.4.weight"] = torch.ones(16, 16, dtype=torch.int64)


def silent(state: dict[str, Tensor]) -> None:
    state["towers.left.7.weight"].zero_()
    state["towers.left.7.bias"].zero_()


WRONG = {
    "a missing tensor": (cut, r"1 tensor does not fit .*'towers.left.1.bias' is not there, expected 16"),
    "another shape": (reshaped, r"'towers.left.1.weight' is 16 × 9, expected 16 × 8"),
    "NaN": (lost, r"'towers.right.4.weight' has NaN or infinity"),
    "whole numbers": (whole_numbers, r"'towers.right.4.weight' holds int64; expected floating point"),
    "no direction": (silent, r"120 items of 'left' have no embedding with a direction"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_one_sentence(name, tmp_path):
    change, words = WRONG[name]
    with pytest.raises(Refusal, match=words):
        embed(kept(tmp_path, broken(change)), recipe_of(SMALL))


def test_the_networks_of_other_data_are_refused_with_the_first_tensors(tmp_path):
    checkpoint = kept(tmp_path, networks(recipe_of(SMALL)).state_dict())
    with pytest.raises(
        Refusal,
        match=r"'towers.left.1.bias' is 16, expected no such; .*'towers.digit.1.weight' is not there, expected 16 × 64",
    ):
        fit(checkpoint, recipe_of(DIGITS))


def test_a_file_that_nothing_fits_says_what_is_needed(tmp_path):
    with pytest.raises(Refusal, match=r"first layer is 7 × 3; expected networks that the core can build"):
        fits(kept(tmp_path, {"odd.weight": torch.ones(7, 3)}))
    with pytest.raises(Refusal, match="holds no layers"):
        fits(kept(tmp_path, {"scale": torch.ones(3)}))


@pytest.mark.parametrize("told", [{"data.kind": "nonsense"}, {"data.kind": "circle", "encoder.dim": "9999"}])
def test_a_recipe_that_is_none_is_not_believed(told, tmp_path):
    checkpoint = kept(tmp_path, networks(recipe_of(SMALL)).state_dict() | {"recipe": told})
    assert said_by(checkpoint) is None
    assert fits(checkpoint)[0].recipe.data == recipe_of(SMALL).data


def test_a_recipe_that_its_own_weights_do_not_fit_is_refused(tmp_path):
    state = networks(recipe_of(SMALL)).state_dict() | {"recipe": spelt(recipe_of(SMALL | {"encoder.dim": "7"}))}
    with pytest.raises(Refusal, match="do not fit the networks for 'Points in clusters'"):
        fits(kept(tmp_path, state))


def test_weights_at_random_are_untrained_and_trained_ones_are_not(tmp_path):
    words = []
    for flat in (SMALL, SMALL, DIGITS):
        recipe = recipe_of(flat | {"seed": str(7 + len(words))})
        found = embed(kept(tmp_path, networks(recipe).state_dict()), recipe_of(flat))
        words.append(of_items(found.z, found.random, found.data).learned)
    assert [(each.word, each.state) for each in words] == [("untrained", "bad")] * 3
    trainer = trained(SMALL | {"optimiser.lr": "0.01"}, 60)
    found = embed(kept(tmp_path, trainer.state()), trainer.recipe)
    assert of_items(found.z, found.random, found.data).learned.word == "trained"


def test_the_edge_of_untrained_is_the_tail_of_luck():
    n, random = 100, 0.5
    tail = {hits: guessing_does_as_well(hits / n, n, random) for hits in range(n + 1)}
    first = next(hits for hits in tail if tail[hits] <= THRESHOLDS.near_chance_tail)
    one = Hits("R@1", first / n, random, 0.1, n)
    assert untrained([one]).word == "trained"
    assert untrained([dataclasses.replace(one, value=(first - 1) / n)]).word == "untrained"
    assert untrained([dataclasses.replace(one, random=0.1, chance=random, value=(first - 1) / n)]).word == "untrained"
    assert untrained([one, dataclasses.replace(one, value=0.0)]).word == "untrained"
    assert untrained([]).word == "cannot tell"


def test_a_file_of_the_users_is_read_by_a_network_of_its_shape(tmp_path):
    written = io.BytesIO()
    np.savez(written, pixels=np.random.default_rng(0).random((40, 64), dtype=np.float32))
    own = npz.Npz(digest=npz.add(written.getvalue()))
    checkpoint = kept(tmp_path, networks(recipe_of(DIGITS)).state_dict())
    found = fits(checkpoint, [own])
    assert [each.recipe.data.kind for each in found] == ["npz", "digits"]
    assert embed(checkpoint, found[0].recipe).z["pixels_a"].shape == (40, 8)


def test_embeddings_are_taken_out_as_a_file_that_reads_the_same(tmp_path):
    trainer = trained(SMALL, 1)
    found = embed(kept(tmp_path, trainer.state()), trainer.recipe)
    digest = npz.add(as_file(found))
    data, arrays = file_embeddings(npz.Npz(digest=digest))
    assert (data.names, data.classes) == (trainer.data.names, trainer.data.classes)
    assert torch.equal(data.labels, trainer.data.labels)
    for name, rows in found.z.items():
        np.testing.assert_allclose(arrays[name], rows.numpy(), atol=1e-6)
