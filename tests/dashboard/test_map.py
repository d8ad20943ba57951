"""Map: what is drawn is the embedding, how far it can be trusted is said, and the worker's troubles are too."""

import io

import numpy as np
import pytest
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from core.data import npz
from core.runs import launch, layouts
from core.runs.folder import RunFolder, write_arrays
from dashboard import map_panels, map_view
from tests.dashboard.apps import SMALL, link_of, opened, seen, train, well
from tests.dashboard.planted import plant, unit

DEEP = SMALL | {"encoder.dim": "8"}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    return tmp_path


@pytest.fixture(autouse=True)
def workers(monkeypatch) -> list[list[str]]:
    """What would have been started in processes of their own; nothing is."""
    started: list[list[str]] = []
    monkeypatch.setattr(launch, "detach", lambda words, log: started.append(words))
    return started


@pytest.fixture
def figures(monkeypatch) -> dict[str, object]:
    """The charts of the last page that was opened, by key."""
    shown: dict[str, object] = {}
    draw = map_panels.show

    def kept(key, title, sentence, chart, **more):
        shown[key] = chart
        return draw(key, title, sentence, chart, **more)

    monkeypatch.setattr(map_panels, "show", kept)
    return shown


def places(chart) -> np.ndarray:
    return np.stack([chart.columns["x"], chart.columns["y"]], axis=1)


def says(app, text: str) -> bool:
    return any(text in each for each in seen(app).texts)


def file_of(**arrays) -> dict[str, str]:
    content = io.BytesIO()
    np.savez(content, **arrays)
    return {"data.kind": "npz", "data.digest": npz.add(content.getvalue())}


def link(run: RunFolder, **more: str) -> dict[str, str]:
    return {"run": run.path.name} | {key.replace("__", "."): value for key, value in more.items()}


def test_without_a_run_the_page_teaches_and_trains_one_when_asked(monkeypatch):
    started: list[RunFolder] = []
    monkeypatch.setattr("dashboard.lab.start", started.append)
    app = opened("map", SMALL)
    assert says(app, "There is no run to draw yet")
    assert started == []
    well(app.button[0].click().run())
    assert len(started) == 1
    assert says(app, "Training has begun")


def test_the_map_by_pca_is_the_projection_and_its_numbers_are_those_of_the_embedding(figures):
    run = train(DEEP)
    app = opened("map", link(run, map__modality="right", map__group="cluster 2"))
    panel = seen(app).panels["c_map"]
    z, xy = run.embeddings()["right"].astype(float), places(figures["map"])
    centred = z - z.mean(axis=0)
    _, values, axes = np.linalg.svd(centred, full_matrices=False)
    assert np.abs(xy) == pytest.approx(np.abs(centred @ axes[:2].T), abs=1e-4)
    near = [NearestNeighbors(n_neighbors=10).fit(x).kneighbors(return_distance=False) for x in (z, xy)]
    kept = np.mean([len({*a} & {*b}) / 10 for a, b in zip(*near, strict=True)])
    held = (values[:2] ** 2).sum() / (values**2).sum()
    assert f"hold {100 * held:.0f}% of the variance and keep {100 * kept:.0f}% of the ten nearest" in panel.sentence
    assert "All 120 points; **cluster 2** in ink (20)." in panel.sentence
    assert f"trust {trustworthiness(z, xy, n_neighbors=5):.2f}" in panel.chip
    assert np.flatnonzero(figures["map"].columns["in ink"]).tolist() == list(range(40, 60))


def test_on_noise_the_page_says_that_there_is_no_structure(figures):
    run = plant({"left": unit(120, 64, 1), "right": unit(120, 64, 2)})
    panels = seen(opened("map", link(run))).panels
    assert "no structure" in panels["c_noise"].chip
    assert "no structure" in panels["c_map"].sentence
    z = run.embeddings()["left"]
    ours = trustworthiness(z, places(figures["map"]), n_neighbors=5)
    mixed = map_view.shuffled_twin(z, np.zeros(120, dtype=int))
    centred = mixed - mixed.mean(axis=0)
    theirs = trustworthiness(mixed, centred @ np.linalg.svd(centred, full_matrices=False)[2][:2].T, n_neighbors=5)
    assert ours == pytest.approx(theirs, abs=0.05)
    assert f"Trust {ours:.2f} here, {theirs:.2f} when every column is shuffled" in panels["c_noise"].sentence


