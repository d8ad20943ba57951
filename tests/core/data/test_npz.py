"""The user's own file: what is taken, what is refused in one sentence, and that nothing is lost or run."""

import hashlib
import io
import zipfile

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from core.data import contents
from core.data import npz as own
from core.data.contents import BadFile, check
from core.data.loading import load
from core.data.npz import LightNoise, Npz, add
from core.home import home
from core.streams import stream

N = 40
DRAW = np.random.default_rng(0)
X = DRAW.normal(3, 2, (N, 5))
Z = DRAW.normal(size=(N, 3)).astype(np.float32)
PICTURES = DRAW.integers(0, 256, (N, 9, 10, 3), dtype=np.uint8)
WORDS = np.array([f"thing {i}" for i in range(N)])
LABELS = np.arange(N) % 3


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path / "home"))


def packed(**arrays):
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    return file.getvalue()


def with_bad(value):
    x = X.copy()
    x[7, 2] = value
    return x


def zipped(**members):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def npy_header(shape):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return file.getvalue()


BAD = {
    "no npz": (b"hello", "cannot be read as an .npz"),
    "an npy": (npy_header((3, 3)), "cannot be read as an .npz"),
    "cut short": (packed(x=X, z=Z)[:-200], "cannot be read as an .npz"),
    "another zip": (zipped(x=b"text"), "cannot be read as an .npz"),
    "NaN": (packed(x=with_bad(np.nan)), r"'x' has NaN or infinity in 1 of 40 rows, first in row 7"),
    "infinity": (packed(x=with_bad(-np.inf)), r"'x' has NaN or infinity in 1 of 40 rows, first in row 7"),
    "beyond float32": (packed(x=with_bad(1e200)), "'x' has NaN or infinity"),
    "unequal lengths": (packed(x=X, z=Z[:-1]), r"unequal numbers of rows \('x' has 40, 'z' has 39\)"),
    "labels too few": (packed(x=X, labels=LABELS[:-1]), "unequal numbers of rows"),
    "names too few": (packed(x=X, names=WORDS[:-1]), "unequal numbers of rows"),
    "one row": (packed(x=X[:1]), "have 1 row; expected at least 10"),
    "nine rows": (packed(x=X[:9]), "have 9 rows; expected at least 10"),
    "one class": (packed(x=X, label=LABELS * 0 + 4), "one class only, 4"),
    "strings for numbers": (packed(x=X.astype(str)), "'x' holds strings"),
    "bytes": (packed(x=X, words=WORDS.astype("S")), "'words' holds strings"),
    "objects": (packed(x=X.astype(object)), "'x' holds Python objects"),
    "object labels": (packed(x=X, labels=LABELS.astype(object)), "'labels' holds Python objects"),
    "labels that are shares": (packed(x=X, labels=LABELS / 2), "'labels' is float64"),
    "names that are numbers": (packed(x=X, names=LABELS), "'names' is int64"),
    "nothing": (packed(labels=LABELS), "no modality"),
    "nine modalities": (packed(**{f"x{i}": Z for i in range(9)}), "holds 9 arrays; expected at most 8"),
    "many members": (packed(**{f"x{i}": Z for i in range(30)}), "holds 30 arrays; expected at most 8"),
    "a line of numbers": (packed(x=X[:, 0]), r"'x' holds numbers in the shape \(40,\)"),
    "no columns": (packed(x=X[:, :0]), r"'x' holds numbers in the shape \(40, 0\)"),
    "complex numbers": (packed(x=X + 1j), "'x' holds complex128"),
    "one number": (packed(x=np.float64(3)), r"'x' holds numbers in the shape \(\)"),
    "pictures of floats": (packed(x=PICTURES / 255), r"'x' holds numbers in the shape \(40, 9, 10, 3\)"),
    "two channels": (packed(x=PICTURES[..., :2]), r"shape \(40, 9, 10, 2\)"),
    "tiny pictures": (packed(x=PICTURES[:, :4]), r"shape \(40, 4, 10, 3\)"),
    "texts alone": (packed(words=WORDS), "only modality"),
    "a name with a dot": (packed(**{"a.b": X}), "named 'a.b'"),
    "a header that lies": (zipped(x=npy_header((10**9, 10**9))), "'x' is shorter than its header says"),
}


@pytest.mark.parametrize(("content", "words"), BAD.values(), ids=BAD)
def test_a_bad_file_is_refused_in_one_sentence_and_not_kept(content, words):
    with pytest.raises(BadFile, match=words) as refused:
        add(content)
    sentence = str(refused.value)
    assert "expected" in sentence
    assert ": " in sentence
    assert "\n" not in sentence
    assert len(sentence) < 300
    assert not (home() / "data").exists()


def test_what_unpacks_too_large_is_refused_by_its_headers(monkeypatch):
    monkeypatch.setattr(contents, "LARGEST", 1_000_000)
    with pytest.raises(BadFile, match="unpacks to 2 MB; expected at most 1 MB"):
        check(zipped(x=npy_header((500, 500)) + bytes(2_000_000)))


