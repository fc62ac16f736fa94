"""The link is the decision: change, copy, open in a fresh browser, same numbers."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.pages import SETTLED, go_to, metrics, open_page, settle, unfold, verdict

pytestmark = pytest.mark.browser


def choose(page: Page, label: str, option: str) -> None:
    unfold(page, "more")
    box = page.get_by_label(label, exact=True).first
    box.click()
    box.fill(option)
    page.get_by_role("option", name=option, exact=True).click()
    settle(page)


def copied_link(page: Page) -> str:
    button = page.get_by_role("button", name="Copy link")
    button.click()
    page.get_by_text("Copied").or_(page.get_by_text("Press Ctrl+C to copy")).wait_for()
    link = button.get_attribute("data-link")
    assert link
    return link


def test_a_copied_link_opens_to_the_same_numbers(page: Page, base: str, elsewhere: BrowserContext) -> None:
    open_page(page, base)
    before = verdict(page)
    choose(page, "Precision", "int4")
    expect(page.locator(".st-key-verdict h2")).to_contain_text("INT4")
    assert verdict(page) != before
    link = copied_link(page)
    shown = (verdict(page), metrics(page))
    query = {key: values[0] for key, values in parse_qs(urlsplit(link).query).items()}
    assert query["v"] == "1"
    assert query["weights"] == "int4"
    assert query["instance"]
    assert "auto" not in {query[key] for key in ("kv", "instance", "gpus")}

    other = elsewhere.new_page()
    open_page(other, link)
    assert (verdict(other), metrics(other)) == shown
    expect(other.get_by_test_id("stAlert")).to_have_count(0)


def test_a_change_reaches_the_address_bar(page: Page, base: str) -> None:
    open_page(page, base)
    choose(page, "Precision", "fp8")
    expect(page).to_have_url(re.compile("weights=fp8"))
    page.reload()
    settle(page)
    assert "FP8" in verdict(page)


def test_a_task_sets_its_tokens_and_the_address_bar(page: Page, base: str) -> None:
    open_page(page, base)
    page.get_by_role("radio", name="RAG").or_(page.get_by_role("button", name="RAG")).first.click()
    expect(page.locator(".st-key-verdict")).to_contain_text("4,096 tokens in and 256 out")
    link = copied_link(page)
    assert "prompt=4096" in link
    assert "output=256" in link


def test_inputs_survive_a_visit_to_another_page(page: Page, base: str) -> None:
    open_page(page, f"{base}/?weights=int8&concurrency=7")
    shown = verdict(page)
    go_to(page, "Accuracy")
    page.get_by_text("The worst figures").wait_for()
    page.locator(SETTLED).wait_for()
    go_to(page, "Plan")
    settle(page)
    assert verdict(page) == shown
    expect(page.locator(".st-key-verdict")).to_contain_text("7 requests at a time")


@pytest.mark.parametrize(
    "query",
    [
        "prompt=" + "9" * 400,
        "concurrency=inf&util=nan&hours=-inf",
        "prompt=1e309&gpus=%D9%A1%D9%A2",
        "model=" + quote("<script>alert(1)</script>"),
        "model=" + quote("javascript:alert(1)") + "&region=" + quote("../../etc/passwd"),
        "weights=&buy=free&instance=" + quote("[x](http://evil.example)"),
        "v=99&utm_source=mail&" + quote("**bold**") + "=1",
        "concurrency=3&rate=5&load=max",
    ],
)
def test_a_hostile_link_shows_a_notice_and_no_traceback(page: Page, base: str, query: str) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    open_page(page, f"{base}/?{query}")
    expect(page.get_by_test_id("stAlert").first).to_be_visible()
    expect(page.get_by_test_id("stException")).to_have_count(0)
    assert page.get_by_text("Traceback").count() == 0
    assert page.get_by_text("Something went wrong").count() == 0
    assert page.locator("a[href*='evil.example']").count() == 0
    assert errors == []
