"""Every data set keeps the contract of `DataSet`, and is the same in every process."""

import dataclasses

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.datasets import load_digits

from core.data.circle import Circle, centres
from core.data.clips import Clips, topics_of_clips
from core.data.digest import digested
from core.data.digits import Digits
from core.data.emoji import Emoji, drawings, emoji, everyday, on_white, records
from core.data.loading import load
from core.data.mfeat import MFeat
from core.data.scaling import standardised
from core.environment import ROOT
from core.streams import stream

SETS = {
    "circle": Circle(),
    "sphere": Circle(dimension=3),
    "digits": Digits(),
    "digit images": Digits(form="image"),
    "emoji": Emoji(),
    "few emoji": Emoji(items=48),
    "eight modalities": Emoji(modalities=("noto", "fluent", "twemoji", "en", "de", "fr", "ja", "zh")),
    "mfeat": MFeat(),
    "clips": Clips(),
    "many clips": Clips(videos=60, topics=12, fewest=1, most=12),
}
every = pytest.mark.parametrize("p", SETS.values(), ids=SETS)


@every
def test_a_set_keeps_its_contract(p):
    d = load(p)
    n = len(d)
    parts = [part.tolist() for part in (d.split.train, d.split.validation, d.split.test)]
    together = [item for part in parts for item in part]
    assert len(set(together)) == len(together)
    assert set(together) <= set(range(n))
    assert all(part == sorted(part) and part for part in parts)
    assert d.labels.shape == (n,)
    assert d.labels.dtype == torch.int64
    assert set(d.labels.tolist()) == set(range(len(d.classes)))
    assert len(set(d.names)) > 0.5 * n
    assert all(d.names)
    assert d.thumbnails is None or (d.thumbnails.shape == (n, 32, 32, 4) and d.thumbnails.dtype == np.uint8)
    for m in d.modalities:
        assert len(m.values) == n
        if m.form == "text":
            assert all(isinstance(text, str) and text for text in m.values)
            continue
        assert m.values.dtype == torch.float32
        assert m.values.isfinite().all()
        assert m.values.ndim == {"vector": 2, "bag": 3, "image": 4}[m.form]
        assert (m.mask is not None) == (m.form == "bag")
        if m.mask is not None:
            assert m.mask.shape == m.values.shape[:2]
            assert m.mask[:, 0].all()
            assert (m.mask[:, 1:] <= m.mask[:, :-1]).all()
            assert m.values[~m.mask].abs().sum() == 0
        if m.form == "image":
            assert m.values.min() >= 0
            assert m.values.max() <= 1


@every
def test_augmentation_is_fresh_and_keeps_shape_range_and_device(p):
    d = load(p)
    if d.augment is None:
        assert p.kind in ("circle", "mfeat", "clips")
        return
    for m in (m for m in d.modalities if m.form != "text"):
        x = m.values[:9]
        first, again, other = (d.augment(m.name, x, stream(0, "a", step)) for step in (0, 0, 1))
        assert first.shape == x.shape
        assert first.min() >= 0
        assert first.max() <= 1
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
        assert not torch.equal(first, x)
        assert d.augment(m.name, x.to("meta"), stream(0, "a")).device.type == "meta"
        rows = torch.eye(5, 11)
        assert torch.equal(d.augment(m.name, rows, stream(0, "a")), rows)


OTHER_CLIPS = {"videos": 241, "topics": 5, "fewest": 1, "most": 6, "noise": 0.1, "draw": 1}


def test_every_choice_changes_the_digest():
    assert OTHER_CLIPS.keys() == Clips.model_fields.keys() - {"kind"}
    changed = [
        Circle(),
        Circle(draw=1),
        Circle(spread=0.2),
        Digits(),
        Digits(form="image"),
        Digits(split_seed=1),
        Emoji(),
        Emoji(items=20),
        Emoji(split="random"),
        Emoji(modalities=("noto", "de")),
        MFeat(),
        MFeat(split_seed=1),
        MFeat(modalities=("fou", "zer")),
        Clips(),
        *(Clips(**{knob: value}) for knob, value in OTHER_CLIPS.items()),
    ]
    digests = [load(p).digest for p in changed]
    assert len(set(digests)) == len(changed)
    assert all(len(digest) == 64 for digest in digests)


