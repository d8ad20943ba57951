"""The door for embeddings: what was understood is read aloud, can be changed, and harms no page whatever its words."""

import io
import re

import numpy as np
import pytest

from core.checkpoints import fence
from core.data.brought import reading
from dashboard.link import code
from tests.dashboard.apps import link_of, opened, seen, well

N = 60
LABELS = np.arange(N) % 3
X = (3 * np.eye(6)[LABELS] + 0.3 * np.random.default_rng(0).normal(size=(N, 6))).astype(np.float32)
EVIL = "![a](http://evil.example/x.png)"


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))


@pytest.fixture(scope="module", autouse=True)
def warm():
    fence.warm_up()


def csv(**columns):
    flat = {}
    for name, values in columns.items():
        flat |= {f"{name}_{i}": each for i, each in enumerate(values.T)} if np.ndim(values) == 2 else {name: values}
    lines = [",".join(flat), *(",".join(map(str, row)) for row in zip(*flat.values(), strict=True))]
    return "\n".join(lines).encode()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def drop(app, **files):
    """Drop files at once; the last underscore of a name is its dot."""
    door = next(each for each in app.file_uploader if (each.key or "").startswith("file_"))
    given = [(".".join(name.rsplit("_", 1)), content, "text/plain") for name, content in files.items()]
    return well(door.set_value(given).run())


def says(app, text):
    return any(text in each for each in seen(app).texts)


def field(app, kind, label):
    return next(each for each in getattr(app, kind) if label in each.label)


def test_a_table_is_read_aloud_and_its_health_is_shown():
    app = drop(opened("inspect", {}), mine_csv=csv(image=X, text=2 * X, y=LABELS, title=[f"t {i}" for i in range(N)]))
    assert says(app, "`mine.csv`: 60 rows × 6, image and text, labels found in `y` (3 classes), names in `title`.")
    assert says(app, "No duplicates. Not L2-normalised.")
    assert link_of(app)["inspect.of"] == "file"
    assert says(app, "all 60 rows of the file")
    assert says(opened("inspect", link_of(app)), "60 rows × 6, image and text")


def test_several_files_at_once_are_one_data_set():
    app = drop(opened("inspect", {}), left_npy=npy(X), right_npy=npy(X), labels_npy=npy(LABELS))
    assert says(app, "`left.npy, right.npy, labels.npy`: 60 rows × 6, left and right, labels found in `labels`")
    assert len(app.metric) > 0


def test_what_was_understood_can_be_changed():
    app = drop(opened("inspect", {}), mine_csv=csv(image=X, text=2 * X, y=LABELS, kind=LABELS % 2))
    before = link_of(app)["data.digest"]
    assert field(app, "selectbox", "Labels").value == "y"
    assert field(app, "selectbox", "Labels").options == ["none", "y", "kind"]
    field(app, "selectbox", "Labels").set_value("kind")
    field(app, "text_input", "image").set_value("photo")
    field(app, "text_input", "text").set_value("")
    well(field(app, "button", "Read it so").click().run())
    assert says(app, "60 rows × 6, photo, labels found in `kind` (2 classes)")
    assert says(app, "Left out: `text` and `y`.")
    after = link_of(app)["data.digest"]
    assert after != before
    found = reading(after)
    assert found is not None
    assert found.uses.modalities == {"image": "photo"}
    assert reading(before) is not None


def test_a_change_that_cannot_be_is_one_sentence_and_the_file_stays_as_it_was():
    app = drop(opened("inspect", {}), mine_csv=csv(image=X, text=X, y=LABELS))
    before = link_of(app)
    field(app, "text_input", "image").set_value("text")
    well(field(app, "button", "Read it so").click().run())
    assert [each.value for each in app.error] == [
        "`mine.csv`: Two modalities bear one name; expected a name for each: change one of them"
    ]
    assert link_of(app) == before
    assert says(app, "60 rows × 6, image and text")


def test_the_door_is_empty_after_a_file_and_takes_the_next_alone():
    app = drop(opened("inspect", {}), bad_csv=b"a,b\n1\n")
    assert "`bad.csv`: The file cannot be read" in app.error[0].value
    drop(app, good_csv=csv(image=X))
    assert len(app.error) == 0
    assert says(app, "`good.csv`: 60 rows × 6, image, no labels.")


def test_a_strangers_words_are_never_markdown():
    app = drop(opened("inspect", {}), **{f"{EVIL}`_csv": csv(**{EVIL: X, f"{EVIL}label": [EVIL] * 30 + ["b"] * 30})})
    assert says(app, code(f"{EVIL}label"))
    assert link_of(app)["inspect.of"] == "file"
    labels = [each.label for kind in (app.text_input, app.selectbox, app.metric) for each in kind]
    marked = [text for text in (*seen(app).texts, *labels) if "![a]" in text or "!\\[a]" in text]
    assert len(marked) >= 4
    assert [text for text in marked if "![a]" in re.sub("`[^`]*`", "", text)] == []
    drop(app, **{f"{EVIL}_npz": b"nothing"})
    assert f"`{EVIL}.npz`: The file cannot be read as an .npz" in app.error[0].value
