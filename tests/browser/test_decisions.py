"""From a need to a recommendation, its report and its link; comparing; and a link opened after prices moved."""

from __future__ import annotations

import re
from datetime import date
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from app.exploring.decision_link import freeze, mark_of
from app.planning.planner import plan
from app.scenario import Scenario, decode
from app.sources import shared_sources
from tests.browser.pages import WAIT_MS, enter, ran, unfold

pytestmark = pytest.mark.browser

SMALL = "meta-llama/Llama-3.1-8B-Instruct"


def test_a_new_user_reaches_plan_report_and_link(page: Page, base: str, elsewhere: BrowserContext) -> None:
    """RAG assistant, 20 requests a second, p95 first token under 1 s, within 1 % of the 70B on instructions."""
    page.goto(base)
    ran(page)
    page.locator(".st-key-task").get_by_text("RAG", exact=True).click()
    ran(page)
    enter(page, "Requests/s", "20")
    enter(page, "First token, s", "1")
    unfold(page, "choices")
    enter(page, "Keep at least, %", "99")
    answer = page.locator(".st-key-card_cheapest")
    expect(answer).to_contain_text("a month against as asked", timeout=2 * WAIT_MS)
    expect(answer).to_contain_text("(shown below)")
    expect(answer).to_contain_text("on instruction following")
    expect(page.locator(".st-key-verdict")).to_contain_text("20 requests a second, 4,096 tokens in and 256 out")
    unfold(page, "plans_fold")
    expect(page.locator(".st-key-plans_fold")).to_contain_text("The next cheaper")
    with page.expect_download() as download:
        page.get_by_role("button", name="Report, one page").click()
    report = download.value.path().read_text(encoding="utf-8")
    assert "Quality evidence" in report
    assert "Limits" in report
    headline = page.locator(".st-key-verdict h2").inner_text()
    link = copied(page)
    other = elsewhere.new_page()
    parts = urlsplit(link)
    other.goto(f"{base}/?{parts.query}")
    ran(other)
    expect(other.locator(".st-key-decided_box")).to_contain_text("from the link", timeout=WAIT_MS)
    cost = headline.rsplit(": ", 1)[1]
    expect(other.locator(".st-key-verdict h2")).to_contain_text(cost)
    assert parse_qs(parts.query)["rate"] == ["20"]


def copied(page: Page) -> str:
    button = page.get_by_role("button", name="Copy link")
    button.click()
    page.get_by_text("Copied").or_(page.get_by_text("Press Ctrl+C to copy")).first.wait_for()
    link = button.get_attribute("data-link")
    assert link
    return link


def test_the_question_travels_in_the_address(page: Page, base: str, elsewhere: BrowserContext) -> None:
    """Load, objective, models, budget and hardware of one's own, opened by somebody else from the address bar."""
    page.goto(
        f"{base}/recommend?rate=2&ttft=1&models={SMALL},Qwen/Qwen3-8B&budget=50000&owned=20%20x%20L40S%20%40%200.5"
    )
    ran(page)
    answer = page.locator(".st-key-verdict h2")
    expect(answer).to_contain_text("your own", timeout=WAIT_MS)
    enter(page, "Requests/s", "3")
    expect(page).to_have_url(re.compile("rate=3"), timeout=WAIT_MS)
    headline = answer.inner_text(timeout=WAIT_MS)
    asked = parse_qs(urlsplit(page.url).query)
    assert (asked["rate"], asked["budget"], asked["owned"]) == (["3"], ["50000"], ["20 x L40S @ 0.5"])
    assert "price" not in asked
    other = elsewhere.new_page()
    other.goto(page.url)
    ran(other)
    expect(other.locator(".st-key-verdict h2")).to_have_text(headline, timeout=WAIT_MS)


def test_a_question_no_link_should_hold_is_named(page: Page, base: str) -> None:
    page.goto(f"{base}/recommend?model={SMALL}&regions=mars-1&budget=lots")
    ran(page)
    notice = page.get_by_text("is no region with known prices")
    expect(notice).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("needs a number from 1 to 1,000,000,000")).to_be_visible()
    assert "mars" not in page.url


def test_an_impossible_bar_says_which_limit_kills_it(page: Page, base: str) -> None:
    page.goto(f"{base}/recommend?model={SMALL}&rate=2&ttft=0.0001")
    ran(page)
    told = page.get_by_test_id("stAlert").filter(has_text="No plan meets every limit")
    expect(told.first).to_be_visible(timeout=WAIT_MS)
    expect(told.first).to_contain_text("p95 time to first token")
    expect(told.first).to_contain_text("would have to be raised to")
    expect(page.get_by_test_id("stException")).to_have_count(0)


