"""How the tests read the page."""

from __future__ import annotations

from playwright.sync_api import Page

SETTLED = '.stApp[data-test-script-state="notRunning"]'
WAIT_MS = 30_000


def settle(page: Page) -> None:
    """Wait until the script has run to the end of an estimate or a card."""
    page.locator(".st-key-footer").wait_for(timeout=WAIT_MS)
    page.locator(SETTLED).wait_for(timeout=WAIT_MS)
    page.wait_for_timeout(150)
    page.locator(SETTLED).wait_for(timeout=WAIT_MS)


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    settle(page)


def verdict(page: Page) -> str:
    return page.locator(".st-key-verdict h2").inner_text(timeout=WAIT_MS)


def metrics(page: Page) -> list[str]:
    values = page.locator("[data-testid=stMetricValue]")
    values.nth(3).wait_for(timeout=WAIT_MS)
    return values.all_inner_texts()
