"""A stranger's checkpoint: taken apart, refused, and held against another, in a real browser."""

import re
from pathlib import Path

import torch
from playwright.sync_api import FileChooser, Page, TimeoutError, expect

from tests.core.checkpoints.hostile import TRACE, runs_a_command
from tests.e2e.conftest import NARROW
from tests.e2e.test_look import barriers, fits, settled

DOOR = "[class*=st-key-checkpoint_] input[type=file]"


def checkpoint(file: Path, moved: float = 0.0) -> Path:
    """Two layers at random, and how far the second was trained on."""
    g = torch.Generator().manual_seed(0)
    first, second, step = (torch.randn(48, 48, generator=g) for _ in range(3))
    torch.save({"first.weight": first, "first.bias": torch.zeros(48), "second.weight": second + moved * step}, file)
    return file


def kept(home: Path) -> set[str]:
    """What lies among the checkpoints, half-read ones too."""
    return {each.name for each in (home / "checkpoints").glob("*")}


def shown(page: Page, name: str) -> None:
    """A checkpoint is open, with what was found and a row for each tensor."""
    expect(page.get_by_role("tabpanel").get_by_text(re.compile(rf"^{re.escape(name)} · [0-9a-f]{{4}}"))).to_be_visible()
    expect(page.get_by_text("numbers are finite")).to_be_visible()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible()
    settled(page)


def test_a_checkpoint_is_taken_apart_and_held_against_another(visit, tmp_path):
    page = visit("/inspect", {})
    page.locator(DOOR).set_input_files(checkpoint(tmp_path / "before.pt"))
    shown(page, "before.pt")
    assert barriers(page) == []
    page.locator(DOOR).set_input_files(checkpoint(tmp_path / "after.pt", moved=0.5))
    shown(page, "after.pt")
    page.get_by_role("tab", name="What changed?").click()
    expect(page.get_by_text(re.compile(r"Beside before\.pt · \w{4}: 2 of 3 tensors .* are the same"))).to_be_visible()
    settled(page)
    assert barriers(page) == []
    assert "inspect.part=compare" in page.url
    page.set_viewport_size(NARROW)
    settled(page)
    fits(page)


def test_a_hostile_file_is_one_sentence_and_the_page_lives_on(visit, server, tmp_path):
    page = visit("/inspect", {}, color_scheme="dark", viewport=NARROW)
    settled(page)
    before = kept(server.home)
    runs_a_command(legacy=False)(tmp_path / "bad.pt")
    page.locator(DOOR).set_input_files(tmp_path / "bad.pt")
    said = page.get_by_test_id("stAlert")
    expect(said).to_have_text(re.compile(r"^bad\.pt: .*'posix\.system'.*; expected .*$"))
    assert said.get_by_role("paragraph").count() == 1
    settled(page)
    assert not (tmp_path / TRACE).exists()
    assert kept(server.home) == before
    assert "inspect.key" not in page.url
    assert barriers(page) == []
    fits(page)
    page.locator(DOOR).set_input_files(checkpoint(tmp_path / "good.pt", moved=0.1))
    shown(page, "good.pt")
    expect(said).to_have_count(0)
    assert barriers(page) == []
    fits(page)


def test_both_doors_and_what_lies_behind_them_are_reached_by_keyboard(visit, tmp_path):
    page = visit("/inspect", {})

    def caught(chooser: FileChooser) -> None:
        """Choosers are caught from now on, not from when one is waited for."""

    page.on("filechooser", caught)
    settled(page)
    for door in ("file", "checkpoint"):
        chooser = opened_by_keyboard(page, f"[class*=st-key-{door}_] [data-testid=stFileUploaderDropzone] button")
    chooser.set_files(checkpoint(tmp_path / "mine.pt", moved=0.2))
    shown(page, "mine.pt")
    towards(page, "[class*=st-key-forget_] button")
    page.keyboard.press("Enter")
    expect(page.get_by_text("mine.pt")).to_have_count(0)
    page.remove_listener("filechooser", caught)


def opened_by_keyboard(page: Page, selector: str) -> FileChooser:
    """What Enter opens on an element; asked again where the page was drawn anew between Tab and Enter."""
    for patience in (5_000, 5_000, 30_000):
        settled(page)
        towards(page, selector)
        try:
            with page.expect_file_chooser(timeout=patience) as opened:
                page.keyboard.press("Enter")
            return opened.value
        except TimeoutError:
            continue
    raise AssertionError(f"Enter never opens {selector}")


def towards(page: Page, selector: str) -> None:
    """Press Tab until the focus is on an element."""
    for _ in range(150):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"Tab never reaches {selector}")