def test_the_digest_sees_every_part():
    d = load(Circle())
    m = d.modalities[0]
    flipped = d.labels.flip(0)
    values = m.values.clone()
    values[3, 2] += 1e-6
    variants = [
        dataclasses.replace(d, title="other"),
        dataclasses.replace(d, labels=flipped),
        dataclasses.replace(d, names=("x", *d.names[1:])),
        dataclasses.replace(d, classes=(*d.classes[:-1], "x")),
        dataclasses.replace(d, split=dataclasses.replace(d.split, train=d.split.test, test=d.split.train)),
        dataclasses.replace(d, modalities=(dataclasses.replace(m, values=values), *d.modalities[1:])),
        dataclasses.replace(d, modalities=(dataclasses.replace(m, tower="x"), *d.modalities[1:])),
        dataclasses.replace(d, modalities=(dataclasses.replace(m, mask=values > 0), *d.modalities[1:])),
    ]
    assert digested(d).digest == d.digest
    assert len({d.digest, *(digested(v).digest for v in variants)}) == 1 + len(variants)


@pytest.mark.parametrize("dimension", [2, 3])
@pytest.mark.parametrize("clusters", [2, 5, 12])
def test_the_centres_are_apart(dimension, clusters):
    c = centres(Circle(dimension=dimension, clusters=clusters), stream(0, "c"))
    assert c.norm(dim=1).tolist() == pytest.approx([1] * clusters, abs=1e-5)
    nearest = torch.cdist(c, c).fill_diagonal_(9).min()
    assert nearest > (2 * np.sin(np.pi / clusters) - 1e-4 if dimension == 2 else 0.5)


def test_videos_have_every_number_of_clips_and_are_named_by_their_topics():
    d = load(Clips(fewest=1, most=4))
    clips, sentences = (m.mask for m in d.modalities)
    assert torch.equal(clips, sentences)
    assert set(clips.sum(dim=1).tolist()) == {1, 2, 3, 4}
    assert "Generated" in d.note
    for label, count, name in zip(d.labels.tolist(), clips.sum(dim=1).tolist(), d.names, strict=True):
        plural = "clip" if count == 1 else "clips"
        topics = name.removeprefix(f"{count} {plural}: topic ").split(", ")
        assert len(topics) == count
        assert topics[0] == str(label)


def test_a_later_clip_keeps_the_topic_of_its_video_half_the_time_and_else_takes_any_other():
    own = torch.arange(1200) % 4
    topics = topics_of_clips(own, Clips(topics=4, most=5), stream(0, "topics"))
    assert torch.equal(topics[:, 0], own)
    away = (topics[:, 1:] - own[:, None]) % 4
    counts = torch.bincount(away.flatten(), minlength=4) / away.numel()
    assert counts.tolist() == pytest.approx([1 / 2, 1 / 6, 1 / 6, 1 / 6], abs=0.03)


def test_a_clip_and_its_sentence_are_two_views_of_one_point_under_noise_of_the_given_size():
    clear, noisy = load(Clips(noise=0)), load(Clips(noise=0.5))
    spread = [
        (x.values - y.values)[x.mask].std().item() for x, y in zip(noisy.modalities, clear.modalities, strict=True)
    ]
    assert spread == pytest.approx([0.5, 0.5], abs=0.02)
    clips, sentences = (m.values[m.mask] for m in clear.modalities)
    near = torch.cdist(clips, clips).fill_diagonal_(torch.inf).argmin(dim=1)
    apart, usual = (sentences - sentences[near]).norm(dim=1).mean(), torch.pdist(sentences).mean()
    assert apart < 0.6 * usual


def test_more_than_the_most_clips_cannot_be_the_fewest():
    with pytest.raises(ValidationError, match="fewest is 4 and most 3; fewest must not exceed most"):
        Clips(fewest=4, most=3)


