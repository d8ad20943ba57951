"""The presets: parts of a link that are read without refusal and train."""

import pytest
import torch

from core.addresses import read
from core.data.loading import load
from core.mixing.presets import ABOUT, PRESETS
from core.recipe import Recipe
from core.runs.trainer import Trainer
from tests.core.runs.conftest import BAGS, SMALL


def test_each_preset_has_a_title_and_one_sentence():
    assert list(PRESETS) == list(ABOUT) == ["coot_paper", "gmc_paper", "cml_released", "cml_fixed", "infonce_dmm"]
    for title, sentence in ABOUT.values():
        assert title
        assert sentence.endswith(".")
        assert sentence.count(".") == 1


@pytest.mark.parametrize("data", [{}, BAGS], ids=["vectors", "bags"])
@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_is_read_and_pays_for_mixed_pairs(name: str, data: dict[str, str]):
    recipe, refused = read(SMALL | data | PRESETS[name], Recipe())
    assert refused == []
    columns = {}
    trainer = Trainer(recipe, load(recipe.data), torch.device("cpu"))
    for _ in range(9):
        columns = trainer.advance()
    mixed = [value for key, value in columns.items() if key.startswith("term.mixed")]
    assert mixed
    assert all(value.isfinite() for value in columns.values())
    assert float(sum(mixed)) > 0


def test_the_preset_of_retrieval_mixes_coot_at_every_level():
    recipe, refused = read(SMALL | PRESETS["coot_paper"] | BAGS, Recipe())
    assert refused == []
    columns = Trainer(recipe, load(recipe.data), torch.device("cpu")).advance()
    levels = {f"{kind}.{level}" for kind in ("align", "cluster") for level in ("high", "low")}
    assert {name.removeprefix("term.mixed.") for name in columns if name.startswith("term.mixed.")} == levels


def test_the_released_preset_loses_its_margin_and_the_repaired_one_keeps_it():
    applied = {}
    for name in ("cml_released", "cml_fixed"):
        recipe, _ = read(SMALL | PRESETS[name], Recipe())
        trainer = Trainer(recipe, load(recipe.data), torch.device("cpu"))
        applied[name] = [float(trainer.advance()["margin"]) for _ in range(16)]
    assert applied["cml_released"][0] <= 0.75
    assert applied["cml_released"][-1] < 1e-4
    assert all(0.25 <= margin <= 0.5 for margin in applied["cml_fixed"])