def test_many_items_of_noise_are_trusted_no_more_than_a_random_layout(figures):
    x = unit(2000, 512, 1)
    panels = seen(opened("map", file_of(one=x) | {"map.items": "file"})).panels
    anywhere = layouts.sampled_trust(x, np.random.default_rng(0).normal(size=(2000, 2)))
    ours = layouts.sampled_trust(x, places(figures["map"]))
    assert ours == pytest.approx(anywhere, abs=0.05)
    assert f"trust {ours:.2f}" in panels["c_map"].chip
    assert "no structure" in panels["c_noise"].chip


def test_clusters_are_not_called_noise():
    rng = np.random.default_rng(0)
    z = np.eye(16)[np.repeat(np.arange(6), 20)] + 0.1 * rng.normal(size=(120, 16))
    z = (z / np.linalg.norm(z, axis=1, keepdims=True)).astype(np.float32)
    panels = seen(opened("map", link(plant({"left": z, "right": z})))).panels
    assert "no structure" not in panels["c_noise"].chip + panels["c_map"].sentence


def test_an_embedding_of_two_dimensions_is_shown_as_it_is(figures):
    run = train(SMALL)
    app = opened("map", link(run, map__layout="umap"))
    assert "nothing was projected" in seen(app).panels["c_map"].sentence
    assert "exact" in seen(app).panels["c_map"].chip
    assert np.array_equal(places(figures["map"]).astype(np.float32), run.embeddings()["left"])
    assert next(each for each in app.segmented_control if each.key == "map.layout").disabled


def test_step_by_step_the_axes_are_those_of_the_last_step(figures):
    run = train(DEEP)
    for at in ("0", "-1"):
        opened("map", link(run, map__items="probe", at=at))
        step = 0 if at == "0" else run.snapshots()[-1]
        z, last = (run.snapshot(each)["z.left"].astype(float) for each in (step, run.snapshots()[-1]))
        axes = np.linalg.svd(last - last.mean(axis=0), full_matrices=False)[2][:2]
        assert np.abs(places(figures["map"])) == pytest.approx(np.abs((z - last.mean(axis=0)) @ axes.T), abs=1e-4)


def test_both_modalities_share_one_map_and_either_can_be_in_ink(figures):
    run = train(DEEP)
    app = opened("map", link(run, map__modality="both", map__group="right"))
    sentence = seen(app).panels["c_map"].sentence
    assert "All 240 points, each item once in left and once in right; **right** in ink (120)" in sentence
    assert np.flatnonzero(figures["map"].columns["in ink"]).tolist() == list(range(120, 240))


def answer(wanted: layouts.Wanted, trust: float) -> np.ndarray:
    """What the worker would have written."""
    xy = np.random.default_rng(len(wanted.key)).normal(size=(len(wanted.x), 2)).astype(np.float32)
    write_arrays(layouts.answer_file(wanted.key), {"coordinates": xy, "trust": trust, "tiny": False})
    layouts.request_file(wanted.key).unlink(missing_ok=True)
    return xy


def waiting() -> list[str]:
    return sorted(file.stem for file in (layouts.layouts_home() / "wanted").glob("*.npz"))


