"""What another process finds, with other hashes of strings and another order of imports: the same things, and no more.

One process says it all, since to start one takes longer than any of these tests.
"""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from core.data.circle import Circle
from core.data.clips import Clips
from core.data.digits import Digits
from core.data.emoji import Emoji
from core.data.loading import load
from core.data.mfeat import MFeat
from core.data.registry import Modality
from core.encoders.text import Text, hashed
from core.environment import ROOT
from core.losses.registry import LOSSES
from tests.core.runs.conftest import SMALL

LATE = ("sklearn", "umap", "scipy", "numba", "streamlit", "plotly", "altair")
SETS = "(Emoji(items=48), MFeat(), Circle(), Digits(), Clips())"
TEXTS = ("grinning face", "果物")
CODE = f"""
import json, sys
import core.losses.triplet
from core.catalogue import catalogue
catalogue()
said = {{"late": [name for name in {LATE} if name in sys.modules]}}
from core.losses.registry import LOSSES
said["order"] = [entry.call.__module__ for entry in LOSSES]
from core.addresses import read
from core.recipe import Recipe
from core.runs.worker import prepare, work
folder = prepare(read({SMALL | {"steps": "3"}!r}, Recipe())[0])
work(folder)
said["state"] = folder.status().state
said["compiler"] = "torch._dynamo" in sys.modules
from core.data.registry import Modality
from core.encoders.text import Text, hashed
said["hashed"] = hashed(Modality("t", "text", {TEXTS}, "t"), Text()).nonzero().flatten().tolist()
from core.data.loading import load
from core.data.circle import Circle
from core.data.clips import Clips
from core.data.digits import Digits
from core.data.emoji import Emoji
from core.data.mfeat import MFeat
said["digests"] = [load(p).digest for p in {SETS}]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def said(tmp_path_factory) -> dict[str, Any]:
    """What the other process found."""
    environment = os.environ | {"PYTHONHASHSEED": "7", "PUSHPULL_HOME": str(tmp_path_factory.mktemp("another"))}
    done = subprocess.run(
        [sys.executable, "-c", CODE], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_order_of_the_losses_does_not_depend_on_who_was_imported_first(said):
    assert said["order"] == sorted(said["order"])
    assert said["order"] == [entry.call.__module__ for entry in LOSSES]


def test_the_slow_libraries_are_imported_when_they_are_needed(said):
    assert said["late"] == []


def test_a_run_imports_nothing_of_the_compiler(said):
    assert said["state"] == "done"
    assert said["compiler"] is False


def test_texts_are_hashed_to_the_same_numbers(said):
    assert said["hashed"] == hashed(Modality("t", "text", TEXTS, "t"), Text()).nonzero().flatten().tolist()


def test_the_data_are_the_same(said):
    assert said["digests"] == [load(p).digest for p in (Emoji(items=48), MFeat(), Circle(), Digits(), Clips())]
