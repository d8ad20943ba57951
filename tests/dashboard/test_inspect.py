"""Inspect: the card says what the run measured, a file is read as embeddings, and nothing broken breaks the page."""

import io
import re

import numpy as np
import pytest

from core.data import npz
from core.runs.folder import RunFolder
from tests.dashboard.apps import HEADLINE, SMALL, link_of, opened, recipe_of, seen, train, well
from tests.dashboard.planted import plant, unit

DEEP = SMALL | {"encoder.dim": "8"}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    return tmp_path


def says(app, text: str) -> bool:
    return any(text in each for each in seen(app).texts)


def metrics(app) -> dict[str, list[str]]:
    """Label -> the values of the metrics under it, in order."""
    found: dict[str, list[str]] = {}
    for each in app.metric:
        found.setdefault(each.label, []).append(each.value)
    return found


def chips(app) -> list[str]:
    return [word for text in seen(app).texts for word in re.findall(r"-badge\[(?::material/\w+: ?)?(.+?)\]", text)]


def press(app, key: str):
    return well(app.button(key=key).click().run())


def content(**arrays) -> bytes:
    written = io.BytesIO()
    np.savez(written, **arrays)
    return written.getvalue()


def drop(app, name: str, data: bytes):
    door = next(each for each in app.file_uploader if (each.key or "").startswith("file_"))
    return well(door.set_value([(name, data, "application/octet-stream")]).run())


def test_with_nothing_to_open_the_page_teaches_and_both_doors_are_there():
    app = opened("inspect", {})
    assert says(app, "Nothing is open yet")
    assert says(app, "None yet.")
    assert "file_0" in [each.key for each in app.file_uploader]
    assert len(app.metric) == 0


def test_the_card_of_a_run_says_what_the_run_measured_when_it_ended():
    run = train(DEEP)
    app = opened("inspect", {"run": run.path.name})
    said, numbers = run.result()["metrics"], metrics(app)
    for name in ("left", "right"):
        rank, even = numbers[name][:2]
        assert rank == f"{said[f'test.effective_rank.{name}']:.1f} of 8"
        assert even.replace("−", "-") == f"{said[f'test.uniformity.{name}']:.2f}"
    apart, gap = numbers["left, right"]
    assert apart == f"{said['test.alignment.left_right']:.2f}"
    assert gap == f"{said['test.modality_gap.left_right']:.2f}"
    for a, b in (("left", "right"), ("right", "left")):
        assert numbers[f"{a} → {b}"] == [f"{100 * said[f'test.r1.{a}_{b}']:.0f}%"]
    assert numbers["together"][:2] == [f"{100 * said[key]:.0f}%" for key in ("test.knn", "test.linear")]
    assert says(app, "30 test items that the run never trained on")
    assert says(app, "before training")
    assert says(app, "Did the training go well?")
    assert "c_spectrum" in seen(app).panels


def test_what_it_was_before_training_is_the_untrained_network_of_the_same_recipe():
    run, unmoved = train(DEEP), train(DEEP | {"steps": "1", "optimiser.lr": "1e-9"})
    shown = [text for text in seen(opened("inspect", {"run": run.path.name})).texts if "before training" in text]
    now = metrics(opened("inspect", {"run": unmoved.path.name}))
    for text, value in zip(shown, [now["left"][0], now["right"][0], now["left"][1], now["right"][1]], strict=False):
        assert text.rstrip("]").endswith(f"before training {value.split(' ')[0]}")


def test_a_hinge_run_says_whether_its_margin_is_alive():
    texts = seen(opened("inspect", {"run": train(DEEP | {"loss.kind": "ranking"}).path.name})).texts
    assert any("non-pairs are pushed" in text or "nothing is pushed" in text for text in texts)
    assert any(f"**{word}**" in text for text in texts for word in ("alive", "silent", "dead margin"))
    texts = seen(opened("inspect", {"run": train(DEEP).path.name})).texts
    assert not any("non-pairs are pushed" in text or "nothing is pushed" in text for text in texts)


def test_collapsed_embeddings_are_called_collapsed():
    same = np.repeat(unit(1, 8), 120, axis=0)
    app = opened("inspect", {"run": plant({"left": same, "right": same}).path.name})
    assert "collapsed" in chips(app)
    assert any("bad" in chip for chip in chips(app))
    assert says(app, "100% tie")


def test_noise_is_near_chance_and_pairs_that_meet_are_aligned():
    noise = opened("inspect", {"run": plant({"left": unit(120, 8, 5), "right": unit(120, 8, 6)}).path.name})
    assert chips(noise).count("near chance") >= 2
    z = unit(120, 8, 5)
    well_paired = opened("inspect", {"run": plant({"left": z, "right": z}, seed="1").path.name})
    assert {"aligned", "together", "one cloud"} <= set(chips(well_paired))


def test_a_run_is_deleted_by_the_second_click_only():
    run, other = train(DEEP), train(DEEP | {"seed": "1"})
    name = run.path.name
    app = opened("inspect", {"run": name})
    press(app, f"delete_{name}")
    assert run.path.exists()
    press(app, f"keep_{name}")
    assert run.path.exists()
    assert [each.key for each in app.button if each.key == f"sure_{name}"] == []
    press(app, f"delete_{name}")
    press(app, f"sure_{name}")
    assert not run.path.exists()
    assert other.path.exists()
    assert link_of(app)["run"] == other.path.name


def test_a_run_at_work_cannot_be_deleted(monkeypatch):
    run = train(DEEP)
    run.say("queued")
    app = opened("inspect", {})
    assert [each.key for each in app.button if each.key and each.key.startswith(("delete", "open"))] == []


