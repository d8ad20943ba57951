"""Loops drawn with the mouse, and files of the user's own."""

import re
from pathlib import Path

import numpy as np
from playwright.sync_api import Locator, Page, expect

from tests.dashboard.apps import SMALL, train


def embeddings(path: Path, **more: np.ndarray) -> Path:
    """Forty aligned vectors seen twice, in four classes."""
    g = np.random.default_rng(0)
    labels = np.arange(40) % 4
    base = np.eye(4, 8)[labels] + 0.2 * g.standard_normal((40, 8))
    arrays = {"left": base, "right": base + 0.1 * g.standard_normal((40, 8)), "labels": labels} | more
    np.savez(path, **arrays)
    return path


def door(page: Page) -> Locator:
    """Where embeddings are dropped."""
    return page.get_by_role("region", name=".npz").get_by_test_id("stFileUploaderDropzoneInput")


def loop(page: Page, key: str) -> None:
    """Draw a loop round the left half of a Plotly chart."""
    area = page.locator(f".st-key-{key} .nsewdrag").first
    expect(area).to_be_visible()
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box is not None
    left, right, top, bottom = 2, box["width"] / 2, 2, box["height"] - 2
    corners = [(right, top), (right, bottom), (left, bottom), (left, top), (right, top)]
    page.mouse.move(box["x"] + right, box["y"] + top)
    page.mouse.down()
    for x, y in corners:
        page.mouse.move(box["x"] + x, box["y"] + y, steps=5)
    page.mouse.up()


def test_a_loop_on_the_map_shows_what_was_caught(visit, server, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("PUSHPULL_HOME", str(server.home))
        train(SMALL | {"encoder.dim": "3"})
    page = visit("/map", SMALL | {"encoder.dim": "3"})
    expect(page.get_by_text("Draw a loop on the map to choose your own")).to_be_visible()
    loop(page, "c_map")
    expect(page.get_by_text(re.compile(r"\d+ items? in your loop"))).to_be_visible()


def test_a_file_that_is_dropped_is_read_and_its_link_opens_it_again(visit, tmp_path):
    page = visit("/inspect")
    drop = door(page)
    drop.set_input_files(embeddings(tmp_path / "bad.npz", left=np.full((40, 8), np.nan)))
    expect(page.get_by_test_id("stAlert")).to_contain_text("left")
    assert "digest" not in page.url
    drop.set_input_files(embeddings(tmp_path / "good.npz"))
    heading = page.get_by_text(re.compile(r"^File [0-9a-f]{8}$"))
    expect(heading).to_be_visible()
    name = heading.inner_text()
    page.reload()
    expect(page.get_by_text(name, exact=True)).to_be_visible()
    assert f"data.digest={name.removeprefix('File ')}" in page.url
    assert str(tmp_path) not in page.content()


def test_two_files_are_read_aloud_together_and_what_was_said_is_changed(visit, tmp_path):
    left, right = tmp_path / "left.npy", tmp_path / "right.csv"
    x = np.random.default_rng(0).standard_normal((40, 4))
    np.save(left, x)
    rows = (f"{a},{b},{at % 2},{at % 3}" for at, (a, b, *_) in enumerate(x.tolist()))
    right.write_text("\n".join(["v_0,v_1,label,other", *rows]))
    page = visit("/inspect")
    door(page).set_input_files([left, right])
    expect(page.get_by_text("40 rows, left (4) and v (2), labels found in label (2 classes)")).to_be_visible()
    page.get_by_role("button", name="Change what I said").click()
    field = page.get_by_label("v, 40 × 2")
    expect(field).to_have_value("v")
    field.fill("")
    page.get_by_role("button", name="Read it so").click()
    expect(page.get_by_text("40 rows × 4, left, labels found in label (2 classes)")).to_be_visible()
