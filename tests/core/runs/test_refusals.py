"""Every loss on every kind of data: it trains on the smallest batch, or is refused in one sentence before."""

import dataclasses
from collections.abc import Mapping

import pytest
import torch

from core.data.loading import load
from core.data.registry import DATA, DataSet
from core.losses.registry import LOSSES, LossEntry
from core.methods.registry import METHODS
from core.recipe import Recipe
from core.runs.fit import Unfit, check_fit, offered
from core.runs.trainer import Trainer
from tests.core.runs.conftest import small

Link = Mapping[str, str]
WORLDS: Mapping[str, Link] = {
    "two vectors": {},
    "two vectors without classes": {},
    "three vectors": {"data__kind": "mfeat", "data__modalities": "fou,zer,mor"},
    "bags": {"data__kind": "clips", "data__videos": "60", "encoder__bag__width": "16"},
}
OTHERS: Mapping[str, Link] = {
    "images": {"data__kind": "digits", "data__form": "image"},
    "an image and a text": {"data__kind": "emoji", "data__items": "60"},
}
QUEUE = {"method__kind": "queue", "method__size": "8"}


def world(name: str, **more: str) -> tuple[Recipe, DataSet]:
    recipe = small(**{**WORLDS, **OTHERS}[name], loss__kind="clip", **{"method__batch": "2", **more})
    data = load(recipe.data)
    return recipe, dataclasses.replace(data, classes=()) if "without" in name else data


def asked(recipe: Recipe, entry: LossEntry) -> Recipe:
    return recipe.model_copy(update={"loss": entry.params()})


@pytest.mark.parametrize("method", METHODS.keys())
@pytest.mark.parametrize("name", [*WORLDS, *OTHERS])
def test_a_loss_is_offered_or_its_refusal_is_one_sentence(name: str, method: str):
    recipe, data = world(name, method__kind=method)
    fit = []
    for entry in LOSSES:
        try:
            check_fit(asked(recipe, entry), data)
        except Unfit as refused:
            said = str(refused)
            assert ". " not in said, said
            assert "; choose" in said or "; turn" in said, said
            continue
        fit.append(entry.key)
    assert {"clip", "nt_xent", "ranking"} <= set(fit) or not fit
    if fit:
        assert offered(recipe, data) == fit


@pytest.mark.parametrize("name", WORLDS)
def test_what_is_not_refused_trains_even_on_two_items(name: str):
    recipe, data = world(name)
    for entry in (LOSSES[key] for key in offered(recipe, data)):
        assert Trainer(asked(recipe, entry), data, torch.device("cpu")).advance()["loss"].isfinite(), entry.key


@pytest.mark.parametrize("name", WORLDS)
def test_what_a_queue_makes_possible_trains_on_two_items_and_a_bank_of_eight(name: str):
    plain, data = world(name)
    recipe, _ = world(name, **QUEUE)
    more = [key for key in offered(recipe, data) if key not in offered(plain, data)]
    assert "moco" in more
    for entry in (LOSSES[key] for key in more):
        assert Trainer(asked(recipe, entry), data, torch.device("cpu")).advance()["loss"].isfinite(), entry.key


@pytest.mark.parametrize("method", ["shuffle", "queue"])
@pytest.mark.parametrize("key", ["hiclr", "cacr_moco"])
def test_one_key_for_all_views_is_what_no_teacher_has(key: str, method: str):
    recipe, data = world("two vectors", method__kind=method)
    with pytest.raises(Unfit, match=r"asks for one key of all views of an item, .*; choose moco"):
        check_fit(asked(recipe, LOSSES[key]), data)


def test_every_data_set_that_is_shipped_is_one_of_these():
    kinds = {link.get("data__kind", "circle") for link in (*WORLDS.values(), *OTHERS.values())}
    assert set(DATA.keys()) - kinds == {"npz"}, "a file of one's own has the forms of the others"


@pytest.mark.parametrize("entry", [e for e in LOSSES if "labels" in e.needed], ids=lambda e: e.key)
def test_without_classes_a_loss_of_classes_says_that_it_lacks_them(entry: LossEntry):
    recipe, data = world("two vectors without classes")
    with pytest.raises(Unfit, match=r"needs (.*, )?labels"):
        check_fit(asked(recipe, entry), data)
