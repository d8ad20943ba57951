"""Play in a real browser: trained, watched, left, reloaded, stopped, resumed, and killed."""

import csv
import re
import subprocess
import sys

import pytest
from playwright.sync_api import Page, expect

from core.environment import ROOT
from core.runs.worker import prepare
from tests.dashboard.apps import SMALL, recipe_of
from tests.e2e.conftest import LONG, last_line, until

LINK = SMALL | {"steps": "60", "speed": "fast"}
MOVING = ("c_points", "c_hills", "c_push", "c_learning")


def button(page: Page, key: str):
    return page.locator(f".st-key-{key} button").first


def chart(page: Page, key: str):
    return page.locator(f".st-key-{key} canvas").first


def described(page: Page, key: str):
    """The chart as a screen reader hears it."""
    return page.locator(f".st-key-{key}").get_by_role("img").first


def training_step(page: Page) -> int:
    line = page.get_by_text(re.compile(r"Training: step \d+")).first
    expect(line).to_be_visible()
    return int(re.search(r"step (\d+)", line.inner_text())[1])


def all_charts(page: Page) -> list[str]:
    """Every moving chart as a picture, once they have glided to their places and nothing points at them."""
    page.mouse.move(2, 2)

    def now() -> list[str]:
        return [chart(page, key).evaluate("canvas => canvas.toDataURL()") for key in MOVING]

    until(lambda: now() == now(), 3)
    return now()


def test_a_run_from_play_to_done(visit, server):
    page = visit("/play", LINK)
    expect(page.get_by_text("Not trained yet")).to_be_visible()
    for key in MOVING[:3]:
        expect(chart(page, key)).to_be_visible()
    before = described(page, "c_hills").get_attribute("aria-label")
    button(page, "play").click()
    expect(page.get_by_text("Not trained yet")).to_be_hidden()
    run = server.run(LINK)
    until(lambda: run.status().state == "done")
    expect(described(page, "c_learning")).to_have_attribute("aria-label", re.compile("at step 60:"))
    expect(button(page, "play")).to_contain_text("Play")
    assert described(page, "c_hills").get_attribute("aria-label") != before
    assert last_line(run)["step"] == 60
    expect(page.get_by_text(f"The loss is {last_line(run)['loss']:.2f}")).to_be_visible()
    button(page, "play").click()
    expect(button(page, "play")).to_contain_text("Pause")
    expect(described(page, "c_learning")).not_to_have_attribute("aria-label", re.compile("at step 60:"))
    expect(button(page, "play")).to_contain_text("Play")
    expect(described(page, "c_learning")).to_have_attribute("aria-label", re.compile("at step 60:"))


def test_a_run_goes_on_through_a_page_switch_a_reload_and_a_second_window(visit):
    page = visit("/play", LONG)
    button(page, "play").click()
    until(lambda: training_step(page) > 0)
    first = training_step(page)
    page.get_by_role("link", name="Start").click()
    expect(page.get_by_role("heading", name="Pull together, push apart.")).to_be_visible()
    page.get_by_role("link", name="Play").click()
    second = training_step(page)
    page.reload()
    third = training_step(page)
    other = visit("/play", LONG)
    fourth = training_step(other)
    assert 0 < first <= second <= third <= fourth
    button(other, "stop_run_running").click()
    for each in (page, other):
        expect(each.get_by_text(re.compile(r"Stopped at step \d+"))).to_be_visible()


def test_what_more_shows_while_a_run_trains_is_what_it_trains_with(visit):
    page = visit("/play", LONG | {"mixing.kind": "dmm", "mixing.margin": "0.3"})
    button(page, "play").click()
    first = training_step(page)
    address = page.url
    page.get_by_role("button", name="More").click()
    expect(page.get_by_label("Steps", exact=True)).to_have_value("100000")
    expect(page.get_by_role("radio", name="epoch")).to_be_checked()
    page.keyboard.press("Escape")
    until(lambda: training_step(page) > first)
    button(page, "stop_run_running").click()
    expect(page.get_by_text(re.compile(r"Stopped at step \d+"))).to_be_visible()
    expect(page.get_by_test_id("stToast")).to_have_count(0)
    assert page.url == address


def test_stop_keeps_what_was_trained_and_resume_goes_on(visit, server):
    page = visit("/play", LONG | {"seed": "1"})
    button(page, "play").click()
    run = server.run(LONG | {"seed": "1"})
    until(lambda: run.path.exists() and run.status().step > 50)
    button(page, "stop_run_running").click()
    expect(page.get_by_text(re.compile(r"Stopped at step \d+"))).to_be_visible()
    stopped = last_line(run)["step"]
    assert stopped > 0
    button(page, "resume_run_cancelled").click()
    until(lambda: run.status().step > stopped + 100)
    assert training_step(page) >= stopped
    rows = [row["step"] for row in run.metrics()]
    assert rows == list(range(len(rows)))


