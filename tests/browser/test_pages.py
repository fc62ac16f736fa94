"""Every page opens without an error, wide and narrow, light and dark."""

from __future__ import annotations

from collections import deque
from typing import Literal

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.pages import SETTLED, WAIT_MS, open_page, ran, wear

pytestmark = pytest.mark.browser
PAGES = (
    "",
    "recommend",
    "load",
    "memory",
    "speed",
    "cost",
    "levers",
    "apis",
    "pipelines",
    "commit",
    "change",
    "scaling",
    "compare",
    "prices",
    "measure",
    "accuracy",
)


LOOKS: tuple[tuple[int, Literal["light", "dark"]], ...] = ((400, "dark"), (900, "light"), (1400, "dark"))


@pytest.mark.parametrize("first", range(len(LOOKS)))
def test_every_page_opens(page: Page, base: str, first: int) -> None:
    """Each at one width and then made as wide as the others; they begin at each in turn."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    looks = deque(LOOKS)
    looks.rotate(-first)
    wear(page, *looks[0])
    for name in PAGES[first :: len(LOOKS)]:
        page.goto(f"{base}/{name}")
        ran(page)
        page.locator("h1, h2, h3").nth(1).wait_for(timeout=WAIT_MS)
        page.locator(SETTLED).wait_for(timeout=WAIT_MS)
        for width, scheme in looks:
            wear(page, width, scheme)
            expect(page.get_by_test_id("stException")).to_have_count(0)
            assert page.get_by_text("Something went wrong").count() == 0, name
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{name} is wider than {width} px"
        looks.rotate(1)  # the next begins as this one ends
    assert errors == []


def test_the_question_can_be_asked_with_the_keyboard_alone(browser: Browser, base: str) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    open_page(page, base)
    page.bring_to_front()
    focused = "document.activeElement.getAttribute('aria-label') || ''"
    box = page.get_by_label("People at once", exact=True)
    for _ in range(3):  # a widget that has just been drawn again has lost the focus: a person would tab on
        page.wait_for_timeout(1_000)
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate(focused) == "People at once":
                break
        page.keyboard.type("12", delay=30)
        if box.input_value() == "12":
            break
    page.keyboard.press("Enter")
    expect(page.locator(".st-key-verdict")).to_contain_text("12 requests at a time", timeout=WAIT_MS)
    context.close()
