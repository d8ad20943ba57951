"""Every encoder over the whole registry: shapes, weights by address, devices, and what each one claims."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from core.data.registry import Modality
from core.encoders.bags import Bag, unpacked
from core.encoders.cnn import CNN, shrink
from core.encoders.deep_sets import DeepSets
from core.encoders.free import Free
from core.encoders.linear import Linear
from core.encoders.mlp import MLP
from core.encoders.registry import ENCODERS, build
from core.encoders.text import Text, hashed, pieces
from core.streams import stream

N, DIM = 7, 5
MASK = torch.arange(4) < torch.tensor([4, 1, 2, 3, 4, 2, 1])[:, None]
MEMBERS = torch.randn(N, 4, 11, generator=stream(0, "b")) * MASK[..., None]
PHRASES = ("red apple, fruit", "grinning face", "fromage râpé", "りんご, 果物", "苹果", "dog", "Schloß")
MODALITIES = {
    "vector": Modality("v", "vector", torch.randn(N, 11, generator=stream(0, "v")), "v"),
    "image": Modality("i", "image", torch.rand(N, 3, 32, 32, generator=stream(0, "i")), "i"),
    "small image": Modality("s", "image", torch.rand(N, 1, 8, 8, generator=stream(0, "s")), "s"),
    "text": Modality("t", "text", PHRASES, "t"),
    "bag": Modality("b", "bag", MEMBERS, "b", MASK),
}
CASES = [
    pytest.param(entry, m, id=f"{entry.key} on {name}")
    for entry in ENCODERS
    for name, m in MODALITIES.items()
    if m.form in entry.forms
]
every = pytest.mark.parametrize(("entry", "modality"), CASES)


def weights(network):
    return torch.cat([p.detach().flatten() for p in network.parameters()])


@every
def test_one_embedding_for_each_item(entry, modality):
    p = entry.params()
    x = entry.prepare(modality, p)
    assert x.dtype == torch.float32
    assert len(x) == N
    network = build(p, x.shape[1:], DIM, 0, modality.tower).eval()
    out = network(x)
    assert out.shape == (N, DIM)
    assert out.isfinite().all()
    assert torch.allclose(network(x[:2]), out[:2], atol=1e-5)
    assert torch.pdist(out).min() > 1e-4


@every
def test_weights_depend_on_the_address_alone(entry, modality):
    p = entry.params()
    shape = entry.prepare(modality, p).shape[1:]
    first = weights(build(p, shape, DIM, 3, "one"))
    torch.rand(17)
    before = torch.get_rng_state()
    assert torch.equal(weights(build(p, shape, DIM, 3, "one")), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert not torch.equal(weights(build(p, shape, DIM, 4, "one")), first)
    assert not torch.equal(weights(build(p, shape, DIM, 3, "two")), first)


@every
def test_forward_and_backward_on_the_meta_device(entry, modality):
    p = entry.params()
    x = entry.prepare(modality, p).to("meta")
    network = build(p, x.shape[1:], DIM, 0, "m").to("meta").train()
    network(x).square().sum().backward()
    assert all(w.grad is not None and w.grad.device.type == "meta" for w in network.parameters())


@every
def test_every_parameter_learns_and_no_item_looks_at_another(entry, modality):
    p = entry.params()
    x = entry.prepare(modality, p).clone().requires_grad_()
    network = build(p, x.shape[1:], DIM, 0, "m").eval()
    network(x)[2].square().sum().backward()
    assert all(w.grad is not None and w.grad.abs().sum() > 0 for w in network.parameters())
    assert x.grad is not None
    assert x.grad[2].abs().sum() > 0
    assert x.grad[[0, 1, 3, 4, 5, 6]].abs().sum() == 0


@pytest.mark.parametrize("entry", list(ENCODERS), ids=lambda entry: entry.key)
def test_every_knob_is_explained_and_bounded(entry):
    for name, field in entry.params.model_fields.items():
        if name != "kind":
            assert field.title
            assert field.description
            with pytest.raises(ValidationError):
                entry.params(**{name: -1})


def test_width_and_depth_are_those_asked_for():
    def sizes(network):
        return [(m.in_features, m.out_features) for m in network.modules() if isinstance(m, nn.Linear)]

    assert sizes(build(MLP(width=13, depth=3), (11,), DIM, 0, "m")) == [(11, 13), (13, 13), (13, 13), (13, DIM)]
    assert sizes(build(MLP(depth=0), (2, 4, 3), DIM, 0, "m")) == [(24, DIM)]
    assert sizes(build(Text(width=9, depth=1), (64,), DIM, 0, "m")) == [(64, 9), (9, DIM)]
    assert sizes(build(DeepSets(width=9, depth=1), (4, 12), DIM, 0, "m")) == [(11, 9), (9, DIM)]
    found = build(CNN(width=8, depth=4), (3, 24, 20), DIM, 0, "m")
    assert [c.out_channels for c in found.modules() if isinstance(c, nn.Conv2d)] == [8, 16, 32, 64]
    assert sizes(found) == [(64 * 2 * 2, DIM)]
    for p in (MLP(dropout=0.4), CNN(dropout=0.4), Text(dropout=0.4), DeepSets(dropout=0.4)):
        shape = (3, 8, 8) if isinstance(p, CNN) else (64,)
        assert {m.p for m in build(p, shape, DIM, 0, "m").modules() if isinstance(m, nn.Dropout)} == {0.4}


def test_linear_is_one_affine_map():
    x = MODALITIES["image"].values
    network = build(Linear(), x.shape[1:], DIM, 0, "m")
    weight, bias = network.parameters()
    assert torch.allclose(network(x), x.reshape(N, -1) @ weight.T + bias, atol=1e-5)


def test_free_embeddings_are_the_parameters_and_mix_as_rows():
    for modality in MODALITIES.values():
        x = ENCODERS["free"].prepare(modality, Free())
        assert torch.equal(x, torch.eye(N))
        network = build(Free(), x.shape[1:], DIM, 0, "m")
        (table,) = network.parameters()
        assert torch.equal(network(x), table.T)
        mixed = 0.3 * x[[1]] + 0.7 * x[[4]]
        assert torch.allclose(network(mixed)[0], 0.3 * table[:, 1] + 0.7 * table[:, 4])


def test_a_bag_is_the_mean_of_its_members_each_through_the_same_network():
    x = ENCODERS["deep_sets"].prepare(MODALITIES["bag"], DeepSets())
    network = build(DeepSets(width=9), x.shape[1:], DIM, 0, "m").eval()
    out, found = network(x), unpacked(network.members(x))
    assert torch.equal(found.mask, MASK)
    for i in range(N):
        here = [network.members.each(MEMBERS[i, j]) for j in range(4) if MASK[i, j]]
        assert torch.allclose(found.members[i, : len(here)], torch.stack(here), atol=1e-6)
        assert found.members[i, len(here) :].abs().sum() == 0
        mean = [sum(h[d].item() for h in here) / len(here) for d in range(DIM)]
        assert out[i].tolist() == pytest.approx(mean, abs=1e-6)


def test_absent_members_do_not_matter_and_the_order_of_the_others_neither():
    network = build(DeepSets(width=9), (4, 12), DIM, 0, "m").eval()
    out = network(Bag(MEMBERS, MASK).packed())
    filled = torch.where(MASK[..., None], MEMBERS, 7.0)
    assert torch.equal(network(Bag(filled, MASK).packed()), out)
    turned = network(Bag(MEMBERS.flip(1), MASK.flip(1)).packed())
    assert torch.allclose(turned, out, atol=1e-6)
    assert network(Bag(MEMBERS, torch.zeros_like(MASK)).packed()).abs().sum() == 0


def test_packing_bags_loses_nothing():
    again = unpacked(Bag(MEMBERS, MASK).packed())
    assert torch.equal(again.members, MEMBERS)
    assert torch.equal(again.mask, MASK)


def test_pictures_are_shrunk_by_averages_and_never_enlarged():
    x = MODALITIES["image"].values
    small = shrink(MODALITIES["image"], CNN(resolution=16))
    assert torch.allclose(small, x.reshape(N, 3, 16, 2, 16, 2).mean((3, 5)), atol=1e-6)
    assert shrink(MODALITIES["image"], CNN()).shape == (N, 3, 24, 24)
    assert torch.equal(shrink(MODALITIES["small image"], CNN()), MODALITIES["small image"].values)


def test_words_come_whole_and_in_pieces():
    spoken = "ice #<ic #ice #ce> #<ice #ice> tea #<te #tea #ea> #<tea #tea>"
    assert " ".join(pieces("Ice-tea")) == spoken
    assert list(pieces("a")) == ["a", "#<a>"]
    assert list(pieces("苹果")) == ["#苹", "#果", "#苹果"]
    assert list(pieces("りんご")) == ["#り", "#ん", "#ご", "#りん", "#んご", "#りんご"]


def test_hashing_is_logarithmic_counts_of_unit_length():
    import zlib
    from math import log, sqrt

    p = Text(buckets=64)
    x = hashed(Modality("t", "text", ("dog dog cat",), "t"), p)
    counts = [0] * 64
    for piece in pieces("dog dog cat"):
        counts[zlib.crc32(piece.encode()) % 64] += 1
    slow = [log(1 + c) for c in counts]
    length = sqrt(sum(v * v for v in slow))
    assert x[0].tolist() == pytest.approx([v / length for v in slow], abs=1e-6)
    assert hashed(Modality("t", "text", ("", "a"), "t"), p)[0].abs().sum() == 0


def test_alike_texts_lie_close():
    x = hashed(Modality("t", "text", ("grinning cat", "grinning cats", "steam locomotive"), "t"), Text())
    similar = x @ x.T
    assert similar[0, 1] > 0.5 > 0.2 > similar[0, 2]
