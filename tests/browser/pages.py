"""How the tests read the page."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Literal

from playwright.sync_api import Error, Page, expect

SETTLED = '.stApp[data-test-script-state="notRunning"]'
WAIT_MS = 30_000

# Run before a page's own scripts: notes when the page last asked its server for something, and when a run last began.
WATCHED = """(() => {
  const seen = window.seenRuns = {asked: null, began: null};
  const send = WebSocket.prototype.send;
  WebSocket.prototype.send = function (data) { seen.asked = performance.now(); return send.call(this, data); };
  new MutationObserver(changes => {
    if (changes.some(change => change.target.dataset.testScriptState === 'running')) seen.began = performance.now();
  }).observe(document, {subtree: true, attributes: true, attributeFilter: ['data-test-script-state']});
})()"""
# What a click or a key brings about is sent within two frames. What was sent begins a run, or none within a second, the
# first of a page within five; in a window that is not watched a run is given 300 ms to begin.
QUIET = """async ([state, milliseconds]) => {
  const frame = () => new Promise(done => setTimeout(done, 20));
  const seen = window.seenRuns, start = performance.now();
  const begins = () => {
    if (!seen) return performance.now() < start + 300;
    if (seen.asked === null) return true;
    if (seen.began === null) return performance.now() < seen.asked + 5000;
    return seen.began < seen.asked && performance.now() < seen.asked + 1000;
  };
  const works = () => document.querySelector(state) === null || begins();
  do { await frame(); await frame(); } while (works() && performance.now() < start + milliseconds);
  return !works();
}"""

BOXES = """async ([boxes, milliseconds]) => {
  const end = performance.now() + milliseconds;
  const shown = () => Object.entries(boxes).every(([label, text]) =>
    [...document.querySelectorAll('input')].some(box => box.ariaLabel === label && box.value === text));
  while (!shown() && performance.now() < end) await new Promise(done => setTimeout(done, 20));
}"""


def quiet(page: Page, milliseconds: int = WAIT_MS) -> None:
    """Wait until the page has asked for all that it will, and every run this began has ended."""
    end = time.monotonic() + milliseconds / 1000
    while True:
        left = max(0, round(1000 * (end - time.monotonic())))
        try:
            if page.evaluate(QUIET, [SETTLED, left]):
                return
        except Error as error:  # it went to another address meanwhile
            if "context was destroyed" not in error.message and "navigation" not in error.message:
                raise
        assert left, "the page is still at work"


def settle(page: Page) -> None:
    """Wait until the script has run to the end of an estimate or a card."""
    quiet(page)  # before what waits by looking again, each time half a second later
    page.locator(".st-key-footer").wait_for(timeout=WAIT_MS)
    quiet(page)


def ran(page: Page) -> None:
    """Wait until a script that may run long has ended, on any page."""
    quiet(page, 2 * WAIT_MS)


def enter(page: Page, label: str, text: str) -> None:
    """Type into the box of this label and press Enter."""
    box = page.get_by_label(label, exact=True)
    box.fill(text)
    box.press("Enter")
    ran(page)


def open_page(page: Page, address: str) -> None:
    page.goto(address)
    settle(page)


def wear(page: Page, width: int, scheme: Literal["light", "dark"]) -> None:
    """Show the page as a window so wide does, in this theme; what is open is drawn anew."""
    page.set_viewport_size({"width": width, "height": 900})
    page.emulate_media(color_scheme=scheme)
    if page.url != "about:blank":
        page.wait_for_timeout(500)  # charts and menus follow the window a moment later
        quiet(page)


def boxes_hold(page: Page, texts: Mapping[str, str], step: str) -> None:
    """Hold the page to the texts of the boxes of these labels, once they are drawn."""
    page.evaluate(BOXES, [texts, WAIT_MS])  # which looks oftener than what follows
    for label, text in texts.items():
        expect(page.get_by_label(label, exact=True), step).to_have_value(text, timeout=5_000)


def verdict(page: Page) -> str:
    return page.locator(".st-key-verdict h2").inner_text(timeout=WAIT_MS)


def metrics(page: Page) -> list[str]:
    values = page.locator(".key-figures .value")
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
