"""Every page in both themes, on a wide and on a narrow screen: whole, readable, and quiet."""

import re
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.dashboard.apps import SMALL, pages, train
from tests.e2e.conftest import NARROW, WIDE, Server

AXE = Axe()
# Drawn by Streamlit itself: the hint of a shortcut on a button, in a grey of 4.47:1, and a formula too long for its
# column, which scrolls but takes no focus.
STREAMLITS_OWN = ("<kbd", 'class="katex-display"')
# WCAG leaves the contrast of what cannot be used free, but axe does not see that a label belongs to it.
BELONGS_TO_DISABLED = "e => !!e.closest('[data-testid=stElementContainer]')?.querySelector('[disabled]')"


@pytest.fixture(scope="module")
def trained(server: Server) -> Iterator[Server]:
    """A server whose user has trained two runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PUSHPULL_HOME", str(server.home))
        train(SMALL)
        train(SMALL | {"loss.kind": "ranking", "mixing.kind": "dmm"})
        yield server


def settled(page: Page) -> None:
    """Nothing is being computed, and there is something to see."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    expect(page.get_by_test_id("stHeading").first).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_test_id("stSkeleton")).to_have_count(0)


def barriers(page: Page, rules: tuple[str, ...] = ()) -> list[str]:
    """What axe calls serious or critical, by rule and element; by all its rules unless some are named."""
    options = {"resultTypes": ["violations"]} | ({"runOnly": rules} if rules else {})
    found = AXE.run(page, options=options).response["violations"]
    return [
        f"{rule['id']}: {node['html'][:160]} {[each['message'] for each in node['any']]}"
        for rule in found
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
        if not any(own in node["html"] for own in STREAMLITS_OWN)
        and not page.locator(node["target"][0]).first.evaluate(BELONGS_TO_DISABLED)
    ]


def fits(page: Page) -> None:
    """The page is not wider than its window, once the charts have taken their size."""
    page.wait_for_function(
        "() => [document.documentElement, document.querySelector('[data-testid=stMain]')]"
        ".every(part => part.scrollWidth <= part.clientWidth)",
        timeout=10_000,
    )


def readable(page: Page) -> list[str]:
    """What bars someone from the page, in both themes; only contrast depends on the theme."""
    found = []
    for scheme, background, rules in (
        ("light", "rgb(255, 255, 255)", ()),
        ("dark", "rgb(21, 22, 25)", ("color-contrast",)),
    ):
        page.emulate_media(color_scheme=scheme)
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", background)
        settled(page)
        found += barriers(page, rules)
    return found


def test_the_menu_leads_to_every_page_and_each_is_whole_and_readable(visit, trained):
    page = visit("/play", SMALL)
    settled(page)
    found = {}
    for name in pages():
        page.get_by_test_id("stTopNavLink").filter(has_text=name.capitalize()).click()
        expect(page).to_have_url(re.compile(rf"/{'' if name == 'start' else name}(\?|$)"))
        settled(page)
        expect(page).to_have_url(re.compile(r"data\.kind=circle"))
        found[name] = readable(page)
        fits(page)
        page.set_viewport_size(NARROW)
        settled(page)
        fits(page)
        page.set_viewport_size(WIDE)
    assert found == {name: [] for name in pages()}


def test_on_a_narrow_screen_the_menu_leads_to_every_page(visit):
    page = visit("/", viewport=NARROW)
    settled(page)
    page.get_by_test_id("stExpandSidebarButton").click()
    for name in pages():
        expect(page.get_by_test_id("stSidebarNavLink").filter(has_text=name.capitalize())).to_be_visible()
