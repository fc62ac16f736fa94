"""With a server that speaks AWS the page says live; pulled out, it keeps answering and says since when."""

from __future__ import annotations

import json
import re
import time
import urllib.request

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import dashboard
from tests.browser.pages import go_to, open_page, verdict
from tests.servers.aws import AwsServer

pytestmark = pytest.mark.browser


def open_priced(page: Page, base: str, source: str, text: str, seconds: float = 40) -> None:
    """A refresh runs behind the page: a first look begins it; HTTP says that it came, for less than another look."""
    open_page(page, base)
    end = time.monotonic() + seconds
    while price_source(base) != source:
        assert time.monotonic() < end, f"prices never became {source}"
        time.sleep(0.5)
    open_page(page, base)
    expect(page.get_by_text(re.compile(text)).first).to_be_visible()


def price_source(base: str) -> str:
    with urllib.request.urlopen(f"{base}/api/v1/estimate?model=8B&instance=g6.xlarge", timeout=30) as reply:
        return str(json.load(reply)["price_source"])


def test_live_prices_show_and_outlive_their_source(page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("live")
    with AwsServer() as aws:
        aws.sell("g6.xlarge", "us-east-1", "0.7000", reserved={("1yr", "No Upfront", "standard"): ("0.5", "0")})
        with dashboard(folder, **aws.environment) as base:
            open_priced(page, base, "live", "live price of")
            assert "$511 a month" in verdict(page)  # 0.70 x 730
            aws.close()
            go_to(page, "Prices")
            expect(page.get_by_text("Live from AWS")).to_be_visible(timeout=30_000)
            open_page(page, base)
            assert "$511 a month" in verdict(page)
    with dashboard(folder) as base:  # restarted, and AWS is gone: the last good copy
        open_priced(page, base, "cached", "last live price, of")
        assert "$511 a month" in verdict(page)
