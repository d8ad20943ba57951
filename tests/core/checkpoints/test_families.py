"""A checkpoint is told by its names and shapes, and what is missing or strange in it is said in words."""

from collections.abc import Mapping

import pytest
import torch

from core.checkpoints import fence
from core.checkpoints.families import NOT_SURE, ROLES, Recognition, common_role, of_names, recognise, unwrapped
from core.checkpoints.layouts import FAMILIES
from core.checkpoints.limits import INDEX, SUFFIXES
from core.checkpoints.opened import open_checkpoint
from tests.core.checkpoints.honest import (
    COOT,
    HONEST,
    bert,
    cml,
    coot_network,
    gmc,
    hf_clip,
    lightly,
    merged,
    moco,
    open_clip,
    resnet,
    siglip,
    solo,
    timm_vit,
    under,
)


@pytest.mark.parametrize("name", HONEST)
def test_an_honest_file_is_recognised_and_every_tensor_has_one_role(name, tmp_path):
    save, family, word = HONEST[name]
    checkpoint = open_checkpoint(fence.add([save(tmp_path / name)]))
    found = recognise(checkpoint)
    assert found.family == family
    assert word in found.layout
    assert found.evidence
    assert found.not_understood == ()
    assert "other" not in found.parts
    assert found.parts["backbone"]
    placed = [each for role in found.parts.values() for each in role]
    assert sorted(placed) == sorted({*checkpoint.names, *checkpoint.summary.tied})
    assert Recognition.model_validate_json(found.model_dump_json()) == found


def test_the_honest_files_cover_every_family_and_every_ending():
    assert {family for _, family, _ in HONEST.values()} == {family.key for family in FAMILIES}
    assert all(any(name.endswith(end) for name in HONEST) for end in (*SUFFIXES, INDEX))


PARTS = {
    "moco": (moco(), {"backbone": 54, "projector": 4, "teacher": 58, "queue": 2}),
    "solo": (solo(), {"backbone": 54, "projector": 4, "head": 2, "teacher": 58, "queue": 2}),
    "lightly": (lightly(), {"backbone": 54, "projector": 4, "teacher": 58}),
    "open_clip": (open_clip(), {"backbone": 47, "projector": 2, "temperature": 1}),
    "siglip": (siglip(), {"backbone": 46, "projector": 4, "temperature": 2}),
    "gmc": (gmc(), {"backbone": 16, "projector": 6}),
    "resnet": (resnet(), {"backbone": 54, "head": 2}),
    "cml": (cml(), {"backbone": 2, "head": 2}),
}


@pytest.mark.parametrize("name", PARTS)
def test_the_parts_of_a_file_are_counted_by_role(name):
    shapes, expected = PARTS[name]
    found = of_names(shapes)
    assert {role: len(names) for role, names in found.parts.items()} == expected
    assert all(f"{role.capitalize()}: {n} tensor" in " ".join(found.recognised) for role, n in expected.items())


def without(shapes: Mapping[str, tuple[int, ...]], *starts: str) -> dict[str, tuple[int, ...]]:
    left = {name: shape for name, shape in shapes.items() if not name.startswith(starts)}
    assert len(left) < len(shapes)
    return left