def test_a_killed_trainer_freezes_every_chart_within_three_seconds(visit, server, tmp_path, monkeypatch):
    link = LONG | {"seed": "2"}
    with monkeypatch.context() as patch:
        patch.setenv("PUSHPULL_HOME", str(server.home))
        run = prepare(recipe_of(link))
    trainer = subprocess.Popen([sys.executable, "-m", "core", "work", run.path], cwd=ROOT, env=server.environment())
    try:
        until(lambda: len(run.snapshots()) > 2)
        page = visit("/play", link)
        seen = training_step(page)
        until(lambda: training_step(page) > seen)
    finally:
        trainer.kill()
        trainer.wait(30)
    expect(page.get_by_text("The trainer is gone")).to_be_visible(timeout=3000)
    pictures = all_charts(page)
    last = last_line(run)
    page.locator(".st-key-numbers button").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Is it still learning?").click()
    download.value.save_as(tmp_path / "learning.csv")
    rows = list(csv.DictReader((tmp_path / "learning.csv").read_text().splitlines()))
    assert (float(rows[-1]["step"]), float(rows[-1]["loss"])) == (last["step"], pytest.approx(last["loss"]))
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Is it still learning?")).to_be_hidden()
    assert all_charts(page) == pictures
    assert len(set(pictures)) == len(MOVING)
    words = [described(page, key).get_attribute("aria-label") for key in MOVING]
    page.reload()
    expect(page.get_by_text("The trainer is gone")).to_be_visible()
    for key, said in zip(MOVING, words, strict=True):
        expect(described(page, key)).to_have_attribute("aria-label", said)
    assert last_line(run) == last


def test_a_deep_link_restores_the_knobs_and_a_copied_address_restores_them_again(visit):
    link = SMALL | {
        "loss.kind": "ranking",
        "loss.margin": "0.3",
        "mixing.kind": "dmm",
        "lane.on": "on",
        "lane.loss.kind": "dcl",
    }
    first = visit("/play", link)
    for page in (first, None):
        page = page or visit(first.url.removeprefix(first.url.split("/play")[0]))
        expect(page.locator(".st-key-loss").get_by_role("combobox")).to_have_value("Max-margin ranking")
        expect(page.locator(".st-key-mixing").get_by_role("combobox")).to_have_value("DMM")
        expect(page.locator(".st-key-loss-margin")).to_contain_text("0.3")
        expect(page.locator(".st-key-lane-loss").get_by_role("combobox")).to_have_value("DCL (decoupled)")
    assert all(f"{name}={value}" in first.url for name, value in link.items() if name not in ("encoder.dim",))


def test_a_bad_link_opens_with_the_default_and_names_what_was_ignored(visit):
    picture = "%60!%5Bx%5D(http%3A%2F%2Fexample.invalid%2Fp.png)"
    page = visit("/play", LINK | {"loss.temperature": "-1", "nonsense": picture})
    warning = page.get_by_test_id("stAlert")
    expect(warning).to_contain_text("loss.temperature=-1: expected a number from 0.01 to 5")
    expect(warning).to_contain_text("nonsense=")
    expect(warning.locator("img")).to_have_count(0)
    expect(page.locator(".st-key-loss-temperature")).to_contain_text("0.15")
    expect(chart(page, "c_hills")).to_be_visible()
    assert "nonsense" not in page.url
    button(page, "refused_read").click()
    expect(warning).to_be_hidden()


def test_the_keyboard_plays_and_reaches_every_control(visit):
    page = visit("/play", LINK | {"seed": "3"})
    expect(chart(page, "c_hills")).to_be_visible()
    page.keyboard.press("Space")
    expect(described(page, "c_learning")).to_have_attribute("aria-label", re.compile("at step 60:"))
    expect(button(page, "play")).to_contain_text("Play")
    page.keyboard.press("0")
    expect(described(page, "c_hills")).to_have_attribute("aria-label", re.compile("at step 0:"))
    page.keyboard.press("s")
    expect(described(page, "c_hills")).to_have_attribute("aria-label", re.compile("at step 1:"))
    reached: set[str] = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("() => document.activeElement.closest('[class*=st-key-]')?.className ?? ''"))
    keys = {name for found in reached for name in re.findall(r"st-key-(\S+)", found)}
    assert {"loss", "preset", "mixing", "loss-temperature", "play", "step", "reset", "numbers"} <= keys
    assert any(key.startswith("cursor_") for key in keys)