def frozen(**changes: str) -> str:
    sources = shared_sources()
    flat = freeze(plan(Scenario(model=SMALL), sources), date(2026, 11, 2), sources)
    flat |= changes
    flat["decision"] = mark_of(decode(flat).scenario)
    return urlencode(flat)


def test_a_decision_opened_unchanged_stands(page: Page, base: str) -> None:
    page.goto(f"{base}/?{frozen()}")
    ran(page)
    box = page.locator(".st-key-decided_box")
    expect(box).to_contain_text("Decided on 2026-11-02, from the link", timeout=WAIT_MS)
    expect(box).to_contain_text("The decision stands: g6.xlarge")
    expect(box).not_to_contain_text("Not ours")


def test_a_frozen_price_stays_and_today_is_shown_beside_it(page: Page, base: str) -> None:
    """At the link's $0.50 an hour: 365 dollars a month; the snapshot's $0.8048 is $588."""
    page.goto(f"{base}/?{frozen(price='0.5', decided_usd_month='365', decided_cheapest='g5.xlarge')}")
    ran(page)
    box = page.locator(".st-key-decided_box")
    expect(box).to_contain_text("$365 a month on g6.xlarge", timeout=WAIT_MS)
    expect(box).to_contain_text("At today's price: $588 a month, +61.0 %")
    expect(box).to_contain_text("no price list this page knows")
    expect(box).to_contain_text("The decision flips")
    expect(page.locator(".st-key-verdict h2")).to_contain_text("$365 a month")
    page.get_by_role("button", name="Use today's price").click()
    ran(page)
    expect(page.locator(".st-key-verdict h2")).to_contain_text("$588 a month")
    expect(box).to_have_count(0)


def test_a_forged_figure_is_never_shown_as_ours(page: Page, base: str) -> None:
    page.goto(f"{base}/?{frozen(decided_usd_month='5')}")
    ran(page)
    expect(page.locator(".st-key-decided_box")).to_contain_text("Not ours: monthly cost", timeout=WAIT_MS)
    expect(page.locator(".st-key-verdict h2")).to_contain_text("$588 a month")
    assert "$5.00" not in page.locator(".st-key-verdict").inner_text()


def test_changed_inputs_drop_the_decision(page: Page, base: str) -> None:
    page.goto(f"{base}/?{frozen().replace('output=128', 'output=256')}")
    ran(page)
    expect(page.get_by_test_id("stAlert").first).to_contain_text("frozen for other inputs", timeout=WAIT_MS)
    expect(page.locator(".st-key-decided_box")).to_have_count(0)
    expect(page.locator(".st-key-verdict h2")).to_contain_text("$588 a month")


def test_two_links_are_compared_with_their_differences_marked(page: Page, base: str) -> None:
    links = "\n".join(
        f"{base}/?{query}"
        for query in (
            f"model={SMALL}&instance=g5.xlarge",
            "model=meta-llama/Llama-3.1-70B-Instruct&instance=p4d.24xlarge",
            "no link at all",
        )
    )
    page.goto(f"{base}/compare")
    ran(page)
    box = page.get_by_label("Links, a line each")
    box.fill(links)
    box.press("Control+Enter")
    ran(page)
    expect(page.get_by_text("$16,029", exact=True)).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_text("$734", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stAlert")).to_contain_text("Line 3")
    expect(page.get_by_text("is the cheapest")).to_be_visible()


def test_levers_combine_on_the_page(page: Page, base: str) -> None:
    page.goto(f"{base}/levers?model={SMALL}")
    ran(page)
    expect(page.get_by_text("What would change this plan")).to_be_visible(timeout=WAIT_MS)
    box = page.get_by_label("Pull together")
    page.locator(".st-key-article_row").wait_for(timeout=WAIT_MS)  # the end of the page
    page.mouse.move(640, 600)
    page.mouse.wheel(0, 300)  # a list that opens at the window's edge, where the click scrolls the page, shuts again
    ran(page)
    for name in ("Weights in INT4", "KV cache in FP8"):
        box.click()
        page.get_by_role("option", name=name).click()
        ran(page)
    expect(page.locator(".st-key-combined h2")).to_contain_text("Weights in INT4 and KV cache in FP8")


@pytest.mark.parametrize("path", ["recommend", "levers", "compare"])
def test_no_page_is_wider_than_a_phone(page: Page, base: str, path: str) -> None:
    page.set_viewport_size({"width": 400, "height": 900})
    page.goto(f"{base}/{path}")
    ran(page)
    page.wait_for_timeout(500)
    width = page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")
    assert width <= 400
