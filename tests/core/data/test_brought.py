"""Embeddings that are brought: what is made of a file, what is said of it, and what a change of it makes."""

import io

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from core.checkpoints import fence
from core.data import brought
from core.data.brought import bring, change, reading
from core.data.contents import BadFile
from core.data.loading import load
from core.data.npz import Npz, read
from core.data.uses import Uses
from core.home import home
from core.refusal import Refusal

N = 40
X = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)
UNIT = X / np.linalg.norm(X, axis=1, keepdims=True)
LABELS = np.arange(N) % 3


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path / "home"))


@pytest.fixture(scope="module", autouse=True)
def warm():
    fence.warm_up()


def table(path, **columns):
    """A .csv or a .parquet of these columns; a matrix is spread over as many."""
    flat = {}
    for name, values in columns.items():
        if np.ndim(values) == 2:
            flat |= {f"{name}_{at}": each for at, each in enumerate(np.transpose(values))}
        else:
            flat[name] = values
    if path.suffix == ".parquet":
        parquet.write_table(pa.table(flat), path)
    else:
        rows = zip(*flat.values(), strict=True)
        path.write_text("\n".join([",".join(flat), *(",".join(map(str, row)) for row in rows)]))
    return path


def names(n=N):
    return [f"thing {i}" for i in range(n)]


def spoilt(*places):
    x = X.copy()
    for row, value in places:
        x[row, 1] = value
    return x


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_becomes_a_data_set(suffix, tmp_path):
    digest = bring([table(tmp_path / f"mine.{suffix}", image=X, text=UNIT, y=LABELS, title=names())])
    made = read(digest)
    assert np.allclose(made.vectors["image"], X, atol=1e-6)
    assert np.allclose(made.vectors["text"], UNIT, atol=1e-6)
    assert made.labels is not None
    assert made.labels.tolist() == LABELS.tolist()
    assert made.names == tuple(names())
    data = load(Npz(digest=digest))
    assert ([m.name for m in data.modalities], data.classes) == (["image", "text"], ("0", "1", "2"))
    found = reading(digest)
    assert found is not None
    assert (found.files, found.rows, found.classes, found.duplicates) == ((f"mine.{suffix}",), N, 3, 0)
    assert [(seen.name, seen.normalised) for seen in found.modalities] == [("image", False), ("text", True)]


def test_all_ways_to_bring_the_same_numbers_make_the_same_file(tmp_path):
    np.savez(tmp_path / "mine.npz", image=X, text=UNIT, labels=LABELS)
    for name, array in {"image": X, "text": UNIT, "labels": LABELS}.items():
        np.save(tmp_path / f"{name}.npy", array)
    lists = {"image": list(X), "text": list(UNIT), "labels": LABELS}
    parquet.write_table(pa.table(lists), tmp_path / "lists.parquet")
    ways = [
        [tmp_path / "mine.npz"],
        [tmp_path / f"{name}.npy" for name in ("image", "text", "labels")],
        [tmp_path / "lists.parquet"],
        [table(tmp_path / "mine.parquet", image=X, text=UNIT, labels=LABELS)],
    ]
    assert len({bring(way) for way in ways}) == 1


def test_vectors_and_their_table_may_come_in_two_files(tmp_path):
    np.save(tmp_path / "image.npy", X)
    more = table(tmp_path / "more.csv", y=LABELS, title=names(), image=X + 1)
    found = reading(bring([tmp_path / "image.npy", more]))
    assert found is not None
    assert found.uses == Uses(
        modalities={"image": "image", "image (file 2)": "image_file_2"}, labels="y", names="title"
    )


def test_rows_with_gaps_are_left_out_and_counted(tmp_path):
    labels = [*map(str, LABELS[:-1]), ""]
    x = spoilt((3, np.nan), (5, np.inf), (N - 1, np.nan))
    digest = bring([table(tmp_path / "mine.csv", x=x, y=labels, name=names())])
    found, made = reading(digest), read(digest)
    assert found is not None
    assert found.dropped == {"x": 3, "y": 1}
    good = [row for row in range(N) if row not in (3, 5, N - 1)]
    assert found.rows == len(good)
    assert np.allclose(made.vectors["x"], X[good], atol=1e-6)
    assert made.names == tuple(names()[row] for row in good)


def test_what_is_counted(tmp_path):
    x, y = X.copy(), UNIT.copy()
    x[1], y[1] = x[0], y[0]
    x[2], x[:, 3] = x[0], 7
    x[4], x[5], y[5] = 0, -0.0, y[4]
    x[4:6, 3] = 7
    found = reading(bring([table(tmp_path / "mine.parquet", x=x, y=y)]))
    assert found is not None
    assert found.duplicates == 2
    assert [(seen.repeats, seen.constant, seen.normalised) for seen in found.modalities] == [
        (3, 1, False),
        (2, 0, True),
    ]


def test_rows_without_a_direction_are_counted_and_said(tmp_path):
    x = X.copy()
    x[2], x[7] = 0, -0.0
    found = reading(bring([table(tmp_path / "mine.parquet", x=x, y=UNIT)]))
    assert found is not None
    assert [seen.zeros for seen in found.modalities] == [2, 0]
    assert "2 rows of x are all 0 and without a direction" in found.aloud()


def test_a_change_makes_the_file_anew_and_the_old_one_stays(tmp_path):
    first = bring([table(tmp_path / "mine.csv", image=X, text=UNIT, y=LABELS, kind=LABELS % 2, title=names())])
    second = change(first, Uses(modalities={"text": "words"}, labels="kind", names="y"))
    assert second != first
    made = read(second)
    assert list(made.vectors) == ["words"]
    assert made.labels is not None
    assert made.labels.tolist() == (LABELS % 2).tolist()
    assert made.names == tuple(map(str, LABELS))
    assert list(read(first).vectors) == ["image", "text"]
    again = reading(second)
    assert again is not None
    assert again.files == ("mine.csv",)
    back = reading(first)
    assert back is not None
    assert change(second, back.uses) == first


