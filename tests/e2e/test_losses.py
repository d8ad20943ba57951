"""Losses in a real browser: found by a word and by what one has, looked at, and taken to Play."""

import re

from playwright.sync_api import Page, expect

from tests.dashboard.apps import SMALL
from tests.e2e.conftest import until


def described(page: Page, key: str):
    """The chart as a screen reader hears it."""
    return page.locator(f".st-key-{key}").get_by_role("img").first


def button(page: Page, key: str):
    return page.locator(f".st-key-{key} button").first


def settled(page: Page) -> None:
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def rows(page: Page):
    """The losses in the list."""
    return page.locator("[class*='st-key-open_'] button")


def test_the_page_shows_a_loss_before_the_first_click(visit):
    page = visit("/losses")
    expect(page.get_by_role("heading", name="How does a loss pull and push?")).to_be_visible()
    expect(page.get_by_role("heading", name="InfoNCE")).to_be_visible()
    expect(described(page, "c_microscope")).to_have_attribute("aria-label", re.compile("24 positive"))
    expect(described(page, "c_curves")).to_be_visible()
    expect(page.locator(".katex").first).to_be_visible()


def test_a_word_finds_a_loss_and_a_click_opens_it(visit):
    page = visit("/losses")
    word = page.get_by_role("textbox", name="Search")
    word.fill("decoupled")
    word.press("Enter")
    expect(page).to_have_url(re.compile(r"losses\.find=decoupled"))
    expect(button(page, "open_dcl")).to_be_visible()
    expect(button(page, "open_triplet")).to_be_hidden()
    button(page, "open_dcl").click()
    expect(page.get_by_role("heading", name="DCL (decoupled)")).to_be_visible()
    expect(page).to_have_url(re.compile(r"losses\.open\.kind=dcl"))
    page.reload()
    expect(page.get_by_role("heading", name="DCL (decoupled)")).to_be_visible()
    expect(word).to_have_value("decoupled")
    word.fill("no loss is called so")
    word.press("Enter")
    expect(page.get_by_text(re.compile("None of the .* losses answers"))).to_be_visible()
    button(page, "clear").click()
    expect(rows(page).first).to_be_visible()
    expect(word).to_have_value("")


def test_what_one_has_narrows_to_what_fits(visit):
    page = visit("/losses", {"losses.whole": "on"})
    expect(button(page, "open_supcon")).to_be_visible()
    settled(page)
    everything = rows(page).count()
    page.locator(".st-key-narrow button").first.click()
    page.get_by_test_id("stButtonGroup").get_by_text("pairs", exact=True).click()
    expect(page).to_have_url(re.compile(r"losses\.have=pairs"))
    expect(button(page, "open_supcon")).to_be_hidden()
    settled(page)
    fewer = rows(page).count()
    assert 0 < fewer < everything
    page.get_by_test_id("stButtonGroup").get_by_text("class labels", exact=True).click()
    expect(page).to_have_url(re.compile(r"losses\.have=pairs(,|%2C)labels"))
    page.keyboard.press("Escape")
    expect(button(page, "open_supcon")).to_be_visible()
    settled(page)
    assert fewer < rows(page).count() < everything


def test_the_microscope_answers_its_knobs(visit):
    page = visit("/losses", {"losses.open": "ranking", "losses.n": "12"})
    dots = described(page, "c_microscope")
    expect(dots).to_have_attribute("aria-label", re.compile("score against force: .*12 positive"))
    before, price = dots.get_attribute("aria-label"), page.get_by_text(re.compile("The batch below pays"))
    paid = price.inner_text()
    closeness = page.get_by_role("slider", name="Closeness").first
    closeness.focus()
    closeness.press("End")
    expect(page).to_have_url(re.compile(r"losses\.closeness=0\.99"))
    expect(dots).not_to_have_attribute("aria-label", before or "")
    expect(price).to_have_count(1)
    expect(price).not_to_have_text(paid)
    page.get_by_role("radio", name="motion").or_(page.get_by_role("button", name="motion")).first.click()
    expect(dots).to_have_attribute("aria-label", re.compile("cosine against motion"))
    page.get_by_role("tab", name="What is cheap, what is dear?").click()
    expect(described(page, "c_surface")).to_have_attribute("aria-label", re.compile("they stand at"))
    expect(page).to_have_url(re.compile(r"losses\.part=price"))


def test_a_loss_is_taken_to_play(visit):
    page = visit("/losses", SMALL | {"losses.open": "triplet", "losses.open.margin": "1.2"})
    page.get_by_role("slider", name="Margin").first.press("ArrowRight")
    expect(page).to_have_url(re.compile(r"losses\.open\.margin=1\.24"))
    button(page, "take").click()
    expect(page.get_by_role("heading", name="What does this loss do to the points?")).to_be_visible()
    expect(page.locator(".st-key-loss").get_by_role("combobox")).to_have_value("Triplet")
    expect(page).to_have_url(re.compile(r"/play\?.*loss\.margin=1\.24"))


def test_a_loss_that_play_cannot_train_says_what_is_missing(visit):
    page = visit("/losses", {"losses.open": "rerank_cl"})
    expect(page.get_by_text("Play cannot train it yet")).to_be_visible()
    expect(page.locator(".st-key-take")).to_have_count(0)
    settled(page)


def test_a_click_on_the_family_map_chooses_the_loss_under_it(visit):
    page = visit("/family")
    marks = page.locator(".st-key-c_family .scatterlayer .trace").nth(1).locator("path.point")
    expect(marks.first).to_be_visible()
    settled(page)

    def hovered() -> int:
        """The chart may still move under the hand while it takes its size."""
        page.mouse.move(0, 0)
        marks.first.hover(force=True)
        return page.locator(".st-key-c_family .hovertext").count()

    until(hovered)
    page.mouse.down()
    page.mouse.up()
    expect(page).to_have_url(re.compile(r"family\.loss=\w+"))
    expect(page.get_by_text("○ InfoNCE", exact=True)).to_have_count(0)
    settled(page)
