"""Ratings: what is read, what is refused with its line and column, how they are split, and how MovieLens is fetched."""

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from core.data import movielens
from core.data.ratings import BadRatings, parts, read


def lines(n: int = 60, mark: str = ",", time: bool = True) -> list[str]:
    """Ratings of 6 users, 1 to 5 in turn, each item at most once a user."""
    return [
        mark.join([f"u{i % 6}", f"i{i // 6}", str(i % 5 + 1), *([str(1000 - i)] if time else [])]) for i in range(n)
    ]


def written(path: Path, text: str | list[str]) -> str:
    path.write_text(text if isinstance(text, str) else "\n".join(text) + "\n", encoding="utf-8")
    return str(path)


def test_a_csv_is_read_with_and_without_a_heading(tmp_path):
    plain = read(written(tmp_path / "plain.csv", lines()))
    headed = read(written(tmp_path / "headed.csv", ["user,item,rating,timestamp", *lines(), ""]))
    assert (plain.users, plain.items, len(plain.user)) == (6, 10, 60)
    assert torch.equal(plain.value, headed.value)
    assert torch.equal(plain.time, headed.time)
    assert plain.value[:6].tolist() == [1, 2, 3, 4, 5, 1]
    assert plain.digest != headed.digest


@pytest.mark.parametrize(
    ("inside", "mark"), [("ml-100k/u.data", "\t"), ("ml-1m/ratings.dat", "::"), ("own/ratings.csv", ",")]
)
def test_the_archives_of_movielens_are_read(tmp_path, inside, mark):
    with zipfile.ZipFile(tmp_path / "ml.zip", "w") as archive:
        archive.writestr("ml/README", "words")
        archive.writestr(inside, "\n".join(lines(mark=mark)))
    found = read(str(tmp_path / "ml.zip"))
    assert torch.equal(found.value, read(written(tmp_path / "same.csv", lines())).value)


def test_the_atomic_file_of_the_wheel_is_read(tmp_path):
    heading = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    found = read(written(tmp_path / "ml-100k.inter", [heading, *lines(mark="\t")]))
    assert (found.users, found.items, len(found.user)) == (6, 10, 60)


def test_of_two_ratings_of_one_item_the_last_counts(tmp_path):
    found = read(written(tmp_path / "twice.csv", [*lines(), "u0,i0,5,2000"]))
    assert len(found.user) == 60
    assert found.value[0] == 5
    assert found.time is not None
    assert found.time[0] == 2000


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({4: "u1,i1,high,5"}, "line 5, column 3 (rating) is 'high'; expected a number"),
        ({4: "u1,i1,nan,5"}, "line 5, column 3 (rating) is 'nan'"),
        ({7: "u1,i1,3,noon"}, "line 8, column 4 (time) is 'noon'"),
        ({2: "u1,i1"}, "line 3 has 2 columns where the first has 4"),
        ({3: ",i1,3,5"}, "line 4, column 1 (user) is empty"),
        ({3: "u1,,3,5"}, "line 4, column 2 (item) is empty"),
        ({0: "u1;i1;3"}, "line 1 has 1 column; expected user, item, rating"),
    ],
)
def test_what_is_malformed_is_named_with_its_line_and_column(tmp_path, changed, said):
    text = [changed.get(i, line) for i, line in enumerate(lines())]
    with pytest.raises(BadRatings) as refused:
        read(written(tmp_path / "bad.csv", text))
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_that_are_no_ratings_are_refused_in_one_sentence(tmp_path):
    (tmp_path / "bytes.csv").write_bytes(b"u1,i1,3\nu2,\xff\xfe,4\n")
    (tmp_path / "torn.zip").write_bytes(b"PK\x03\x04 torn")
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("words.txt", "none")
    cases = {
        str(tmp_path / "none.csv"): "cannot be read",
        str(tmp_path / "bytes.csv"): "line 2 is not UTF-8",
        str(tmp_path / "torn.zip"): "damaged zip",
        str(tmp_path / "other.zip"): "holds no ratings",
        written(tmp_path / "dull.csv", [line.rpartition(",")[0][:-1] + "1" for line in lines()]): "holds 0 ratings",
        written(tmp_path / "empty.csv", ""): "holds 0 ratings",
    }
    for path, said in cases.items():
        with pytest.raises(BadRatings, match=said):
            read(path)


