"""The recommender: paired by seed, tuned without the test ratings, inside its ball, on a generated file of ratings."""

import functools
import itertools
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from core.__main__ import main
from core.data.ratings import LIKED, read
from core.experiments import recommending
from core.experiments.command import settings
from core.experiments.folder import ExperimentFolder
from core.experiments.recommender import Ball, Fit, Likes, Recommending, draw_negatives, fit, likes, pay
from core.experiments.recommending import ARMS, known, measured, without_test
from core.experiments.settings import Experiment
from core.experiments.tasks import tasks
from core.experiments.worker import work
from core.mixing.registry import Known
from core.streams import stream

USERS, ITEMS = 40, 60
STEPS = 40


@pytest.fixture(scope="module")
def ratings(tmp_path_factory) -> str:
    """Two groups of users, each of which likes its own half of the items."""
    g = np.random.default_rng(0)
    lines = ["user,item,rating,time"]
    for user in range(USERS):
        for item in g.choice(ITEMS, 24, replace=False):
            likes_it = (item < ITEMS // 2) == (user < USERS // 2)
            lines.append(f"u{user},i{item},{g.integers(4, 6) if likes_it else g.integers(1, 4)},{g.integers(1e6)}")
    path = tmp_path_factory.mktemp("ratings") / "made.csv"
    path.write_text("\n".join(lines))
    return str(path)


def recipe(ratings: str, arm: str = "base", steps: int = 30, seed: int = 0, **flat: str) -> Recommending:
    asked = Experiment.model_validate(
        {"task": "recommender", "data": "ratings", "ratings": ratings, "steps": steps, **flat}
    )
    chosen = next(each for each in ARMS if each.key == arm)
    return tasks()["recommender"].recipe(asked, {"batch": "16", "dim": "8", **chosen.link, **chosen.tuned[0]}, seed)


@dataclass(frozen=True)
class Walk:
    """The `first` rows of a training, the batch of each step, and the ball after the last."""

    first: list[torch.Tensor]
    batches: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]
    ball: Ball


@pytest.fixture(scope="module")
def walk(ratings) -> Callable[[str], Walk]:
    """Trains an arm for `STEPS` steps, once."""

    @functools.cache
    def walked(arm: str) -> Walk:
        training = Fit(recipe(ratings, arm), likes(recipe(ratings)))
        first, batches = [rows.detach().clone() for rows in training.ball.parameters()], []
        for _ in range(STEPS):
            batches.append(training.batch())
            training.advance()
        return Walk(first, batches, training.ball)

    return walked


def test_training_finds_what_users_like(ratings):
    p = recipe(ratings, steps=400)
    data = likes(p)
    untrained, trained = fit(recipe(ratings, steps=1), data, lambda: None), fit(p, data, lambda: None)
    before, after = (measured(ball, data, "test")[recommending.RECOMMENDER.primary] for ball in (untrained, trained))
    assert after > before + 0.1


@pytest.mark.parametrize("split", ["random", "time"])
def test_negatives_are_never_liked_in_training(ratings, split):
    data = likes(recipe(ratings, split=split))
    user = torch.arange(USERS)
    drawn = draw_negatives(user, data.liked, 30, stream(0, "test"))
    assert drawn.shape == (USERS, 30)
    assert not bool(data.liked[user[:, None], drawn].any())
    assert len(drawn.unique()) == ITEMS


def test_training_reads_the_likes_of_the_train_part_alone(ratings):
    data = likes(recipe(ratings))
    kept = data.split.train & (data.ratings.value >= LIKED)
    assert len(data.pairs) == int(kept.sum()) == int(data.liked.sum())


@pytest.mark.parametrize("arm", [arm.key for arm in ARMS])
def test_arms_share_weights_batches_and_negatives_of_a_seed(ratings, walk, arm):
    base, other = walk("base"), walk(arm)
    assert all(torch.equal(a, b) for a, b in zip(base.first, other.first, strict=True))
    alike = recipe(ratings, arm).negatives == recipe(ratings).negatives
    for mine, theirs in zip(base.batches, other.batches, strict=True):
        assert torch.equal(mine[0], theirs[0])
        assert torch.equal(mine[1], theirs[1])
        if alike:
            assert torch.equal(mine[2], theirs[2])


@pytest.mark.parametrize("arm", [arm.key for arm in ARMS])
def test_rows_stay_in_the_unit_ball_and_training_is_repeatable(ratings, walk, arm):
    p = recipe(ratings, arm, steps=STEPS)
    one, two = walk(arm).ball, fit(p, likes(p), lambda: None)
    for rows, same in zip(one.parameters(), two.parameters(), strict=True):
        assert float(rows.detach().norm(dim=1).max()) <= 1 + 1e-6
        assert torch.equal(rows, same)


def test_at_weight_zero_a_mixed_arm_is_its_base(ratings):
    data = likes(recipe(ratings))
    base, dmm = (Fit(recipe(ratings, key), data) for key in ("base", "dmm"))
    for _ in range(base.epoch_steps):
        base.advance()
        dmm.advance()
    for a, b in zip(base.ball.parameters(), dmm.ball.parameters(), strict=True):
        torch.testing.assert_close(a, b)
    base.advance()
    dmm.advance()
    assert not torch.allclose(base.ball.users, dmm.ball.users)


def test_the_released_margin_decays_and_the_repaired_one_does_not(ratings):
    data = likes(recipe(ratings))
    released, repaired = (Fit(recipe(ratings, key), data) for key in ("dmm_released", "dmm"))
    seen = []
    for _ in range(10):
        released.advance()
        repaired.advance()
        seen.append(float(released.memory["product"]))
    assert all(later < earlier for earlier, later in itertools.pairwise(seen))
    assert seen[-1] <= 0.5**10
    assert "product" not in repaired.memory


