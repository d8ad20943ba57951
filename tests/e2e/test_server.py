"""The server may die at any moment: the trainer goes on, and whoever comes back finds the run."""

import re

from playwright.sync_api import expect

from tests.e2e.conftest import LONG, until


def test_a_machine_that_never_saw_the_app_shows_a_recording_and_soon_a_run_of_its_own(fresh, visit):
    page = visit("/", at=fresh)
    expect(page.get_by_role("heading", name="Pull together, push apart.")).to_be_visible()
    moving = page.locator(".st-key-c_moving")
    expect(moving.locator("canvas").first).to_be_visible()
    expect(page.get_by_text("A run recorded earlier")).to_be_visible()
    said = page.get_by_text(re.compile(r"pictures sit nearest")).inner_text()
    expect(page.get_by_text(said)).to_be_hidden()
    expect(page.get_by_text("A run on this machine")).to_be_visible()


def test_the_trainer_survives_its_server_and_is_found_again(fresh, visit):
    page = visit("/play", LONG, at=fresh, noisy=True)
    page.locator(".st-key-play button").first.click()
    expect(page.get_by_text(re.compile(r"Training: step \d+"))).to_be_visible()
    run = fresh.run(LONG)
    fresh.kill()
    alone = run.status()
    assert alone.state == "running"
    until(lambda: run.status().step > alone.step + 50)
    fresh.start()
    page.reload()
    line = page.get_by_text(re.compile(r"Training: step \d+"))
    expect(line).to_be_visible()
    assert int(re.search(r"step (\d+)", line.inner_text())[1]) > alone.step
    page.locator(".st-key-stop_run_running button").first.click()
    expect(page.get_by_text(re.compile(r"Stopped at step \d+"))).to_be_visible()
