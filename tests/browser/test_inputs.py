"""Inputs are never lost: every ordered pair of pages, each with F5; the back button; a second tab."""

from __future__ import annotations

import itertools
import re
import time
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import GROUPS, WAIT_MS, boxes_hold, go_to, ran

pytestmark = pytest.mark.browser

TITLES = ("Plan", "Memory", "Speed", "Cost", "Levers", "Compare", "Prices", "Measure", "Accuracy")
ASKED = {
    "model": "meta-llama/Llama-3.3-70B-Instruct",
    "concurrency": "50",
    "output": "256",
    "prefix": "0.5",
    "ttft": "1",
    "tpot": "0.0333",
    "region": "us-west-2",
    "choice": "cheapest",
    "budget": "50000",
    "precisions": "nvfp4,int4",
}


def asked_by(page: Page) -> dict[str, str]:
    return {key: values[-1] for key, values in parse_qs(urlsplit(page.url).query).items()}


def kept(page: Page, step: str) -> None:
    """The address holds all that was asked, and the boxes show it."""
    ran(page)
    boxes_hold(page, {"First token, s": "1", "Reads at least": "30 tokens/s", "People at once": "50"}, step)
    until = time.monotonic() + WAIT_MS / 1000
    while asked_by(page) != ASKED and time.monotonic() < until:
        page.wait_for_timeout(50)
    ran(page)
    assert asked_by(page) == ASKED, step


def walk(first: int = 0) -> list[str]:
    """The titles of a walk from the first page and back to it that goes from each page to each other once."""
    if first == len(TITLES) - 1:
        return []
    there_and_back = [TITLES[stop] for other in range(first + 2, len(TITLES)) for stop in (other, first)]
    return [*there_and_back, TITLES[first + 1], *walk(first + 1), TITLES[first]]


PARTS = 6  # two processes share them


@pytest.mark.parametrize("part", range(PARTS))
def test_every_pair_of_pages_keeps_what_was_asked_and_every_page_with_f5(page: Page, base: str, part: int) -> None:
    """A page that is loaded anew knows its address alone, which is the same wherever one came from: once each."""
    stops = ["Plan", *walk()]
    assert len(set(itertools.pairwise(stops))) == len(TITLES) * (len(TITLES) - 1)
    share = len(stops) // PARTS
    stops = stops[part * share : (part + 1) * share + 1]
    page.goto(f"{base}/?{urlencode(ASKED)}")
    kept(page, "opened")
    if stops[0] != "Plan":
        go_to(page, stops[0])
    for before, title in itertools.pairwise(stops):
        go_to(page, title)
        kept(page, f"{before} to {title}")
        if TITLES[TITLES.index(title) - 1] == before:
            page.reload()
            kept(page, f"F5 on {title}, from {before}")


@pytest.mark.parametrize("title", GROUPS["Decide"])
def test_a_page_that_asks_more_keeps_what_was_asked_before(page: Page, base: str, title: str) -> None:
    page.goto(f"{base}/?{urlencode(ASKED)}")
    kept(page, "opened")
    go_to(page, title)
    kept(page, f"to {title}")
    page.reload()
    kept(page, f"F5 on {title}")
    go_to(page, "Plan")
    kept(page, f"back from {title}")


@pytest.mark.parametrize("title", ["Memory", "Compare", "Accuracy"])
def test_a_page_that_is_left_at_once_takes_nothing_with_it(page: Page, base: str, title: str) -> None:
    """A click before the browser has drawn the boxes: what was asked is still there."""
    page.goto(f"{base}/?{urlencode(ASKED)}")
    page.get_by_test_id("stTopNavLink").first.wait_for(timeout=WAIT_MS)
    go_to(page, title)
    kept(page, f"at once to {title}")


def test_the_back_button_and_a_second_tab_keep_it(page: Page, base: str) -> None:
    page.goto(f"{base}/?{urlencode(ASKED)}")
    kept(page, "opened")
    go_to(page, "Accuracy")
    kept(page, "accuracy")
    page.go_back()
    kept(page, "back")
    expect(page.locator(".st-key-verdict")).to_be_visible(timeout=WAIT_MS)
    other = page.context.new_page()
    other.goto(page.url)
    kept(other, "second tab")


def test_what_has_no_box_of_its_own_is_in_the_address_at_once(page: Page, base: str) -> None:
    page.goto(f"{base}/?concurrency=3")
    ran(page)
    box = page.get_by_label("Reads at least", exact=True)
    box.fill("20")
    box.press("Enter")
    expect(page).to_have_url(re.compile("tpot=0.05"), timeout=WAIT_MS)
    page.get_by_text("RAG", exact=True).click()
    expect(page).to_have_url(re.compile("prompt=4096.*use=RAG"), timeout=WAIT_MS)


def test_a_limit_changed_on_another_page_is_in_the_address(page: Page, base: str) -> None:
    page.goto(f"{base}/compare?{urlencode(ASKED)}")
    kept(page, "opened")
    box = page.get_by_label("Reads at least", exact=True)
    box.fill("50 ms")
    box.press("Enter")
    expect(page).to_have_url(re.compile("tpot=0.05"), timeout=WAIT_MS)