def test_umap_is_asked_for_while_pca_stands_in_and_shown_when_it_is_there(figures, workers):
    run = plant({"left": unit(120, 8, 1), "right": unit(120, 8, 2)})
    app = opened("map", link(run, map__layout="umap"))
    assert workers == [["layout"]]
    assert "PCA" in seen(app).panels["c_map"].sentence
    main = layouts.Wanted(run.embeddings()["left"])
    assert waiting() == [main.key]
    xy = answer(main, 0.87)
    well(app.run())
    panels = seen(app).panels
    assert np.array_equal(places(figures["map"]).astype(np.float32), xy)
    assert "trust 0.87" in panels["c_map"].chip
    assert "c_noise" not in panels
    assert says(app, "Two more maps are on their way")
    other, shuffled = map_view._companions(main.key, main, np.zeros(120, dtype=int))
    assert waiting() == sorted([other.key, shuffled.key])
    answer(other, 0.5)
    answer(shuffled, 0.84)
    well(app.run())
    panels = seen(app).panels
    assert "Trust 0.87 here, 0.84 when every column is shuffled: a lead of +0.03" in panels["c_noise"].sentence
    assert "no structure" in panels["c_noise"].chip
    assert waiting() == []


def test_before_the_last_step_umap_starts_from_the_map_of_the_last():
    run = train(DEEP)
    source = map_view.of_run(run.path.name, 0)
    points = map_view.cloud(source, "left")
    last = layouts.Wanted(points.end)
    assert map_view.by_umap(points, 15, 0.1)[1].keys == (last.key,)
    xy = answer(last, 0.9)
    plane, owed = map_view.by_umap(points, 15, 0.1)
    assert plane is None
    assert owed.keys == (layouts.Wanted(points.z, xy, epochs=30).key,)


def test_a_worker_that_is_gone_is_said_and_a_button_starts_it_again(workers):
    run = plant({"left": unit(120, 8, 1), "right": unit(120, 8, 2)})
    app = opened("map", link(run, map__layout="umap"))
    layouts.say("working", 3.0)
    well(app.run())
    assert says(app, "is gone; what you asked for is kept")
    assert len(waiting()) == 1
    assert len(workers) == 1
    well(app.button(key="restart_maps").click().run())
    assert len(workers) == 2
    assert not says(app, "is gone")


def test_cancel_withdraws_what_was_asked_and_goes_back_to_pca():
    run = plant({"left": unit(120, 8, 1), "right": unit(120, 8, 2)})
    app = opened("map", link(run, map__layout="umap"))
    assert len(waiting()) == 1
    well(app.button(key="cancel_maps").click().run())
    assert waiting() == []
    assert "map.layout" not in link_of(app)