@pytest.mark.parametrize(
    ("uses", "said"),
    [
        (Uses(modalities={}), "holds no modality"),
        (Uses(modalities={"image": "a", "text": "a"}), "Two modalities bear one name"),
        (Uses(modalities={"image": "labels"}), "called 'labels'"),
        (Uses(modalities={"image": "![a](b)"}), "expected up to 32 letters"),
        (Uses(modalities={"nothing": "a"}), "no usable column 'nothing'"),
        (Uses(modalities={"image": "a"}, labels="text"), "'text' holds no single values"),
        (Uses(modalities={"image": "a", "y": "b"}), "whole numbers is no modality"),
        (Uses(modalities={"title": "a"}), "only modality"),
        (Uses(modalities={"image": "a"}, labels="one"), "one class only"),
    ],
)
def test_uses_that_cannot_be_are_refused_and_nothing_changes(uses, said, tmp_path):
    first = bring([table(tmp_path / "mine.csv", image=X, text=UNIT, y=LABELS, title=names(), one=LABELS * 0)])
    kept = sorted(file.name for file in (home() / "data").iterdir())
    with pytest.raises(BadFile, match=said.replace("![a](b)", "")):
        change(first, uses)
    assert sorted(file.name for file in (home() / "data").iterdir()) == kept


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"y": LABELS, "title": names()}, r"holds no modality"),
        ({"day": ["2026-01-01"] * N}, r"no modality \('day' is date32"),
        ({"x": spoilt(*((row, np.nan) for row in range(N - 9)))}, "'x' has NaN or infinity in 31 of 40 rows"),
        ({"x": X[:9], "y": LABELS[:9]}, "have 9 rows; expected at least 10"),
        ({"x": X.astype(float) * 1e60}, "'x' has NaN or infinity in 40 of 40 rows"),
    ],
)
def test_a_table_without_embeddings_is_refused_in_one_sentence(columns, said, tmp_path):
    with pytest.raises(BadFile, match=said) as refused:
        bring([table(tmp_path / "mine.csv", **columns)])
    assert "expected" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (home() / "data").exists()


def test_files_that_do_not_belong_together_are_refused(tmp_path):
    np.save(tmp_path / "a.npy", X)
    np.save(tmp_path / "b.npy", X[:-1])
    with pytest.raises(BadFile, match=r"'a' has 40, 'b' has 39"):
        bring([tmp_path / "a.npy", tmp_path / "b.npy"])
    with pytest.raises(BadFile, match="0 files were given"):
        bring([])
    with pytest.raises(BadFile, match=r"'a.txt' is no file of embeddings"):
        bring([tmp_path / "a.txt"])
    with pytest.raises(BadFile, match=r"'c.npy' is no file;"):
        bring([tmp_path / "c.npy"])
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    with pytest.raises(Refusal, match=r"is no \.npy"):
        bring([tmp_path / "bad.npy"])
    assert [folder.name for folder in (home() / "tables").iterdir() if folder.name.startswith(".")] == []


def test_pictures_of_a_table_are_thumbnails(tmp_path):
    shown = io.BytesIO()
    Image.new("RGB", (64, 64), (0, 128, 255)).save(shown, "PNG")
    cells = [{"bytes": shown.getvalue(), "path": "a.png"}] * (N - 1) + [{"bytes": b"", "path": "b.png"}]
    digest = bring([table(tmp_path / "mine.parquet", x=X, image=cells)])
    data = load(Npz(digest=digest))
    assert [(m.name, m.form) for m in data.modalities] == [("x", "vector"), ("image", "image")]
    assert data.thumbnails is not None
    assert data.thumbnails[0, 16, 16].tolist() == [0, 128, 255, 255]
    found = reading(digest)
    assert found is not None
    assert "1 picture of 'image' is blank or cannot be read." in found.aloud()


def test_modalities_may_have_the_names_that_numpy_keeps_for_itself(tmp_path):
    digest = bring([table(tmp_path / "mine.csv", file=X, allow_pickle=UNIT)])
    assert list(read(digest).vectors) == ["file", "allow_pickle"]


def test_kept_columns_are_pruned_and_then_a_change_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(brought, "KEPT", 1)
    first = bring([table(tmp_path / "a.csv", x=X, y=LABELS)])
    second = bring([table(tmp_path / "b.csv", x=X + 1, y=LABELS)])
    assert len(list((home() / "tables").iterdir())) == 1
    with pytest.raises(BadFile, match="not kept any more"):
        change(first, Uses(modalities={"x": "x"}))
    assert change(second, Uses(modalities={"x": "x"})) != second


def test_kept_columns_that_were_changed_are_not_believed(tmp_path):
    digest = bring([table(tmp_path / "a.csv", x=X, y=LABELS)])
    kept = next((home() / "tables").glob("*/0/000.npy"))
    for spoil in (lambda: np.save(kept, X[:, :2]), lambda: kept.write_bytes(b"no array"), kept.unlink):
        spoil()
        with pytest.raises(BadFile, match="The kept column 'x'"):
            change(digest, Uses(modalities={"x": "x"}))


def test_of_a_file_that_was_not_brought_nothing_is_said(tmp_path):
    assert reading("0" * 64) is None
    digest = bring([table(tmp_path / "a.csv", x=X)])
    (home() / "data" / f"{digest}.json").write_text("{}")
    assert reading(digest) is None