def test_open_takes_another_run_into_the_link():
    run, other = train(DEEP), train(DEEP | {"seed": "1"})
    app = opened("inspect", {"run": run.path.name})
    press(app, f"open_{other.path.name}")
    assert link_of(app)["run"] == other.path.name


def spoil(run: RunFolder, how: str) -> str:
    """Damage a run; what the page must say then."""
    recipe = run.path / "recipe.json"
    if how == "torn recipe":
        recipe.write_text('{"schema_ver')
        return "is not JSON"
    if how == "half written":
        recipe.unlink()
        return "has no recipe.json, so it is not a run"
    if how == "newer":
        recipe.write_text(recipe.read_text().replace('"schema_version": 1', '"schema_version": 2'))
        return "has schema version 2, and this Pushpull reads version 1"
    if how == "torn metrics":
        (run.path / "metrics.jsonl").write_text('{"step": 0}\nnonsense\n')
        return "line 2 is not JSON"
    if how == "odd recipe":
        recipe.write_text('{"schema_version": 1, "steps": 24}')
        return "step 24 of 24"
    (run.path / "embeddings.npz").write_bytes(b"PK\x03\x04 torn")
    return "embeddings.npz is not readable"


@pytest.mark.parametrize(
    "how", ["torn recipe", "half written", "newer", "torn metrics", "odd recipe", "torn embeddings"]
)
def test_a_damaged_run_is_one_sentence_and_the_others_open(how):
    good = plant({"left": unit(120, 8, 1), "right": unit(120, 8, 2)})
    bad = plant({"left": unit(120, 8, 3), "right": unit(120, 8, 4)}, seed="1")
    expected = spoil(bad, how)
    app = opened("inspect", {"run": bad.path.name})
    assert says(app, expected) or any(expected in each.value for each in app.error)
    if f"open_{good.path.name}" in [each.key for each in app.button]:
        well(app.button(key=f"open_{good.path.name}").click().run())
    assert len(app.metric) > 0
    assert link_of(app)["run"] == good.path.name


def test_embeddings_that_are_not_finite_are_refused():
    z = unit(120, 8, 1)
    z[3] = np.nan
    app = opened("inspect", {"run": plant({"left": z, "right": unit(120, 8, 2)}).path.name})
    assert "not finite numbers" in app.error[0].value


def test_a_file_is_taken_in_read_as_embeddings_and_restored_by_its_link():
    rng = np.random.default_rng(0)
    labels = np.arange(100) % 4
    a = 3 * np.eye(12)[labels] + 0.3 * rng.normal(size=(100, 12))
    app = drop(opened("inspect", {}), "mine.npz", content(image=a, text=2 * a, labels=labels))
    found = link_of(app)
    assert (found["data.kind"], found["inspect.of"]) == ("npz", "file")
    assert recipe_of({key: value for key, value in found.items() if key.startswith("data")}).data.kind == "npz"
    assert says(app, "every row is divided by its length, and nothing was trained")
    assert says(app, "all 100 rows of the file")
    numbers = metrics(app)
    assert numbers["image → text"] == numbers["text → image"] == ["100%"]
    assert numbers["image, text"] == ["0.00", "0.00"]
    z = a / np.linalg.norm(a, axis=1, keepdims=True)
    singular = np.linalg.svd(z - z.mean(axis=0), compute_uv=False)
    share = (singular / singular.sum())[singular > 0]
    assert numbers["image"][0] == f"{np.exp(-(share * np.log(share)).sum()):.1f} of 12"
    assert not says(app, "before training")
    assert metrics(opened("inspect", found)) == numbers


def test_a_file_without_labels_has_no_probes_and_one_array_no_pairs():
    app = drop(opened("inspect", {}), "mine.npz", content(one=unit(60, 8)))
    titles = {found[1] for text in seen(app).texts if (found := HEADLINE.fullmatch(text))}
    assert {"Has it collapsed?", "Do the items spread out?"} <= titles
    assert not {"Do pairs lie together?", "Does each find its partner?", "Do neighbours agree?"} & titles


@pytest.mark.parametrize(
    ("data", "says_why"),
    [
        (b"no zip", "`mine.npz`: "),
        (content(one=np.full((20, 3), np.nan)), "NaN or infinity"),
        (content(one=np.array(["a"] * 20, dtype=object)), "`mine.npz`: "),
    ],
)
def test_a_bad_file_is_one_sentence_and_what_was_open_stays(data, says_why):
    run = plant({"left": unit(120, 8, 1), "right": unit(120, 8, 2)})
    app = drop(opened("inspect", {"run": run.path.name}), "mine.npz", data)
    assert len(app.error) == 1
    assert says_why in app.error[0].value
    assert link_of(app) == {"run": run.path.name}
    assert len(app.metric) > 0


def test_a_full_disk_keeps_no_file_and_is_said(monkeypatch):
    def full(given: bytes) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(npz, "add", full)
    app = drop(opened("inspect", {}), "mine.npz", content(one=unit(60, 8)))
    assert "could not be kept (No space left on device)" in app.error[0].value


@pytest.mark.parametrize(
    ("arrays", "says_why"),
    [
        ({"one": np.vstack([unit(59, 8), np.zeros((1, 8))])}, "1 rows of 'one' are all 0"),
        ({name: np.array([f"{name} {i}" for i in range(60)]) for name in ("one", "two")}, "holds no vectors"),
    ],
)
def test_a_file_that_holds_no_embeddings_says_what_to_do(arrays, says_why):
    app = drop(opened("inspect", {}), "mine.npz", content(**arrays))
    assert says_why in app.error[0].value


def test_a_link_to_a_file_that_is_not_here_says_so():
    app = opened("inspect", {"data.kind": "npz", "data.digest": "0" * 64, "inspect.of": "file"})
    assert "was added on this machine" in app.error[0].value
    assert "file_0" in [each.key for each in app.file_uploader]