COOT_SHAPES = merged(*(under(f"{name}.", coot_network("global" in name)) for name in COOT))
MISSING = {
    "MoCo without its key encoder": (without(moco(), "module.encoder_k."), "the key encoder"),
    "MoCo without its queue": (without(moco(), "module.queue"), "the queue of keys"),
    "MoCo without its projector": (without(moco(), "module.encoder_q.fc."), "the projector"),
    "MoCo without its optimiser": (moco(), "state of the optimiser"),
    "CLIP without its scale": (without(open_clip(), "logit_scale"), "logit_scale"),
    "CLIP without its texts": (
        without(open_clip(), "transformer.", "token_", "ln_", "text_", "positional_"),
        "the tower for texts",
    ),
    "a CLIP of the hub without its scale": (without(hf_clip(), "logit_scale"), "logit_scale"),
    "a CLIP of the hub without its pictures": (without(hf_clip(), "vision_"), "the tower for pictures"),
    "solo-learn without its classifier": (without(solo(), "classifier."), "the online classifier"),
    "lightly without its bank": (lightly(), "the memory bank"),
    "a ResNet cut off at its features": (resnet(head=False), "a classification head"),
    "a ResNet of three stages": (resnet(stages=3), "layer4"),
    "a ViT without one block": (without(timm_vit(blocks=4), "blocks.1."), "1 block of 4, the first is number 1"),
    "a ViT without its first block": (without(timm_vit(blocks=3), "blocks.0."), "1 block of 3, the first is number 0"),
    "a batch norm cut in half": (without(resnet(), "layer1.0.bn2.running_var"), "1 variance beside a running mean"),
    "COOT without its texts": (without(COOT_SHAPES, "net_text_global"), "the global network for texts"),
    "GMC without its shared encoder": (without(gmc(), "encoder."), "the shared encoder"),
    "users with biases, items without": (without(cml(), "item_bias"), "the bias of the items"),
}


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_is_said(name):
    shapes, words = MISSING[name]
    found = of_names(shapes)
    assert found.family
    assert [text for text in found.missing if words in text]
    assert all(text.startswith("Missing: ") and text.endswith(".") for text in found.missing)


WHOLE = {
    "open_clip": open_clip(),
    "clip": hf_clip(),
    "resnet": resnet(),
    "vit": timm_vit(),
    "coot": COOT_SHAPES,
    "gmc": gmc(),
}


@pytest.mark.parametrize("name", WHOLE)
def test_nothing_is_missing_from_a_whole_file(name):
    assert of_names(WHOLE[name]).missing == ()


