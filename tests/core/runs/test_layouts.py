"""The worker that draws maps serves, remembers, survives being killed, and gives equal bits for equal seeds."""

import contextlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from filelock import FileLock

from core.diagnostics.maps import Layout
from core.diagnostics.trust import trustworthiness
from core.environment import ROOT
from core.runs import launch, layout_worker, layouts
from core.runs.folder import write_json
from core.runs.layout_worker import serve
from core.runs.layouts import Wanted


def cloud(n: int = 60, seed: int = 0, dim: int = 5) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, dim)).astype(np.float32)


@pytest.fixture
def drawn(monkeypatch) -> list[np.ndarray]:
    """A quick stand-in for UMAP, its warm-up left out; the list holds what it was asked to draw."""
    asked: list[np.ndarray] = []

    def quick(x, start=None, **settings) -> Layout:
        asked.append(np.asarray(x))
        if settings["neighbours"] > len(x):
            raise ValueError("more neighbours than items")
        return Layout(torch.as_tensor(x[:, :2]) * settings["min_dist"], tiny=False)

    monkeypatch.setattr(layout_worker, "umap_layout", quick)
    monkeypatch.setattr(layout_worker, "_warm_up", lambda usual: 2.5)
    return asked


def test_a_request_is_served_and_made_once_for_the_same_content(drawn):
    first = layouts.ask(Wanted(cloud(), min_dist=0.5))
    assert layouts.is_waiting(first)
    assert layouts.find(first) is None
    serve(idle_seconds=0)
    found = layouts.find(first)
    assert np.array_equal(found.coordinates, cloud()[:, :2] * np.float32(0.5))
    assert found.trust == layouts.sampled_trust(cloud(), found.coordinates)
    assert layouts.ask(Wanted(cloud().copy(), min_dist=0.5)) == first
    assert not layouts.is_waiting(first)
    serve(idle_seconds=0)
    assert len(drawn) == 1


def test_whatever_decides_the_map_decides_the_key():
    asked = [
        Wanted(cloud()),
        Wanted(cloud(seed=1)),
        Wanted(cloud(), start=np.zeros((60, 2), np.float32)),
        Wanted(cloud(), start=np.ones((60, 2), np.float32)),
        Wanted(cloud(), neighbours=16),
        Wanted(cloud(), min_dist=0.2),
        Wanted(cloud(), epochs=30),
        Wanted(cloud(), seed=1),
        Wanted(cloud().reshape(100, 3)),
    ]
    assert len({wanted.key for wanted in asked}) == len(asked)


def test_the_newest_request_comes_first(drawn):
    for age, seed in ((30, 3), (10, 1), (20, 2)):
        key = layouts.ask(Wanted(cloud(seed=seed)))
        os.utime(layouts.request_file(key), (time.time() - age,) * 2)
    serve(idle_seconds=0)
    assert [next(s for s in (1, 2, 3) if np.array_equal(x, cloud(seed=s))) for x in drawn] == [1, 2, 3]


def test_what_is_withdrawn_while_it_is_drawn_is_dropped(drawn, monkeypatch):
    key = layouts.ask(Wanted(cloud()))
    draw = layout_worker._draw

    def meanwhile(asked):
        layouts.withdraw(key)
        return draw(asked)

    monkeypatch.setattr(layout_worker, "_draw", meanwhile)
    serve(idle_seconds=0)
    assert layouts.find(key) is None
    assert not layouts.is_waiting(key)
    assert len(drawn) == 1


def test_a_map_that_fails_is_answered_by_a_sentence_and_asked_for_again_only_after_it_was_withdrawn(drawn):
    wanted = Wanted(cloud(), neighbours=99)
    key = layouts.ask(wanted)
    serve(idle_seconds=0)
    assert layouts.failure(key) == "There is no such map: more neighbours than items"
    assert not layouts.is_waiting(layouts.ask(wanted))
    layouts.withdraw(key)
    assert layouts.failure(key) == ""
    assert layouts.is_waiting(layouts.ask(wanted))


def test_a_torn_request_or_answer_is_forgotten(drawn):
    key = layouts.ask(Wanted(cloud()))
    layouts.request_file(key).write_bytes(b"PK\x03\x04 torn")
    serve(idle_seconds=0)
    assert layouts.find(key) is None
    assert not layouts.is_waiting(key)
    layouts.ask(Wanted(cloud()))
    serve(idle_seconds=0)
    layouts.answer_file(key).write_bytes(b"PK\x03\x04 torn")
    assert layouts.find(key) is None
    assert layouts.is_waiting(layouts.ask(Wanted(cloud())))


