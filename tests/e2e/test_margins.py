"""Margins and Gradients in a real browser: the figure answers its sliders, the lens says when the margin dies."""

import re

from playwright.sync_api import Page, expect


def described(page: Page, key: str):
    """The chart as a screen reader hears it."""
    return page.locator(f".st-key-{key}").get_by_role("img").first


def slid(page: Page, name: str, key: str, times: int = 1) -> None:
    """A slider moved by its keys; the address answers each move before the next."""
    thumb = page.get_by_role("slider", name=name).first
    thumb.focus()
    for _ in range(times):
        before = page.url
        thumb.press(key)
        expect(page).not_to_have_url(before)
        expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def test_the_live_figure_falls_silent_as_lambda_is_slid(visit):
    page = visit("/margins")
    expect(described(page, "c_scene")).to_have_attribute("aria-label", re.compile("4 of 4 points move"))
    slid(page, "λ, share of the anchor", "ArrowRight", 4)
    expect(described(page, "c_scene")).to_have_attribute("aria-label", re.compile("0 of 4 points move"))
    expect(page.get_by_text("nobody is pulled and nobody is pushed")).to_be_visible()
    expect(page).to_have_url(re.compile(r"scene\.lam=0\.58"))
    slid(page, "Gap, degrees", "Home")
    expect(described(page, "c_scene")).to_have_attribute("aria-label", re.compile("4 of 4 points move"))


def test_the_lens_shows_both_rules_and_the_calls_at_which_the_margin_dies(visit):
    page = visit("/margins")
    lens = described(page, "c_lens")
    expect(lens).to_have_attribute("aria-label", re.compile("from call 16, exactly 0 from call 430"))
    page.get_by_role("radio", name="Sum").or_(page.get_by_role("button", name="Sum")).first.click()
    expect(lens).to_have_attribute("aria-label", re.compile("from call 36, exactly 0 from call 724"))
    page.get_by_role("radio", name="paper").or_(page.get_by_role("button", name="paper")).first.click()
    expect(lens).to_have_attribute("aria-label", re.compile("never 0"))
    expect(page).to_have_url(re.compile(r"lens\.applied=paper&lens\.form=sum"))


def test_a_tab_stands_in_the_link_and_opens_from_it(visit):
    page = visit("/margins")
    page.get_by_role("tab", name="Is a strong pair made a little far?").click()
    expect(described(page, "c_phases")).to_have_attribute("aria-label", re.compile("both asked"))
    expect(page).to_have_url(re.compile(r"lens\.part=far"))
    page.reload()
    expect(page.get_by_role("tab", name="Is a strong pair made a little far?")).to_have_attribute(
        "aria-selected", "true"
    )
    expect(described(page, "c_phases")).to_be_visible()


def test_the_lab_empties_as_pairs_come_close_and_the_partners_stay_lit(visit):
    page = visit("/gradients", {"pairs.part": "lab", "lab.closeness": "0.6"})
    clean, mixed = described(page, "c_clean"), described(page, "c_mixed")
    expect(clean).not_to_have_attribute("aria-label", re.compile("64 pictures silent"))
    slid(page, "Closeness ρ", "ArrowRight", 5)
    expect(clean).to_have_attribute("aria-label", re.compile("0% pushed, 64 pictures silent"))
    expect(mixed).not_to_have_attribute("aria-label", re.compile("64 silent"))
