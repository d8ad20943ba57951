"""Inspect, what a checkpoint embeds: the card of a run's own file is the card of the run."""

import io
from collections.abc import Mapping

import pytest
import torch

from core.checkpoints import fence
from core.data.loading import load
from core.data.npz import Npz
from core.runs.networks import Networks, prepared
from dashboard import embedded
from tests.dashboard.apps import SMALL, link_of, opened, recipe_of, seen, train, view_of, well

DEEP = SMALL | {"encoder.dim": "8", "optimiser.lr": "0.01"}


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    monkeypatch.setenv("PUSHPULL_HOME", str(tmp_path))
    for kept in (embedded._fitting, embedded._on):
        kept.clear()


def dropped(content: bytes):
    app = opened("inspect", {})
    return well(
        app.file_uploader(key="checkpoint_0").set_value([("own.pt", content, "application/octet-stream")]).run()
    )


def asked(app):
    """What the file that was dropped embeds."""
    return well(opened("inspect", link_of(app) | {"inspect.part": "embed"}))


def saved(state: Mapping[str, object]) -> bytes:
    written = io.BytesIO()
    torch.save(state, written)
    return written.getvalue()


def numbers(app) -> list[tuple[str, str]]:
    return [(each.label, each.value) for each in app.metric]


def text(app) -> str:
    return "\n".join(seen(app).texts)


def test_the_checkpoint_of_a_run_shows_the_numbers_of_the_run_and_opens_as_a_file():
    run = train(DEEP | {"seed": "3", "steps": "60"})
    app = asked(dropped((run.path / "checkpoint.pt").read_bytes()))
    own = opened("inspect", {"run": run.path.name})
    assert numbers(app) == numbers(own)
    assert len(numbers(app)) > 8
    before = [each for each in seen(own).texts if "before training" in each]
    assert [each for each in seen(app).texts if "before training" in each] == before
    assert "30 test items of 'Points in clusters'" in text(app)
    assert "The file says its recipe: Points in clusters, seed 3, 60 steps." in text(app)
    assert "trained]" in text(app)
    assert "untrained]" not in text(app)
    well(app.button(key="embeddings_out").click().run())
    data = view_of(link_of(app)).data
    assert isinstance(data, Npz)
    assert link_of(app)["inspect.of"] == "file"
    assert load(data).classes == load(recipe_of(DEEP).data).classes


def test_random_weights_are_called_untrained_and_what_was_assumed_is_said():
    recipe = recipe_of(DEEP | {"seed": "9"})
    data = load(recipe.data)
    networks = Networks(recipe, data, {m.name: prepared(recipe, m) for m in data.modalities})
    app = asked(dropped(saved({"state_dict": networks.state_dict()})))
    assert text(app).count("untrained]") == 2
    assert "0 of 4 readings are better than at random weights" in text(app)
    assert "The file does not say its recipe" in text(app)


def test_a_network_that_is_not_built_here_says_what_is_needed():
    app = asked(dropped(saved({"odd.weight": torch.ones(7, 3)})))
    assert not app.error
    assert "It embeds nothing here yet." in text(app)
    assert "expected networks that the core can build" in text(app)


def test_a_network_of_a_library_that_is_not_installed_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr("core.checkpoints.extras.find_spec", lambda module: None)
    state = {"patch_embed.proj.weight": torch.ones(4, 3, 2, 2), "blocks.0.attn.qkv.weight": torch.ones(12, 4)}
    app = asked(dropped(saved(state)))
    assert "library timm is not installed" in text(app)
    assert "-m pip install -r core/checkpoints/requirements-vision.txt" in text(app)
    assert len(fence.listed()) == 1