def test_only_the_newest_answers_are_kept(drawn, monkeypatch):
    monkeypatch.setattr(layout_worker, "KEPT", 2)
    keys = [layouts.ask(Wanted(cloud(seed=seed))) for seed in range(4)]
    serve(idle_seconds=0)
    for age, key in enumerate(keys):
        os.utime(layouts.answer_file(key), (time.time() - age,) * 2)
    serve(idle_seconds=0)
    assert [layouts.find(key) is not None for key in keys] == [True, True, False, False]


def test_a_second_worker_leaves_at_once(drawn):
    layouts.ask(Wanted(cloud()))
    with FileLock(layouts.layouts_home() / "lock"):
        serve(idle_seconds=0)
    assert drawn == []


@pytest.mark.parametrize(
    ("said", "seconds_ago", "held", "expected"),
    [
        (None, 0, False, "asleep"),
        ("starting", 0, False, "starting"),
        ("starting", 60, False, "gone"),
        ("warming", 0, True, "warming"),
        ("warming", 0, False, "gone"),
        ("working", 600, True, "working"),
        ("ready", 0, False, "gone"),
        ("asleep", 600, False, "asleep"),
    ],
)
def test_what_the_worker_does_is_read_from_its_word_and_its_lock(said, seconds_ago, held, expected):
    layouts.layouts_home().mkdir(parents=True)
    if said:
        state = {"doing": said, "at": time.time() - seconds_ago, "warm_up": 7.5}
        write_json(layouts.layouts_home() / "state.json", state)
    with FileLock(layouts.layouts_home() / "lock") if held else contextlib.nullcontext():
        now = layouts.worker()
    assert now.doing == expected
    assert now.warm_up == (7.5 if said else 20.0)


def test_a_worker_that_leaves_says_so_and_how_long_it_took_to_warm_up(drawn):
    serve(idle_seconds=0)
    assert (layouts.worker().doing, layouts.worker().warm_up) == ("asleep", 2.5)


def test_a_worker_is_started_where_there_is_none_and_only_there(monkeypatch):
    calls = []
    monkeypatch.setattr(launch, "detach", lambda words, log: calls.append(words))
    layouts.start()
    assert calls == [["layout"]]
    assert layouts.worker().doing == "starting"
    layouts.start()
    with FileLock(layouts.layouts_home() / "lock"):
        layouts.say("ready", 1.0)
        layouts.start()
    assert len(calls) == 1
    layouts.start()
    assert len(calls) == 2


def test_trust_is_that_of_all_items_or_of_an_even_choice_among_many():
    x = cloud(300)
    assert layouts.sampled_trust(x, x[:, :2]) == trustworthiness(x, x[:, :2])
    many = cloud(4_500)
    rows = layouts.sample(4_500)
    assert (len(rows), rows[0], rows[-1]) == (2_000, 0, 4_499)
    assert set(np.diff(rows)) == {2, 3}
    assert layouts.sampled_trust(many, many[:, :2]) == trustworthiness(many[rows], many[rows, :2])
    assert layouts.sampled_trust(x[:3], x[:3, :2]) == trustworthiness(x[:3], x[:3, :2], neighbours=1)


def test_killed_and_started_again_the_worker_serves_what_was_asked_and_the_same_seed_gives_the_same_bits(monkeypatch):
    processes: list[subprocess.Popen] = []

    def begin(words, log) -> None:
        processes.append(subprocess.Popen([sys.executable, "-W", "ignore", "-m", "core", *words], cwd=ROOT))

    def until(happened) -> None:
        while not happened():
            with contextlib.suppress(subprocess.TimeoutExpired):
                processes[-1].wait(timeout=0.02)
                assert happened(), "the worker ended by itself"

    monkeypatch.setattr(launch, "detach", begin)
    wanted, other = Wanted(cloud()), Wanted(cloud(), seed=1)
    key = layouts.ask(wanted)
    try:
        layouts.start()
        until(lambda: layouts.worker().doing == "warming")
        processes[0].kill()
        processes[0].wait()
        assert layouts.worker().doing == "gone"
        assert layouts.is_waiting(key)
        layouts.start()
        until(lambda: layouts.find(key))
        first = layouts.find(key)
        layouts.answer_file(key).unlink()
        layouts.ask(wanted)
        until(lambda: layouts.find(key))
        until(lambda: layouts.find(layouts.ask(other)))
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert np.array_equal(layouts.find(key).coordinates, first.coordinates)
    assert first.coordinates.dtype == np.float32
    assert first.trust == pytest.approx(trustworthiness(cloud(), first.coordinates))
    assert not np.array_equal(layouts.find(other.key).coordinates, first.coordinates)
