"""What an experiment is asked to do: validated like a recipe, so that flags, page and files read one schema."""

from typing import Literal

from pydantic import Field

from core.params import Params

TaskName = Literal["retrieval", "recommender", "missing"]
TUNING_SEEDS = (1000, 1001)


class Experiment(Params):
    """One experiment; `task` and `data` choose the recipe that all arms change."""

    task: TaskName = Field("missing", title="Task", description="Which of the three claims is tested.")
    data: Literal["mfeat", "emoji", "ratings"] = Field(
        "mfeat", title="Data", description="Digits in feature sets, or emoji; ratings for the recommender."
    )
    seeds: int = Field(5, ge=2, le=50, title="Seeds", description="Trainings of each arm that are compared, in pairs.")
    configurations: int = Field(
        3, ge=1, le=7, title="Configurations", description="How many each arm tries on two validation seeds each."
    )
    steps: int = Field(0, ge=0, le=100_000, title="Steps", description="Of each training; 0 for the task's own.")
    arms: tuple[str, ...] = Field((), title="Arms", description="Some arms by key; all without it.")
    ratings: str = Field("", title="Ratings", description="A file of ratings, for the recommender.")
    split: Literal["random", "time"] = Field(
        "random", title="Split", description="Of ratings: at random, or each user's latest ones for the test."
    )