def test_nothing_in_the_file_is_executed(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    with pytest.raises(BadFile, match="Python objects"):
        add(packed(x=X, trap=np.array([Trap()] * N, dtype=object)))
    assert not (tmp_path / "sprung").exists()


def test_add_keeps_the_content_under_its_hash():
    content = packed(x=X, z=Z)
    digest = add(content)
    assert digest == hashlib.sha256(content).hexdigest() == add(content)
    assert (home() / "data" / f"{digest}.npz").read_bytes() == content
    assert [file.name for file in (home() / "data").iterdir()] == [f"{digest}.npz"]


def test_a_full_disk_leaves_nothing_behind(monkeypatch):
    def full(handle):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(own.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        add(packed(x=X))
    assert list((home() / "data").iterdir()) == []


def test_all_kinds_of_modalities():
    d = load(Npz(digest=add(packed(x=X, z=Z, seen=PICTURES, words=WORDS, labels=LABELS, names=WORDS))))
    assert [(m.name, m.form) for m in d.modalities] == [
        ("x", "vector"),
        ("z", "vector"),
        ("seen", "image"),
        ("words", "text"),
    ]
    assert len({m.tower for m in d.modalities}) == 4
    train = d.split.train.numpy()
    assert np.allclose(d.modality("x").values.numpy(), (X - X[train].mean(0)) / X[train].std(0), atol=1e-4)
    assert np.allclose(d.modality("seen").values.numpy(), PICTURES.transpose(0, 3, 1, 2) / 255, atol=1e-6)
    assert d.labels.tolist() == LABELS.tolist()
    assert d.classes == ("0", "1", "2")
    assert d.names == d.modality("words").values == tuple(WORDS.tolist())
    assert d.thumbnails is not None
    assert d.thumbnails.shape == (N, 32, 32, 4)
    assert d.augment is None
    assert d.note == ""
    parts = [d.split.train.tolist(), d.split.validation.tolist(), d.split.test.tolist()]
    assert [len(part) for part in parts] == [24, 6, 10]
    assert sorted(item for part in parts for item in part) == list(range(N))


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_either_way_round(channels):
    x = DRAW.integers(0, 256, (N, 9, 10, channels), dtype=np.uint8)
    last = load(Npz(digest=add(packed(seen=x, z=Z)))).modality("seen").values
    first = load(Npz(digest=add(packed(seen=x.transpose(0, 3, 1, 2), z=Z)))).modality("seen").values
    assert torch.equal(first, last)
    assert first.shape == (N, min(channels, 3), 9, 10)
    if channels == 4:
        slow = x[3, 2, 5, 1] / 255 * x[3, 2, 5, 3] / 255 + 1 - x[3, 2, 5, 3] / 255
        assert float(last[3, 1, 2, 5]) == pytest.approx(slow, abs=1e-6)


def test_labels_may_be_words_or_missing():
    words = np.array(["b", "a"])[np.arange(N) % 2]
    d = load(Npz(digest=add(packed(x=X, z=Z, y=words))))
    assert d.classes == ("a", "b")
    assert d.labels[:2].tolist() == [1, 0]
    bare = load(Npz(digest=add(packed(x=X, z=Z))))
    assert bare.classes == ()
    assert bare.labels.tolist() == [-1] * N
    assert bare.names[3] == "row 3"
    matrix = load(Npz(digest=add(packed(x=X, y=Z))))
    assert [m.name for m in matrix.modalities] == ["x", "y"]
    assert matrix.classes == ()


@pytest.mark.parametrize("array", [X, PICTURES], ids=["vector", "image"])
def test_one_modality_is_seen_twice(array):
    d = load(Npz(digest=add(packed(x=array, labels=LABELS))))
    a, b = d.modalities
    assert (a.name, b.name) == ("x_a", "x_b")
    assert a.tower == b.tower
    assert 0.02 < float((a.values - b.values).abs().mean()) < 0.2
    assert "x_b is x_a with light noise" in d.note
    assert d.augment is not None
    fresh = d.augment("x_a", a.values, stream(0, "a"))
    assert fresh.shape == a.values.shape
    assert not torch.equal(fresh, a.values)


def test_noise_leaves_rows_of_other_lengths_alone():
    rows = torch.eye(6)
    assert torch.equal(LightNoise(5)("x", rows, stream(0, "a")), rows)


def test_a_digest_is_never_a_path():
    for wrong in ("../../secret", "abc", "G" * 64, "A" * 64):
        with pytest.raises(ValidationError):
            Npz(digest=wrong)


def test_a_missing_or_changed_file_is_said():
    with pytest.raises(BadFile, match="No file was chosen"):
        load(Npz())
    with pytest.raises(BadFile, match="No file 0000"):
        load(Npz(digest="0" * 64))
    digest = add(packed(x=X))
    (home() / "data" / f"{digest}.npz").write_bytes(packed(x=X + 1))
    with pytest.raises(BadFile, match="has changed"):
        load(Npz(digest=digest, split_seed=3))
