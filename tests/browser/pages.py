"""How the tests read the page."""

from __future__ import annotations

from playwright.sync_api import Page, expect

SETTLED = '.stApp[data-test-script-state="notRunning"]'
WAIT_MS = 30_000


def settle(page: Page) -> None:
    """Wait until the script has run and something is drawn."""
    page.locator(SETTLED).wait_for(timeout=WAIT_MS)
    expect(
        page.locator(".st-key-verdict, [data-testid=stMetricValue], [data-testid=stHeading], h4").first
    ).to_be_visible(timeout=WAIT_MS)
    page.locator(SETTLED).wait_for(timeout=WAIT_MS)


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    settle(page)


def verdict(page: Page) -> str:
    return page.locator(".st-key-verdict h3").inner_text(timeout=WAIT_MS)


def metrics(page: Page) -> list[str]:
    return page.locator("[data-testid=stMetricValue]").all_inner_texts()