WRAPPERS = {
    "state_dict.": "'state_dict.' was taken off 32 names.",
    "model.": "'model.' was taken off 32 names.",
    "module.": "'module.' was taken out of 32 names.",
    "_orig_mod.": "'_orig_mod.' was taken out of 32 names.",
    "ema.": "'ema.' was taken off 32 names.",
    "state_dict.module._orig_mod.": "'_orig_mod.' was taken out of 32 names.",
    "model_state_dict.model.": "'model.' was taken off 32 names.",
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_wrappers_are_taken_off_and_told(wrapper):
    found = of_names(under(wrapper, timm_vit()))
    assert found.family == "timm"
    assert WRAPPERS[wrapper] in found.wrappers
    assert set(found.bare.values()) == set(timm_vit())
    assert {role: len(names) for role, names in found.parts.items()} == {"backbone": 30, "head": 2}


@pytest.mark.parametrize("box", ["ema", "model_ema", "state_dict_ema"])
def test_a_moving_average_beside_the_weights_is_a_teacher(box):
    found = of_names(under("model.", timm_vit()) | under(f"{box}.module.", timm_vit()))
    assert found.family == "timm"
    assert {role: len(names) for role, names in found.parts.items()} == {"backbone": 30, "head": 2, "teacher": 32}
    assert "A moving average of the weights lies beside them: 32 tensors." in found.wrappers


def test_a_box_that_does_not_hold_everything_is_a_part_of_the_network():
    bare, averages, said = unwrapped(["model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"])
    assert bare["model.norm.weight"] == "model.norm.weight"
    assert averages == set()
    assert said == ()


def test_names_that_nobody_uses_are_not_sure_and_sorted_by_common_words():
    shapes = {"trunk.w": (3, 3), "my_projector.w": (3, 3), "projector.w": (3, 3), "temperature": (), "x": (2,)}
    found = of_names(shapes)
    assert (found.family, found.title, found.layout, found.evidence) == ("", NOT_SURE, "", ())
    assert found.parts == {
        "backbone": ("trunk.w",),
        "projector": ("projector.w",),
        "temperature": ("temperature",),
        "other": ("my_projector.w", "x"),
    }
    assert "'trunk.w', 'my_projector.w', 'projector.w' and 2 more" in found.not_understood[0]
    assert "Backbone: 1 tensor of 9 numbers, by a common word in their names." in found.recognised


def test_right_names_of_wrong_shapes_are_not_sure_and_say_so():
    found = of_names(resnet() | {"conv1.weight": (8, 147)})
    assert found.title == NOT_SURE
    assert "Its names are those of a ResNet of torchvision, its shapes are not: 'conv1.weight' is 8 × 147." in (
        found.not_understood
    )


def test_strange_tensors_in_a_known_file_are_named():
    found = of_names(open_clip() | {"visual_extra.weight": (3,), "aux.0": (2,)})
    assert found.family == "open_clip"
    assert found.not_understood == (
        "2 tensors have no place in a tower for pictures and one for texts of open_clip: 'visual_extra.weight', "
        "'aux.0'.",
    )
    assert found.parts["other"] == ("visual_extra.weight", "aux.0")


@pytest.mark.parametrize(
    ("shapes", "side"),
    [
        (open_clip() | {"text_projection": (8, 5)}, "'text_projection' 5"),
        (cml() | {"user_embedding.weight": (30, 7)}, "'user_embedding.weight' 7"),
        (hf_clip() | {"visual_projection.weight": (6, 8)}, "'visual_projection.weight' 6"),
    ],
)
def test_towers_that_cannot_meet_are_named(shapes, side):
    assert any(side in text and "of one size" in text for text in of_names(shapes).not_understood)


def test_a_network_inside_a_method_is_named():
    assert "Behind 'encoder_q.' lies a ResNet, by the names of torchvision." in of_names(moco()).recognised
    assert "Behind 'encoder.' lies a ResNet, by the names of torchvision." in (
        of_names(merged(under("encoder.", resnet()), {"other.weight": (3,)})).recognised
    )


@pytest.mark.parametrize(
    ("shapes", "also"), [(resnet(), "timm"), (bert(), "sentence-transformers"), (timm_vit(), "DINO"), (gmc(), "")]
)
def test_those_who_name_tensors_alike_are_named(shapes, also):
    assert of_names(shapes).also.startswith(also)
    assert bool(of_names(shapes).also) == bool(also)


def test_the_order_of_the_names_does_not_matter():
    for shapes, _ in PARTS.values():
        forth, back = of_names(shapes), of_names(dict(reversed(shapes.items())))
        assert forth.family == back.family
        assert {role: set(names) for role, names in forth.parts.items()} == {
            role: set(names) for role, names in back.parts.items()
        }


def test_classes_in_the_file_decide_nothing(tmp_path):
    import argparse

    torch.save({"args": argparse.Namespace(arch="resnet50"), "state_dict": {"a": torch.ones(2)}}, tmp_path / "f.pt")
    found = recognise(open_checkpoint(fence.add([tmp_path / "f.pt"])))
    assert found.title == NOT_SURE
    assert "Values of other classes were left where they are: 'argparse.Namespace'." in found.not_understood


def test_an_optimiser_alone_is_no_network():
    found = of_names({"state.0.exp_avg": (3, 3), "state.0.exp_avg_sq": (3, 3), "state.0.step": ()})
    assert found.title == NOT_SURE
    assert list(found.parts) == ["optimiser"]
    assert found.not_understood == ("There are no weights in the file.",)


def test_numbers_in_names_are_not_counted_up_to():
    found = of_names(timm_vit() | {f"blocks.{'9' * 300}.attn.qkv.weight": (3, 1)})
    assert found.family == "timm"
    assert found.missing == ()


def test_a_module_of_lightning_without_known_names_is_said_to_be_one():
    found = of_names({"state_dict.a.w": (2, 2)}, {"pytorch-lightning_version": "2.1.0", "epoch": "3"})
    assert (found.family, found.title) == ("lightning", "a module of Lightning")


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("loss.memory_bank", "queue"),
        ("net.logit_scale", "temperature"),
        ("target_encoder.0.weight", "teacher"),
        ("student_predictor.predictor.0.weight", "predictor"),
        ("a.projection_head.0.weight", "projector"),
        ("fc.weight", "head"),
        ("encoder.0.weight", "backbone"),
        ("gamma", "other"),
    ],
)
def test_common_words(name, role):
    assert common_role(name) == role
    assert role in ROLES
