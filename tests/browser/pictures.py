"""`make pictures`: the README's screenshots, taken from a running dashboard."""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.conftest import ROOT, SHELL, WHOLE, dashboard, installed
from tests.browser.pages import SETTLED, WAIT_MS, settle, unfold

DOCS = ROOT / "docs"


def enter(page: Page, label: str, text: str) -> None:
    box = page.get_by_label(label, exact=True)
    box.fill(text)
    box.press("Enter")
    page.wait_for_timeout(800)
    page.locator(SETTLED).wait_for(timeout=2 * WAIT_MS)


def take(base: str) -> None:
    """The first screen, then the walk from a need to a recommendation and its report."""
    DOCS.mkdir(exist_ok=True)
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=installed(*WHOLE, SHELL), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 1060}, color_scheme="light")
        page.goto(base)
        settle(page)
        page.wait_for_timeout(2_000)
        page.screenshot(path=DOCS / "estimate.png")
        page.locator(".st-key-task").get_by_text("RAG", exact=True).click()
        page.wait_for_timeout(800)
        enter(page, "Requests/s", "20")
        enter(page, "First token, s", "1")
        unfold(page, "choices")
        enter(page, "Keep at least, %", "99")
        page.locator(".st-key-card_cheapest").wait_for(timeout=2 * WAIT_MS)
        page.locator(".st-key-choices summary").click()  # folds it, so that the cards stand under the question
        page.wait_for_timeout(1_500)
        page.screenshot(path=DOCS / "recommend.png")
        unfold(page, "plans_fold")
        with page.expect_download() as download:
            page.get_by_role("button", name="Report, one page").click()
        report = Path(folder) / "report.html"
        download.value.save_as(report)
        page.goto(f"file://{report}")
        page.screenshot(path=DOCS / "report.png")
        browser.close()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, dashboard(Path(folder)) as base:
        take(base)


if __name__ == "__main__":
    main()
