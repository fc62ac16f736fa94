"""Under a path of a portal every link stays below it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import dashboard
from tests.browser.pages import WAIT_MS, open_page

pytestmark = pytest.mark.browser


def test_the_plan_on_ones_own_machine_opens_below_the_path(page: Page, tmp_path: Path) -> None:
    with dashboard(tmp_path, path="/tools/sizes") as base:
        page.goto(f"{base}/cost")
        price = page.get_by_role("spinbutton", name="A machine with")
        price.fill("30000", timeout=WAIT_MS)
        price.press("Enter")
        link = page.get_by_role("link", name="Open the plan on this machine")
        expect(link).to_be_visible(timeout=WAIT_MS)
        address = link.evaluate("element => element.href")
        assert address.startswith(f"{base}/?")
        open_page(page, address)
        expect(page.get_by_text("your own price").first).to_be_visible(timeout=WAIT_MS)
