"""What columns are taken for, and how it is read aloud."""

import pytest

from core.checkpoints.columns import Column
from core.data.contents import MOST
from core.data.uses import Reading, Seen, Uses, guess, listed

N = 100


def vector(name, width=8, rows=N):
    return Column(name=name, form="vector", rows=rows, width=width, file="000.npy")


def single(name, distinct, form="whole", rows=N):
    return Column(name=name, form=form, rows=rows, distinct=distinct, file="001.npy")


X = vector("x")


@pytest.mark.parametrize(
    ("columns", "labels", "names"),
    [
        ([single("y", 3)], "y", ""),
        ([single("other", 3), single("Target", 90)], "Target", ""),
        ([single("y", 3), single("label", 3)], "label", ""),
        ([single("y", 1), single("other", 3)], "other", ""),
        ([single("species", 3, "text")], "species", ""),
        ([single("split", 3, "text"), single("id", 20)], "", "id"),
        ([single("number", N)], "", ""),
        ([single("many", 21)], "", ""),
        ([single("few", 20)], "few", ""),
        ([single("short", 3, rows=9)], "", ""),
        ([single("words", N, "text")], "", "words"),
        ([single("words", 50, "text")], "", ""),
        ([single("words", N, "text"), single("Title", 60, "text")], "", "Title"),
        ([single("text", 3, "text"), single("file", N, "text")], "", "text"),
        ([], "", ""),
    ],
)
def test_labels_and_names_are_found_by_name_and_else_by_their_values(columns, labels, names):
    found = guess([X, *columns])
    assert (found.labels, found.names) == (labels, names)
    assert found.modalities == {"x": "x"}


def test_in_an_npz_a_text_is_a_modality_unless_it_is_named():
    words, names = single("words", N, "text"), single("names", N, "text")
    found = guess([X, words, names], frozenset({"words", "names"}))
    assert found == Uses(modalities={"x": "x", "words": "words"}, names="names")
    assert guess([X, single("few", 3, "text")], frozenset({"few"})).labels == ""


def test_modalities_bear_names_that_a_file_can_have():
    odd = ["a.b", "a b", "labels", "y", "![x](http://y)", "é", "names", "n" * 60]
    found = guess([vector(name) for name in odd]).modalities
    assert list(found) == odd
    assert list(found.values())[:6] == ["a_b", "a_b_2", "labels_1", "y_1", "x_http_y", "array"]
    assert len(set(found.values())) == len(odd)
    assert max(map(len, found.values())) <= 32


def test_at_most_as_many_modalities_as_a_file_may_hold():
    assert len(guess([vector(f"x{i}") for i in range(20)]).modalities) == MOST


def reading(**changes):
    said = {
        "files": ("mine.csv",),
        "source": "0" * 64,
        "columns": (vector("image_", 512), vector("text_", 512), single("y", 10)),
        "uses": Uses(modalities={"image_": "image", "text_": "text"}, labels="y"),
        "rows": 20_000,
        "modalities": (
            Seen(name="image", form="vector", shape="512", normalised=True),
            Seen(name="text", form="vector", shape="512", normalised=True),
        ),
        "classes": 10,
        "duplicates": 12,
    }
    return Reading.model_validate(said | changes)


def test_it_is_read_aloud():
    assert reading().aloud("`{}`".format) == (
        "20,000 rows × 512, image and text, labels found in `y` (10 classes). 12 duplicates. Looks L2-normalised."
    )


def test_all_that_is_odd_is_said():
    said = reading(
        modalities=(
            Seen(name="image", form="vector", shape="512", normalised=True, constant=3, repeats=15),
            Seen(name="text", form="vector", shape="768", constant=1),
            Seen(name="seen", form="image", shape="32 × 32 × 3"),
        ),
        columns=(
            vector("image_", 512),
            single("y", 10),
            Column(name="seen", form="image", rows=N, gaps=4, why="32 × 32 × 3", file="002.npy"),
            *(Column(name=f"c{i}", form="none", rows=N, why="one column of numbers") for i in range(5)),
        ),
        uses=Uses(modalities={"image_": "image", "text_": "text", "seen": "seen"}, labels="y", names="id"),
        duplicates=1,
        dropped={"image_": 1, "y": 2},
        more=7,
    ).aloud()
    for sentence in (
        "20,000 rows, image (512), text (768) and seen (32 × 32 × 3), labels found in 'y' (10 classes), names in 'id'.",
        "1 duplicate. image alone repeats 15 of its rows.",
        "Of these, image looks L2-normalised and text does not.",
        "3 columns never change in image. 1 column never changes in text.",
        "1 row was left out: NaN or infinity in 'image_'. 2 rows were left out: no label in 'y'.",
        "4 pictures of 'seen' are blank or cannot be read.",
        "Left out: 'c0' (one column of numbers), 'c1' (one column of numbers), 'c2' (one column of numbers), "
        "'c3' (one column of numbers) and 8 more.",
    ):
        assert sentence in said


def test_what_is_not_there_is_not_said():
    only = reading(
        columns=(vector("x", 512),),
        uses=Uses(modalities={"x": "x"}),
        modalities=(Seen(name="x", form="vector", shape="512"),),
        classes=0,
        duplicates=0,
    )
    assert only.aloud() == "20,000 rows × 512, x, no labels. No duplicates. Not L2-normalised."


def test_words_are_listed():
    assert [listed(words) for words in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
