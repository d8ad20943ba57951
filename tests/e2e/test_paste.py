"""Paste in a real browser: a loss is typed, refused, stopped, accepted and trained, and the app lives on."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from core.environment import PASTE, PASTE_LINE
from core.pasted.examples import SOUND
from core.pasted.source import read
from tests.dashboard.apps import SMALL
from tests.e2e.conftest import Server, a_server, until
from tests.e2e.test_look import barriers

ENDLESS = "def loss(scores):\n    while True:\n        pass\n"
LARGE = "def loss(scores):\n    return torch.ones(2_500_000_000).sum()\n"
MINE = SOUND["InfoNCE"].replace("0.1", "0.2")


@pytest.fixture(scope="module")
def pasting(tmp_path_factory) -> Iterator[Server]:
    """A server that was started for it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PASTE, "on")
        yield from a_server(tmp_path_factory.mktemp("paste") / "home")


def type_in(page: Page, text: str) -> None:
    box = page.locator(".st-key-paste_box textarea")
    box.fill(text)
    box.press("Control+Enter")


def test_switched_off_the_page_says_the_line_that_switches_it_on(visit):
    page = visit("/paste", SMALL)
    expect(page.get_by_text("Switched off.")).to_be_visible()
    expect(page.get_by_text(PASTE_LINE)).to_be_visible()
    expect(page.locator("textarea")).to_have_count(0)


def test_a_loss_is_typed_stopped_accepted_kept_and_trained(visit, pasting, tmp_path):
    page = visit("/paste", SMALL, at=pasting)
    expect(page.get_by_text("Accepted: it passed 10 checks")).to_be_visible()
    expect(page.locator(".st-key-c_microscope").get_by_role("img").first).to_be_visible()
    assert barriers(page) == []
    type_in(page, ENDLESS)
    expect(page.get_by_text(re.compile("took more than 5 s and was stopped"))).to_be_visible()
    type_in(page, LARGE)
    expect(page.get_by_text(re.compile("asked for more than 1,000 MB of memory"))).to_be_visible()
    expect(page.locator(".st-key-c_microscope")).to_have_count(0)
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    page.locator(".st-key-paste_file button").first.click()
    page.locator(".st-key-paste_file input[type=file], input[type=file]").last.set_input_files(file)
    expect(page.locator(".st-key-paste_box textarea")).to_have_value(MINE)
    page.keyboard.press("Escape")
    expect(page.get_by_text("Accepted: it passed 10 checks")).to_be_visible()
    name = page.get_by_role("textbox", name="Name")
    name.fill("Warm")
    name.press("Enter")
    page.locator(".st-key-keep button").click()
    expect(page).to_have_url(re.compile(f"paste.code={read(MINE).key}"))
    expect(page.get_by_text("Kept on this machine")).to_be_visible()
    page.reload()
    expect(page.locator(".st-key-paste_box textarea")).to_have_value(MINE)
    page.locator(".st-key-take button").click()
    expect(page.get_by_text("What does this loss do to the points?")).to_be_visible()
    expect(page).to_have_url(re.compile(f"loss.code={read(MINE).key}"))
    page.locator(".st-key-play button").first.click()
    until(lambda: list((pasting.home / "runs").glob("*/result.json")))
    expect(page.locator(".st-key-c_hills").get_by_role("img").first).to_be_visible()
    pasting.stop_trainers()