def test_a_random_split_has_its_shares_and_no_rating_in_two_parts(tmp_path):
    found = parts(read(written(tmp_path / "r.csv", lines())), "random")
    assert [int(part.sum()) for part in (found.train, found.validation, found.test)] == [39, 6, 15]
    assert bool((found.train.int() + found.validation.int() + found.test.int() == 1).all())
    again = parts(read(written(tmp_path / "r.csv", lines())), "random")
    other = parts(read(written(tmp_path / "r.csv", lines())), "random", seed=1)
    assert torch.equal(found.test, again.test)
    assert not torch.equal(found.test, other.test)


def test_a_split_by_time_keeps_the_latest_of_each_user_for_the_test(tmp_path):
    ratings = read(written(tmp_path / "r.csv", lines()))
    found = parts(ratings, "time")
    assert ratings.time is not None
    for user in range(ratings.users):
        own = ratings.user == user
        train, held = ratings.time[own & found.train], ratings.time[own & found.validation]
        test = ratings.time[own & found.test]
        assert (len(train), len(held), len(test)) == (7, 1, 2)
        assert train.max() < held.min() <= held.max() < test.min()


def test_a_split_by_time_needs_times(tmp_path):
    ratings = read(written(tmp_path / "r.csv", lines(time=False)))
    with pytest.raises(BadRatings, match=r"no column 4 \(time\)"):
        parts(ratings, "time")


@pytest.fixture
def own_home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def pip_that_fetches(member: str, code: int = 0):
    """A stand-in for `pip download`, which writes a wheel with `member` in it."""

    def run(words, **more):
        assert words[:4] == [sys.executable, "-m", "pip", "download"]
        assert "--no-deps" in words
        if not code:
            with zipfile.ZipFile(Path(words[words.index("--dest") + 1]) / "recbole-1.2.1-py3-none-any.whl", "w") as whl:
                whl.writestr(member, "\n".join(lines(mark="\t")))
        return subprocess.CompletedProcess(words, code, "", "warning\nERROR: no route to the index\n")

    return run


def test_nothing_is_fetched_before_the_terms_are_accepted(own_home, monkeypatch):
    monkeypatch.setattr(movielens.subprocess, "run", lambda *words, **more: pytest.fail("pip was called"))
    with pytest.raises(movielens.TermsNotAccepted) as refused:
        movielens.ratings_file("", accepted=False)
    assert all(word in str(refused.value) for word in ("GroupLens", "redistributed", "--accept-terms", "--ratings"))


def test_accepted_it_is_fetched_once_into_the_users_own_files(own_home, monkeypatch):
    monkeypatch.setattr(movielens.subprocess, "run", pip_that_fetches(movielens.MEMBER))
    file = movielens.ratings_file("", accepted=True)
    assert file.is_relative_to(own_home)
    assert read(str(file)).users == 6
    monkeypatch.setattr(movielens.subprocess, "run", lambda *words, **more: pytest.fail("pip was called again"))
    assert movielens.ratings_file("", accepted=True) == file
    assert [path.name for path in file.parent.iterdir()] == ["ml-100k.inter"]


@pytest.mark.parametrize(
    ("member", "code", "said"),
    [(movielens.MEMBER, 1, "ERROR: no route to the index"), ("recbole/other", 0, "holds no recbole/dataset_example")],
)
def test_a_failed_download_is_said_and_leaves_nothing(own_home, monkeypatch, member, code, said):
    monkeypatch.setattr(movielens.subprocess, "run", pip_that_fetches(member, code))
    with pytest.raises(BadRatings, match=said):
        movielens.ratings_file("", accepted=True)
    assert not movielens.kept().exists()


def test_the_users_own_file_needs_no_terms_and_must_be_there(own_home, tmp_path):
    path = written(tmp_path / "own.csv", lines())
    assert str(movielens.ratings_file(path, accepted=False)) == path
    with pytest.raises(BadRatings, match="is no file"):
        movielens.ratings_file(str(tmp_path / "none.csv"), accepted=True)


def test_the_order_of_lines_decides_between_equal_times(tmp_path):
    text = [f"u,i{i},5,7" for i in range(40)]
    found = parts(read(written(tmp_path / "r.csv", text)), "time")
    assert np.flatnonzero(found.test.numpy()).tolist() == list(range(30, 40))
