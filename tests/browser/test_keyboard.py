"""The page with the keyboard alone."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.pages import WAIT_MS, open_page

pytestmark = pytest.mark.browser


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