def test_digits_are_the_images_and_a_distortion():
    d = load(Digits())
    a, b = d.modalities
    assert np.array_equal(a.values.numpy(), load_digits().data.astype(np.float32) / 16)
    assert d.labels.tolist() == load_digits().target.tolist()
    assert a.tower == b.tower
    assert 0.01 < float((a.values - b.values).abs().mean()) < 0.4
    counts = torch.bincount(d.labels[d.split.test])
    assert counts.tolist() == [round(0.25 * k) for k in torch.bincount(d.labels).tolist()]
    assert "view_b" in d.note
    images = load(Digits(form="image")).modalities[0].values
    assert torch.equal(images.flatten(1), a.values)


def test_mfeat_is_standardised_by_its_training_items_alone():
    d = load(MFeat(modalities=("mor", "pix")))
    raw = np.load(ROOT / "assets/data/mfeat.npz", allow_pickle=False)
    assert [len(x) for x in (d.split.train, d.split.validation, d.split.test)] == [1000, 300, 700]
    assert torch.bincount(d.labels[d.split.train]).tolist() == [100] * 10
    rows = d.split.train.numpy()
    for m in d.modalities:
        x = raw[m.name].astype(np.float64)
        wanted = (x - x[rows].mean(0)) / np.where(x[rows].std(0) > 0, x[rows].std(0), 1)
        assert np.allclose(m.values.numpy(), wanted, atol=1e-5)


def test_standardised_does_not_look_at_the_rest():
    x = torch.tensor([[1.0, 5], [3, 5], [100, 7]])
    train = torch.tensor([0, 1])
    assert standardised(x, train).tolist() == [[-1, 0], [1, 0], [98, 2]]
    x[2] = -1e6
    assert standardised(x, train)[:2].tolist() == [[-1, 0], [1, 0]]


def test_emoji_stand_on_white_and_speak_their_languages():
    d = load(SETS["eight modalities"])
    pixels = drawings("noto")[7].astype(float) / 255
    slow = [[[c[k] * c[3] + (1 - c[3]) for c in row] for row in pixels] for k in range(3)]
    assert np.allclose(d.modality("noto").values[7].numpy(), slow, atol=1e-6)
    assert float(on_white(np.zeros((1, 2, 2, 4), np.uint8)).min()) == 1
    assert d.modality("de").values[0].startswith("grinsendes Gesicht, ")
    assert d.modality("en").values[0] == ", ".join((records()[0]["en"], *records()[0]["en_keywords"]))
    assert d.names[0] == "grinning face"
    assert d.classes[int(d.labels[0])] == "smileys"


def test_few_emoji_are_diverse_training_items_and_leave_the_test_alone():
    full, few = load(Emoji()), load(SETS["few emoji"])
    assert torch.equal(full.split.test, few.split.test)
    assert torch.equal(full.split.validation, few.split.validation)
    assert len(few.split.train) == 48
    assert set(few.split.train.tolist()) <= set(full.split.train.tolist())
    counts = torch.bincount(few.labels[few.split.train], minlength=9)
    assert counts[counts > 0].min() >= 9
    assert (counts > 0).sum() == 5
    order = everyday(full.split.train.tolist(), [r["en"] for r in records()])
    assert sorted(order) == full.split.train.tolist()
    assert len(load(Emoji(items=1000)).split.train) == 1000


def test_the_random_split_says_that_it_is_inflated():
    assert "inflated" in load(Emoji(split="random")).note
    assert load(Emoji()).note == ""


@pytest.mark.parametrize("names", [("noto",), ("noto", "noto"), ("noto", "klingon"), ()])
def test_modalities_are_two_to_eight_different_ones(names):
    with pytest.raises(ValidationError):
        Emoji(modalities=names)


def test_loading_twice_is_one_data_set():
    assert load(Circle()) is load(Circle())
    assert load(Emoji(items=20)) is not emoji(Emoji(items=20))
