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


def ran(page: Page) -> None:
    """Wait until a script that may run long has ended, on any page."""
    page.wait_for_timeout(300)
    page.locator(SETTLED).wait_for(timeout=2 * WAIT_MS)


def enter(page: Page, label: str, text: str) -> None:
    """Type into the box of this label and press Enter."""
    box = page.get_by_label(label, exact=True)
    box.fill(text)
    box.press("Enter")
    ran(page)


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    settle(page)


def verdict(page: Page) -> str:
    return page.locator(".st-key-verdict h2").inner_text(timeout=WAIT_MS)


def metrics(page: Page) -> list[str]:
    values = page.locator("[data-testid=stMetricValue]")
    values.nth(3).wait_for(timeout=WAIT_MS)
    return values.all_inner_texts()


GROUPS = {
    "In detail": ("Memory", "Speed", "Cost", "Levers"),
    "Decide": ("Load", "API or machines", "Commit", "What would change it", "Pipelines", "Scaling laws"),
    "Compare and check": ("Compare", "Prices", "Measure", "Accuracy"),
}


def go_to(page: Page, title: str) -> None:
    """Open a page from the navigation, whose groups are menus."""
    for group, titles in GROUPS.items():
        if title in titles:
            page.get_by_test_id("stTopNavSection").filter(has_text=group).click()
            page.get_by_test_id("stTopNavDropdownLink").filter(has_text=title).click()
            return
    page.get_by_test_id("stTopNavLink").filter(has_text=title).click()


def unfold(page: Page, key: str) -> None:
    """Open the expander of this key, where it is shut."""
    fold = page.locator(f".st-key-{key}")
    if fold.locator("details[open]").count() == 0:
        fold.locator("summary").first.click()
        page.wait_for_timeout(300)
