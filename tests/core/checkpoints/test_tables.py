"""Tables of embeddings through the fence: what each column is taken for, and what hostile files come to."""

import io
import json
import random

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image
from pyarrow import parquet

from core.checkpoints import arrow_file, fence, pictures
from core.checkpoints.columns import GAP, Table
from core.checkpoints.kept import whole
from core.checkpoints.limits import Limits
from core.refusal import Refusal

N = 30
X = np.random.default_rng(0).normal(size=(N, 4)).astype(np.float32)


def through(file, **limits):
    """Column name -> what the fence says of it, and its values."""
    out = file.with_suffix(".out")
    table = Table.model_validate(fence.through(file, out, Limits(**limits)))
    return {c.name: (c, None if not c.file else opened(out / c.file)) for c in table.columns}, table


def opened(file):
    if file.suffix == ".json":
        return json.loads(file.read_text())
    return np.load(file, allow_pickle=False)


def forms(found):
    return {name: (column.form, column.width) for name, (column, _) in found.items()}


def written(tmp_path, text):
    file = tmp_path / "mine.csv"
    file.write_text(text)
    return file


def packed(tmp_path, **columns):
    file = tmp_path / "mine.parquet"
    parquet.write_table(pa.table(columns), file)
    return file


def picture(kind="PNG", size=(40, 20), colour=(255, 0, 0)):
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, kind)
    return file.getvalue()


def rows(header, of):
    return "\n".join([header, *(",".join(map(str, of(i))) for i in range(N))])


def test_columns_of_a_csv_that_count_up_are_one_vector(tmp_path):
    text = rows("b.1,b.0,image_10,image_2,y,title,b", lambda i: [*X[i], i % 3, f'"t, {i}"', 0.5])
    found, table = through(written(tmp_path, text))
    assert table.kind == "csv"
    assert forms(found) == {
        "b": ("vector", 2),
        "image": ("vector", 2),
        "y": ("whole", 1),
        "title": ("text", 1),
        "b (2)": ("none", 1),
    }
    assert np.allclose(found["b"][1], X[:, [1, 0]], atol=1e-6)
    assert np.allclose(found["image"][1], X[:, [3, 2]], atol=1e-6)
    assert found["b"][1].dtype == np.float32
    assert (found["y"][0].distinct, found["title"][0].distinct) == (3, N)
    assert found["title"][1][4] == "t, 4"


@pytest.mark.parametrize("delimiter", [",", ";", "\t", " "])
def test_a_csv_without_names_is_one_vector_and_so_is_one_named_by_pandas(delimiter, tmp_path):
    bare = "\n".join(delimiter.join(map(str, row)) for row in X.tolist())
    for text in (bare, delimiter.join("0123") + "\n" + bare):
        found, _ = through(written(tmp_path, text))
        assert forms(found) == {"values": ("vector", 4)}
        assert np.allclose(found["values"][1], X, atol=1e-6)
        (tmp_path / "mine.out").rename(tmp_path / f"{len(text)}.out")


def test_lists_that_a_csv_spells_are_a_vector(tmp_path):
    spelt = [f'"[{", ".join(map(str, row))}]"' for row in X.tolist()]
    spelt[3], spelt[4] = spelt[3].replace(",", " "), ""
    found, _ = through(written(tmp_path, rows("embedding,name", lambda i: [spelt[i], f"n{i}"])))
    values = found["embedding"][1]
    assert np.isnan(values[4]).all()
    assert np.allclose(np.delete(values, 4, 0), np.delete(X, 4, 0), atol=1e-6)


@pytest.mark.parametrize(
    "texts", [["a", "[1]"], ["[1, 2]", "[1]"], ["[1, x]", "[1, 2]"], ["[1, 2", "[1, 2"], ["[one]", "[two]"], [""]]
)
def test_texts_that_are_no_lists_of_one_length_stay_texts(texts):
    assert arrow_file.spelt_lists(texts) is None


def test_measurements_without_a_common_name_are_one_vector_and_labels_stay_out_of_it(tmp_path):
    found, _ = through(written(tmp_path, rows("height,width,y,count", lambda i: [*X[i, :2], i % 2, i % 7])))
    assert forms(found) == {"numbers": ("vector", 2), "y": ("whole", 1), "count": ("whole", 1)}
    assert np.allclose(found["numbers"][1], X[:, :2], atol=1e-6)
    (tmp_path / "mine.out").rename(tmp_path / "first")
    found, _ = through(written(tmp_path, rows("actb,gapdh,y", lambda i: [i, i * i, i % 2])))
    assert forms(found) == {"numbers": ("vector", 2), "y": ("whole", 1)}


