"""The pages that ask something of their own, from the plan's: each answers, and its link opens to the same answer."""

from __future__ import annotations

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.pages import WAIT_MS, enter, go_to, open_page, ran, unfold

pytestmark = pytest.mark.browser
MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def copied(page: Page) -> str:
    """The link of the page's own button."""
    button = page.get_by_role("button", name="Copy link to this answer")
    button.click()
    page.get_by_text("Copied").or_(page.get_by_text("Press Ctrl+C to copy")).first.wait_for()
    link = button.get_attribute("data-link")
    assert link
    return link


def opens_alike(elsewhere: BrowserContext, link: str, said: str) -> None:
    other = elsewhere.new_page()
    other.goto(link)
    ran(other)
    expect(other.get_by_role("heading", name=said)).to_be_visible(timeout=WAIT_MS)
    other.close()


def test_sign_for_a_year_and_if_traffic_falls(page: Page, base: str, elsewhere: BrowserContext) -> None:
    open_page(page, f"{base}/?model={MODEL}&rate=10&instance=g6.xlarge")
    go_to(page, "Commit")
    answer = page.locator("h2", has_text="Sign for 1 year")
    expect(answer).to_contain_text("If traffic falls 30 %", timeout=WAIT_MS)
    enter(page, "Traffic falls by, %", "50")
    expect(answer).to_contain_text("If traffic falls 50 %", timeout=WAIT_MS)
    expect(page.get_by_text("Savings Plans are not compared")).to_be_visible()
    said = answer.inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Report with this answer").click()
    assert "Idle if traffic falls 50 %" in download.value.path().read_text(encoding="utf-8")
    opens_alike(elsewhere, copied(page), said)
    go_to(page, "Memory")
    go_to(page, "Commit")
    expect(answer).to_contain_text("If traffic falls 50 %", timeout=WAIT_MS)


def test_what_size_to_train_for_what_it_will_serve(page: Page, base: str, elsewhere: BrowserContext) -> None:
    open_page(page, f"{base}/?model={MODEL}&rate=10")
    go_to(page, "Scaling laws")
    answer = page.locator("h2", has_text="of training make the best model at 72.4 B")
    expect(answer).to_be_visible(timeout=WAIT_MS)
    enter(page, "Tokens served over its life", "2e12")
    expect(answer).to_contain_text("50.0 B on 2.03 T", timeout=WAIT_MS)
    opens_alike(elsewhere, copied(page), answer.inner_text())
    enter(page, "Training budget", "5")
    expect(page.get_by_text("Give 1e+17 to 1e+28 FLOP")).to_be_visible(timeout=WAIT_MS)


def test_the_whole_bill_less_twenty_percent(page: Page, base: str, elsewhere: BrowserContext) -> None:
    open_page(page, f"{base}/?model={MODEL}&instance=g6.xlarge")
    unfold(page, "more")
    enter(page, "Discount, %", "20")
    expect(page.locator(".st-key-verdict")).to_contain_text("$470 a month", timeout=WAIT_MS)
    go_to(page, "Cost")
    answer = page.locator("h2", has_text="a month")
    expect(answer).to_contain_text("What was negotiated saves $118 of $588 at list.", timeout=WAIT_MS)
    enter(page, "An engineer, $ a year", "120000")
    enter(page, "An engineer, %", "10")
    expect(answer).to_contain_text("The whole bill is $1,470 a month: $470 for the machines alone", timeout=WAIT_MS)
    enter(page, "A machine with 1 x L4, $", "17520")
    expect(page.get_by_text("Owning pays from")).to_be_visible(timeout=WAIT_MS)
    said = answer.inner_text()
    with page.expect_download() as download:
        page.get_by_role("button", name="Report with this answer").click()
    report = download.value.path().read_text(encoding="utf-8")
    assert "$0.8048 list less 20 % entered" in report
    assert "A machine of your own with 1 x L4" in report
    opens_alike(elsewhere, copied(page), said)
    unfold(page, "more")
    expect(page.get_by_label("Discount, %", exact=True)).to_have_count(1, timeout=WAIT_MS)  # the folded one is gone
    enter(page, "Discount, %", "95")
    expect(page.get_by_text("needs a number from 0 to 90")).to_be_visible(timeout=WAIT_MS)