def test_twice_pays_the_clean_loss_at_one_plus_the_weight(ratings):
    training = Fit(recipe(ratings, "twice"), likes(recipe(ratings)))
    training.step = 2 * training.epoch_steps
    user, item, negative = training.batch()
    ball = training.ball
    clean = pay(training.p, ball.users[user], ball.items[item], ball.items[negative]).total()
    assert training.payment().total().item() == pytest.approx(1.5 * clean.item(), rel=1e-5)


def test_plain_mixup_pays_for_both_users_likes_by_their_shares(ratings):
    training = Fit(recipe(ratings, "mixup"), likes(recipe(ratings)))
    u, v = training.ball.users[:6], training.ball.items[:6]
    n = training.ball.items[6:18].reshape(6, 2, -1)
    terms = training.mix(u, v, n).terms
    assert set(terms) == {"own", "partner"}
    lam = training.mixing.plan(
        6, training.p.mixing, stream(0, "mixing", 0), Known(margin=float(training.p.loss.margin), z=u.detach(), step=0)
    ).lam[0]
    mixed = lam * u + (1 - lam) * u.flip(0)
    m = training.p.loss.margin
    own = pay(training.p, mixed, v, n, lam * m).total()
    theirs = pay(training.p, mixed, v.flip(0), n.flip(0), (1 - lam) * m).total()
    assert terms["own"].value().item() == pytest.approx((lam * own).item(), rel=1e-5)
    assert terms["partner"].value().item() == pytest.approx(((1 - lam) * theirs).item(), rel=1e-5)


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_candidate_is_what_was_not_rated_before(ratings, part):
    data = likes(recipe(ratings))
    out = known(data, part)
    before = data.split.train | data.split.validation if part == "test" else data.split.train
    assert bool(out[data.ratings.user[before], data.ratings.item[before]].all())
    assert int(out.sum()) == int(before.sum())
    assert not bool(out[data.ratings.user[data.split.test], data.ratings.item[data.split.test]].any())


def spoilt(data: Likes) -> Likes:
    """The same ratings with every like of the test part turned into a dislike, and the other way round."""
    value = torch.where(data.split.test, 6 - data.ratings.value, data.ratings.value)
    return replace(data, ratings=replace(data.ratings, value=value))


def reads_the_test_ratings(run, p: Recommending, monkeypatch) -> bool:
    """Whether what a `run` says of validation depends on the test ratings."""
    plain = run(p, ("validation",), lambda: None)
    with monkeypatch.context() as patch:
        patch.setattr(recommending, "likes", lambda p: spoilt(likes(p)))
        return run(p, ("validation",), lambda: None) != plain


def test_tuning_does_not_read_the_test_ratings_and_a_planted_leak_is_found(ratings, monkeypatch):
    p = recipe(ratings)

    def leaking(p, parts, alive):
        data = recommending.likes(p)
        return {"validation": measured(fit(p, data, alive), data, "test")}

    assert not reads_the_test_ratings(recommending.run, p, monkeypatch)
    assert reads_the_test_ratings(leaking, p, monkeypatch)
    blinded = without_test(likes(p))
    assert not bool(blinded.split.test.any())
    assert int(blinded.ratings.value.isnan().sum()) == int(likes(p).split.test.sum())


def test_the_command_runs_on_a_file_of_ratings_and_does_not_name_its_place(ratings, tmp_path, capsys):
    """One arm has a process of its own; the other is finished here beforehand."""
    flat = {"arms": "base,dmm", "seeds": "2", "configurations": "1", "steps": "5", "split": "time", "ratings": ratings}
    ExperimentFolder(tmp_path).write_asked(settings("recommender", flat))
    work(tmp_path, "base", os.getppid())
    line = [word for name, value in flat.items() for word in (f"--{name}", value)]
    assert main(["experiment", "recommender", "--out", str(tmp_path), *line]) == 0
    assert [file.stem for file in tmp_path.glob("log/*")] == ["dmm"]
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["task"], set(said["test"])) == ("recommender", {"base", "dmm"})
    text = Path(said["file"]).read_text(encoding="utf-8")
    assert str(Path(ratings).parent) not in text
    assert sum(json.loads(text)["sizes"].values()) == len(read(ratings).user)


def test_a_malformed_file_is_refused_before_anything_is_trained(tmp_path, capsys):
    (tmp_path / "bad.csv").write_text("user,item,rating\nu1,i1,5\nu2,i2,many\n")
    assert (
        main(["experiment", "recommender", "--ratings", str(tmp_path / "bad.csv"), "--out", str(tmp_path / "r")]) == 2
    )
    assert "line 3, column 3 (rating) is 'many'" in capsys.readouterr().err
    assert not (tmp_path / "r").exists()


def test_released_measures_count_everyone_and_never_exceed_the_standard_ones_but_for_map():
    scores = torch.tensor([[3.0, 2, 1, 0], [0, 1, 2, 3], [1, 2, 3, 0]])
    wanted = torch.tensor([[True, False, True, False], [True, False, False, False], [False] * 4])
    found = recommending.ranked(scores, wanted)
    assert found["hit1"] == pytest.approx(1 / 2)
    assert found["released.hit1"] == pytest.approx(1 / 3)
    assert found["recall5"] == pytest.approx(1)
    assert found["released.recall5"] == pytest.approx(2 / 3)
    assert found["map10"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 4) / 2)
    assert found["released.map10"] == pytest.approx(((1 + 2 / 3) / 2 + 1 / 4) / 3)
    assert found["map1"] == pytest.approx(1 / 2)
    assert set(found) == set(recommending.TITLES)
