"""With a server that speaks AWS the page says live; pulled out, it keeps answering and says since when."""

from __future__ import annotations

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import dashboard
from tests.browser.pages import go_to, open_page, verdict
from tests.servers.aws import AwsServer

pytestmark = pytest.mark.browser


def reload_until(page: Page, address: str, text: str, seconds: float = 40) -> None:
    """A refresh runs behind the page: look again until it shows."""
    end = time.monotonic() + seconds
    while True:
        open_page(page, address)
        if page.get_by_text(re.compile(text)).count():
            return
        assert time.monotonic() < end, f"{text!r} never showed"
        time.sleep(1)


def test_live_prices_show_and_outlive_their_source(page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("live")
    with AwsServer() as aws:
        aws.sell("g6.xlarge", "us-east-1", "0.7000", reserved={("1yr", "No Upfront", "standard"): ("0.5", "0")})
        with dashboard(folder, **aws.environment) as base:
            reload_until(page, base, "live price of")
            assert "$511 a month" in verdict(page)  # 0.70 x 730
            aws.close()
            go_to(page, "Prices")
            expect(page.get_by_text("Live from AWS")).to_be_visible(timeout=30_000)
            open_page(page, base)
            assert "$511 a month" in verdict(page)
    with dashboard(folder) as base:  # restarted, and AWS is gone: the last good copy
        reload_until(page, base, "last live price, of")
        assert "$511 a month" in verdict(page)
