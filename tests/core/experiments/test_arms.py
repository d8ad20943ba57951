"""Arms: all controls of the honesty rules are there, each tunes as much, and its recipe is read without refusal."""

import pytest

from core.addresses import flatten
from core.experiments.settings import Experiment
from core.experiments.tasks import tasks

CONTROLS = {"base", "twice", "mix_constant", "mix_zero", "mix_masked", "mixup", "hardest"}
ARMS = [(task, data, arm) for task in tasks().values() for data in task.links for arm in task.arms]


def asked(task: str, data: str) -> Experiment:
    return Experiment.model_validate({"task": task, "data": data, "configurations": 7})


@pytest.mark.parametrize(("task", "data", "arm"), ARMS, ids=[f"{t.key}-{d}-{a.key}" for t, d, a in ARMS])
def test_an_arm_is_a_recipe_with_seven_configurations_to_try(task, data, arm):
    recipes = [task.recipe(asked(task.key, data), {**arm.link, **extra}, 0) for extra in arm.tuned]
    assert len({recipe.model_dump_json() for recipe in recipes}) == len(recipes) == 7
    assert arm.title
    assert arm.about.endswith(".")


@pytest.mark.parametrize("task", tasks().values(), ids=tasks())
def test_arms_of_a_task_differ_in_nothing_but_loss_mixing_and_sampling(task):
    for data in task.links:
        first = task.recipe(asked(task.key, data), {}, 0)
        for arm in task.arms:
            changed = flatten(task.recipe(asked(task.key, data), arm.link, 0), first)
            assert ("encoder.joint" in changed) is (arm.family == "gmc")
            rest = changed.keys() - {"encoder.joint"}
            assert {address.partition(".")[0] for address in rest} <= {"loss", "mixing", "negatives", "lr"}


@pytest.mark.parametrize("key", ["retrieval", "missing"])
def test_every_control_and_every_improvement_is_offered(key):
    arms = {arm.key: arm for arm in tasks()[key].arms}
    assert set(arms) >= CONTROLS | {"dmm", "dmm_each", "dmm_hard", "clip", "clip_margin", "clip_mixed", "clip_dmm"}
    assert all(arms[name].is_control for name in CONTROLS | {"clip", "clip_margin", "clip_mixed"})
    assert all(arm.against in arms for arm in arms.values() if arm.kind == "improvement")


@pytest.mark.parametrize("task", tasks().values(), ids=tasks())
def test_every_challenger_has_a_control_in_its_family(task):
    for arm in task.arms:
        assert arm.is_control or any(other.is_control and other.family == arm.family for other in task.arms)


def test_the_margin_of_the_base_is_swept_over_the_range_that_matters():
    base = next(arm for arm in tasks()["retrieval"].arms if arm.key == "base")
    assert {extra["loss.margin"] for extra in base.tuned} == {"0.1", "0.2", "0.3", "0.4", "0.5", "0.8", "1.2"}
    assert {extra["loss.margin"] for extra in base.tuned[:3]} == {"0.1", "0.3", "0.5"}