def test_people_and_a_pasted_log_become_the_load_of_the_first_screen(
    page: Page, base: str, elsewhere: BrowserContext
) -> None:
    open_page(page, f"{base}/?model={MODEL}")
    go_to(page, "Load")
    answer = page.locator("h2", has_text="requests a second at the peak")
    enter(page, "How many", "1000")
    expect(answer).to_contain_text("6.67 requests a second", timeout=WAIT_MS)  # 1000 x 12 / 3600 x 2
    opens_alike(elsewhere, copied(page), answer.inner_text())
    unfold(page, "load_log_fold")
    box = page.get_by_label("Or paste it")
    box.fill("1000,100\n3000,300")
    box.press("Control+Enter")
    expect(answer).to_contain_text("2,000 tokens in and 200 out", timeout=WAIT_MS)
    page.get_by_role("button", name="Ask the first screen for this load").click()
    ran(page)
    go_to(page, "Plan")
    said = "6.666667 requests a second, 2,000 tokens in and 200 out"
    expect(page.locator(".st-key-verdict")).to_contain_text(said, timeout=2 * WAIT_MS)


def test_five_small_calls_and_one_large_against_all_large(page: Page, base: str, elsewhere: BrowserContext) -> None:
    open_page(page, base)
    go_to(page, "Pipelines")
    answer = page.locator("h2", has_text="tasks a day")
    expect(answer).to_contain_text("10,000 tasks a day cost", timeout=2 * WAIT_MS)
    expect(answer).to_contain_text("of Llama 3.1 70B for everything")
    enter(page, "Tasks a day", "200000")
    expect(answer).to_contain_text("less than the", timeout=2 * WAIT_MS)
    opens_alike(elsewhere, copied(page), answer.inner_text())
    page.locator(".st-key-pipe_kind").get_by_text("router", exact=True).click()
    ran(page)
    expect(answer).to_contain_text("70 % of 200,000 tasks a day to Llama 3.1 8B", timeout=2 * WAIT_MS)
    enter(page, "Small takes, %", "100")
    expect(answer).to_contain_text("100 % of 200,000 tasks", timeout=2 * WAIT_MS)
    opens_alike(elsewhere, copied(page), answer.inner_text())


def test_api_or_machines_at_my_tokens_and_from_where_on(page: Page, base: str, elsewhere: BrowserContext) -> None:
    open_page(page, f"{base}/?model={MODEL}")
    go_to(page, "API or machines")
    answer = page.locator("h2", has_text="million output tokens a month of Llama 3.1 8B")
    expect(answer).to_contain_text("200 million output tokens a month", timeout=2 * WAIT_MS)
    expect(answer).to_contain_text("rent tokens")
    box = page.locator(".st-key-api_own textarea")
    box.fill("ours, 0.01, 0.02")
    box.press("Control+Enter")
    expect(answer).to_contain_text("Ours is $20.00", timeout=2 * WAIT_MS)  # 1,600 x 0.01 + 200 x 0.02
    opens_alike(elsewhere, copied(page), answer.inner_text())
    box.fill("nonsense")
    box.press("Control+Enter")
    expect(page.get_by_text("Line 1 of your prices says no input and output price")).to_be_visible(timeout=WAIT_MS)


def test_what_would_change_the_decision(page: Page, base: str, elsewhere: BrowserContext) -> None:
    open_page(page, f"{base}/?model={MODEL}&rate=6&ttft=1&prompt=2048")
    go_to(page, "What would change it")
    answer = page.locator("h2", has_text="stays first until")
    expect(answer).to_contain_text("Llama 3.1 8B in BF16", timeout=2 * WAIT_MS)
    expect(page.locator(".st-key-change_picture")).to_be_visible()
    enter(page, "Traffic may be off by, %", "50")
    expect(page.get_by_text("traffic within 50 % of what is asked")).to_be_visible(timeout=2 * WAIT_MS)
    with page.expect_download() as download:
        page.get_by_role("button", name="Report with this answer").click()
    assert "What would change this decision" in download.value.path().read_text(encoding="utf-8")
    link = copied(page)
    assert "change_traffic=50" in link
    opens_alike(elsewhere, link, answer.inner_text())
    page.locator(".st-key-choice").get_by_text("cheapest", exact=True).click()
    ran(page)
    expect(answer).to_contain_text("Llama 3.1 8B in INT", timeout=2 * WAIT_MS)
    opens_alike(elsewhere, copied(page), answer.inner_text())