def test_columns_of_a_parquet_by_their_types(tmp_path):
    fixed = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 4)
    lists = pa.array([*X.tolist()[:-1], None], pa.list_(pa.float32()))
    found, _ = through(
        packed(
            tmp_path,
            image=fixed,
            text=lists,
            half=pa.array(list(X.astype(np.float16)), pa.list_(pa.float16())),
            ragged=pa.array([[1.0], [1.0, 2.0]] * (N // 2)),
            nested=pa.array([[[1.0]]] * N),
            kind=pa.array(["a", None, "b"] * (N // 3)).dictionary_encode(),
            label=pa.array([0, None] * (N // 2)),
            flag=pa.array([True, False] * (N // 2)),
            nothing=pa.array([None] * N),
            day=pa.array([0] * N, pa.date32()),
        )
    )
    assert forms(found) == {
        "image": ("vector", 4),
        "text": ("vector", 4),
        "half": ("vector", 4),
        "ragged": ("none", 1),
        "nested": ("none", 1),
        "kind": ("text", 1),
        "label": ("whole", 1),
        "flag": ("whole", 1),
        "nothing": ("none", 1),
        "day": ("none", 1),
    }
    assert np.array_equal(found["image"][1], X)
    assert np.array_equal(found["text"][1][:-1], X[:-1])
    assert np.isnan(found["text"][1][-1]).all()
    assert found["kind"][1][:3] == ["a", "", "b"]
    assert found["label"][1][:2].tolist() == [0, GAP]
    assert (found["label"][0].gaps, found["kind"][0].gaps) == (N // 2, N // 3)
    assert found["ragged"][0].why == "lists of unequal length"


def test_pictures_are_read_small_and_on_white(tmp_path):
    cells = [picture(), picture("JPEG"), None, b"\x89PNG broken", picture("GIF")] * (N // 5)
    columns = {"seen": cells, "shown": [{"bytes": cell, "path": "x"} for cell in cells], "other": [b"1"] * N}
    found, _ = through(packed(tmp_path, **columns))
    for name in ("seen", "shown"):
        column, values = found[name]
        assert (column.form, column.gaps, column.why) == ("image", 3 * N // 5, "32 × 32 × 3")
        assert values[0, 16, 16].tolist() == [255, 0, 0]
        assert np.abs(values[1, 16, 16].astype(int) - [255, 0, 0]).max() < 5
        assert (values[[2, 3, 4]] == 255).all()
        assert values[0, 2, 16].tolist() == [255, 255, 255]
    assert (found["other"][0].form, found["other"][0].why) == ("none", "bytes that are no PNG or JPEG")


def test_a_picture_is_refused_by_its_header_and_too_many_by_the_clock():
    limits = Limits(pixels=799)
    assert pictures.read([picture()], limits) == "pictures that cannot be read"
    assert not isinstance(pictures.read([picture()], Limits(pixels=800)), str)
    assert "take more than" in pictures.read([picture()] * 9, Limits(decoding=1e-9))


def test_arrays_of_numpy(tmp_path):
    np.save(tmp_path / "image.npy", X)
    found, table = through(tmp_path / "image.npy")
    assert (table.kind, forms(found)) == ("npy", {"image": ("vector", 4)})
    seen = np.zeros((N, 8, 8, 3), np.uint8)
    words = np.array(["a"] * N)
    np.savez(tmp_path / "all.npz", x=X.astype(float), seen=seen, words=words, share=X[:, 0], odd=X * 1j, y=X[:, 0] > 0)
    found, _ = through(tmp_path / "all.npz")
    assert forms(found) == {
        "x": ("vector", 4),
        "seen": ("image", 1),
        "words": ("text", 1),
        "share": ("none", 1),
        "odd": ("none", 1),
        "y": ("whole", 1),
    }
    assert np.array_equal(found["x"][1], X)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1.0, np.nan, -2.0], [1, GAP, -2]),
        ([True, False], [1, 0]),
        (np.array([3], np.uint64), [3]),
        (np.array([2**63], np.uint64), None),
        ([0.5], None),
        ([np.inf], None),
        ([1e300], None),
    ],
)
def test_whole_numbers_are_known_whatever_type_holds_them(values, expected):
    found = whole(np.asarray(values))
    assert (found if found is None else found.tolist()) == expected


def npy(shape, kind="<f4", body=b""):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    return file.getvalue() + body


def objects():
    file = io.BytesIO()
    np.save(file, np.array([{}] * N), allow_pickle=True)
    return file.getvalue()


def dictionary_bomb():
    """Two million cells of 100,000 letters each in a few kilobytes."""
    file = io.BytesIO()
    cells = pa.DictionaryArray.from_arrays(pa.array(np.zeros(2_000_000, np.int32)), pa.array(["z" * 100_000]))
    parquet.write_table(pa.table({"x": cells}), file)
    assert file.tell() < 100_000
    return file.getvalue()


def run_length_bomb(columns):
    """Two million equal numbers in each column, in some hundred kilobytes."""
    file = io.BytesIO()
    zeros = pa.array(np.zeros(2_000_000, np.float32))
    parquet.write_table(pa.table({f"x{i}": zeros for i in range(columns)}), file)
    assert file.tell() < 300_000
    return file.getvalue()


def whole_parquet():
    file = io.BytesIO()
    parquet.write_table(pa.table({"x": X.tolist()}), file)
    return file.getvalue()


HOSTILE = {
    "a header that lies": ("x.npy", lambda: npy((10**9, 10**9)), "shorter than its header says"),
    "a short npy": ("x.npy", lambda: npy((4, 4), body=bytes(60)), "shorter than its header says"),
    "objects": ("x.npy", objects, "holds Python objects"),
    "no npy": ("x.npy", lambda: b"hello, this is no array", "is no .npy"),
    "a header of code": ("x.npy", lambda: npy((1,)).replace(b"'shape': (1,)", b"'shape': f(1)"), "is no .npy"),
    "strings cut into bombs": ("x.npy", lambda: npy((10**6,), f"<U{10**6}"), "shorter than its header says"),
    "an npz of nothing": ("x.npz", lambda: b"PK\x03\x04", "cannot be read as an .npz"),
    "a dictionary bomb": ("x.parquet", dictionary_bomb, "asks for more than 250 MB of memory"),
    "a run-length bomb": ("x.parquet", lambda: run_length_bomb(40), "need 320 MB; expected at most 200 MB"),
    "no parquet": ("x.parquet", lambda: b"PAR1" + bytes(60) + b"PAR1", "cannot be read"),
    "half a parquet": ("x.parquet", lambda: whole_parquet()[:-100] + b"PAR1", "cannot be read"),
    "a million columns": (
        "x.csv",
        lambda: b",".join([b"x"] * 10**6) + b"\n",
        "has 1,000,000 columns; expected at most",
    ),
    "no columns": ("x.csv", lambda: b"", "cannot be read"),
    "ragged rows": ("x.csv", lambda: b"a,b\n1,2\n1,2,3\n", "cannot be read"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_table_ends_in_one_sentence(name, tmp_path):
    file_name, make, said = HOSTILE[name]
    file = tmp_path / file_name
    file.write_bytes(make())
    with pytest.raises(Refusal) as refused:
        fence.through(file, tmp_path / "out", Limits())
    sentence = str(refused.value)
    assert said in sentence
    assert "expected" in sentence
    assert "\n" not in sentence
    assert len(sentence) < 400


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"rows": 29}, "has 30 rows; expected at most 29"),
        ({"columns": 5}, "has 6 columns; expected at most 5"),
        ({"unpacked": 479}, "need 0 MB; expected at most 0 MB"),
        ({"table": 300}, "expected at most 0 MB"),
        ({"seconds": 1e-6}, "took more than 0 s; expected less: save fewer rows"),
    ],
)
def test_limits_are_held(limits, said, tmp_path):
    text = rows("x0,x1,x2,x3,y,name", lambda i: [*X[i], i % 3, f"n{i}"])
    with pytest.raises(Refusal, match=said):
        through(written(tmp_path, text), **limits)


def test_what_is_too_much_text_or_too_many_columns_is_left_out(tmp_path):
    text = rows("a,x0,x1,b", lambda i: ["aa" * 20, *X[i, :2], f"b{i}"])
    found, table = through(written(tmp_path, text), cell=10, letters=10 * N, pieces=2)
    assert forms(found) == {"x": ("vector", 2), "a": ("text", 1)}
    assert found["a"][1] == ["a" * 10] * N
    assert table.more == 1


def test_the_reader_goes_on_after_every_bomb(tmp_path):
    file = tmp_path / "x.parquet"
    file.write_bytes(dictionary_bomb())
    with pytest.raises(Refusal):
        fence.through(file, tmp_path / "out", Limits())
    found, _ = through(packed(tmp_path, x=X.tolist()))
    assert np.array_equal(found["x"][1], X)


def honest(tmp_path):
    """One small file of each kind."""
    columns = {"image": X.tolist(), "text_0": X[:, 0], "text_1": X[:, 1], "y": np.arange(N) % 3}
    packed(tmp_path, **columns)
    written(tmp_path, rows("image_0,image_1,y,title", lambda i: [*X[i, :2], i % 3, f'"t {i}"']))
    np.save(tmp_path / "mine.npy", X)
    np.savez(tmp_path / "mine.npz", x=X, y=np.arange(N) % 3)
    return [tmp_path / f"mine.{kind}" for kind in ("parquet", "csv", "npy", "npz")]


def test_cut_and_flipped_tables_are_opened_or_refused_in_one_sentence(tmp_path):
    dice, refused = random.Random(0), []
    for file in honest(tmp_path):
        content = file.read_bytes()
        for turn in range(12):
            changed = bytearray(content)
            if turn % 3 == 0:
                del changed[dice.randrange(len(content)) :]
            else:
                changed[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
            file.write_bytes(changed)
            try:
                Table.model_validate(fence.through(file, tmp_path / f"{file.suffix}-{turn}", Limits()))
            except Refusal as error:
                refused.append(str(error))
    assert len(refused) > 12
    assert [sentence for sentence in refused if "\n" in sentence or len(sentence) > 400] == []


def test_a_system_that_cannot_fork_reads_a_table_in_a_fresh_process(tmp_path, monkeypatch):
    monkeypatch.setattr(fence, "forks", lambda: False)
    found, _ = through(packed(tmp_path, x=X.tolist()))
    assert np.array_equal(found["x"][1], X)
