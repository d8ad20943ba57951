"""What lies behind the fence: names, shapes and types without a tensor read, and tensors one by one."""

import pytest
import torch
from safetensors.torch import save_file

from core.checkpoints import fence, opened
from core.checkpoints.opened import DTYPES, open_checkpoint
from core.checkpoints.safetensors_file import ITEM
from core.refusal import Refusal

STATE = {
    "layer.10.weight": torch.arange(12.0).reshape(3, 4),
    "layer.2.weight": torch.ones(5, 2, dtype=torch.bfloat16),
    "steps": torch.tensor(7),
    "seen": torch.tensor([True, False]),
    "none": torch.zeros(0, 3),
}


@pytest.fixture
def key(tmp_path) -> str:
    save_file(STATE, tmp_path / "weights.safetensors")
    return fence.add([tmp_path / "weights.safetensors"])


def test_names_shapes_and_types_are_those_of_the_file_and_no_tensor_is_read(key, monkeypatch):
    def no(*_, **__):
        raise AssertionError("a tensor file was opened")

    monkeypatch.setattr(opened, "safe_open", no)
    found = open_checkpoint(key)
    assert found.names == ("layer.2.weight", "layer.10.weight", "none", "seen", "steps")
    for each in found:
        value = STATE[each.name]
        assert each.shape == tuple(value.shape)
        assert f"torch.{each.dtype}" == str(value.dtype)
        assert each.numel == value.numel()
        assert each.size == value.numel() * value.element_size()
        assert each.floating == value.is_floating_point()


def test_every_tensor_comes_back_as_it_was(key):
    found = open_checkpoint(key)
    assert len(found) == len(STATE)
    for name, value in STATE.items():
        torch.testing.assert_close(found.tensor(name), value, rtol=0, atol=0)


def test_a_tied_name_gives_the_numbers_of_the_name_that_was_kept(tmp_path):
    shared = torch.randn(4, 3)
    torch.save({"embed.weight": shared, "lm_head.weight": shared}, tmp_path / "tied.pt")
    found = open_checkpoint(fence.add([tmp_path / "tied.pt"]))
    assert len(found) == 1
    assert torch.equal(found.tensor("lm_head.weight"), shared)
    assert torch.equal(found.tensor("embed.weight"), shared)


def test_parts_are_one_checkpoint(tmp_path):
    for place, name in enumerate(("a", "b")):
        save_file({name: torch.full((2,), float(place))}, tmp_path / f"model-{place}.safetensors")
    found = open_checkpoint(fence.add(sorted(tmp_path.glob("model-*"))))
    assert found.names == ("a", "b")
    assert found.tensor("b").tolist() == [1, 1]
    assert found.summary.kind == "sharded"


@pytest.mark.parametrize("key", ["", "f" * 64, "../../etc", "/etc", "F" * 64])
def test_a_key_that_names_nothing_is_refused(key):
    with pytest.raises(Refusal, match="add the file again"):
        open_checkpoint(key)


def test_an_unknown_tensor_is_refused(key):
    with pytest.raises(Refusal, match=r"no tensor 'layer\.3\.weight'"):
        open_checkpoint(key).tensor("layer.3.weight")


def test_a_damaged_copy_is_refused(key):
    (fence.folder_of(key) / fence.SUMMARY).write_text("{}")
    with pytest.raises(Refusal, match="add the file again"):
        open_checkpoint(key)


def test_every_type_that_the_fence_lets_through_has_a_name():
    assert set(ITEM) == set(DTYPES)
    assert all(isinstance(getattr(torch, name), torch.dtype) for name in DTYPES.values())