def test_a_loop_shows_what_it_caught_and_the_true_neighbours_of_its_middle(monkeypatch):
    run = train(DEEP)
    rows = list(range(30, 60))
    monkeypatch.setattr(map_panels, "caught", lambda state, chart: rows)
    app = opened("map", link(run))
    assert says(app, "30 items in your loop, 24 round its middle shown.")
    monkeypatch.setattr(map_panels, "caught", lambda state, chart: [7])
    app = opened("map", link(run))
    assert says(app, "1 item in your loop.")
    z = run.embeddings()["left"]
    nearest = sorted((i for i in range(120) if i != 7), key=lambda i: -float(z[i] @ z[7]))[:8]
    same = sum(i // 20 == 0 for i in nearest)
    assert says(app, f"Nearest to **cluster 0, point 7** in all 8 dimensions, not on the map: {same} of 8 are")
    assert says(app, ", ".join(f"cluster {i // 20}, point {i}" for i in nearest))


def test_neighbours_in_both_modalities_are_other_items_each_once():
    left = unit(120, 8, 1)
    right = left + 0.1 * unit(120, 8, 2)
    right /= np.linalg.norm(right, axis=1, keepdims=True)
    points = map_view.cloud(map_view.of_run(plant({"left": left, "right": right}).path.name, None), "both")
    found = points.item[map_view.alike(points, 130, 8)]
    slow: list[int] = []
    for row in sorted(range(240), key=lambda row: -float(points.z[row] @ points.z[130])):
        if row % 120 not in (10, *slow):
            slow.append(row % 120)
    assert found.tolist() == slow[:8]


def test_of_very_many_points_an_even_choice_is_drawn_and_counted(monkeypatch):
    run = plant({"left": unit(120, 8, 1), "right": unit(120, 8, 2)})
    monkeypatch.setattr(map_view, "kept", lambda n: np.arange(0, n, 4))
    sentence = seen(opened("map", link(run))).panels["c_map"].sentence
    assert "30 of 120 points" in sentence


def test_a_damaged_run_is_one_sentence_and_another_can_be_chosen():
    good = plant({"left": unit(120, 8, 1), "right": unit(120, 8, 2)})
    bad = plant({"left": unit(120, 8, 3), "right": unit(120, 8, 4)}, seed="1")
    (bad.path / "embeddings.npz").write_bytes(b"PK\x03\x04 torn")
    newer = plant({"left": unit(120, 8, 3), "right": unit(120, 8, 4)}, seed="2")
    recipe = (newer.path / "recipe.json").read_text()
    (newer.path / "recipe.json").write_text(recipe.replace('"schema_version": 1', '"schema_version": 2'))
    odd = plant({"left": unit(120, 8, 3), "right": unit(120, 8, 4)}, seed="3")
    (odd.path / "recipe.json").write_text('{"schema_version": 1, "steps": 24}')
    app = opened("map", link(bad))
    assert [each.value for each in app.error] == [
        f"{bad.path / 'embeddings.npz'} is not readable (File is not a zip file); resume the run or delete it"
    ]
    names = next(each for each in app.selectbox if each.key == "run").options
    assert len(names) == 2
    app.selectbox(key="run").set_value(good.path.name)
    assert "c_map" in seen(well(app.run())).panels


def test_a_run_of_data_that_have_changed_is_refused():
    run = plant({"left": unit(120, 8, 1), "right": unit(120, 8, 2)})
    environment = (run.path / "environment.json").read_text()
    (run.path / "environment.json").write_text(environment.replace('"data": "', '"data": "0'))
    assert "was trained on other data" in opened("map", link(run)).error[0].value


def test_a_file_is_drawn_as_it_is_and_without_labels_nothing_is_in_ink(figures):
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(50, 6)) + 5).astype(np.float32)
    app = opened("map", file_of(one=x) | {"map.items": "file"})
    z = x / np.linalg.norm(x, axis=1, keepdims=True)
    centred = z - z.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    assert np.abs(places(figures["map"])) == pytest.approx(np.abs(centred @ axes.T), abs=1e-4)
    assert not any(figures["map"].columns["in ink"])
    assert seen(app).panels["c_map"].sentence.startswith(":small[All 50 points. ")


def test_names_are_shown_as_they_are_spelt():
    assert map_panels.plain("keycap: *[2]") == r"keycap\: \*\[2\]"


def test_the_shuffled_twin_keeps_a_gap_and_parts_the_pairs():
    left = unit(400, 8, 1)
    shifted = left + 3
    z = np.concatenate([left, shifted / np.linalg.norm(shifted, axis=1, keepdims=True)]).astype(np.float32)
    part = np.repeat([0, 1], 400)
    twin = map_view.shuffled_twin(z, part)
    pairs = [float((x[:400] * (x[400:] - x[400:].mean(axis=0))).sum(axis=1).mean()) for x in (z, twin)]
    assert abs(pairs[1]) < 0.1 * pairs[0]
    gaps = [np.linalg.norm(x[:400].mean(axis=0) - x[400:].mean(axis=0)) for x in (z, twin)]
    assert gaps[1] == pytest.approx(gaps[0], rel=0.05)


def test_a_step_that_is_not_finite_is_said_and_earlier_ones_are_still_drawn(figures):
    run = plant({"left": unit(120, 8, 1), "right": unit(120, 8, 2)})
    last = run.snapshot(run.snapshots()[-1])
    write_arrays(run.path / "snapshots" / "24.npz", last | {"z.left": np.full_like(last["z.left"], np.nan)})
    app = opened("map", link(run, map__items="probe"))
    assert "not finite numbers: the run diverged; choose an earlier step" in app.error[0].value
    assert [each.key for each in app.select_slider if each.key.startswith("cursor_")]
    opened("map", link(run, map__items="probe", at="0"))
    assert np.isfinite(places(figures["map"])).all()
