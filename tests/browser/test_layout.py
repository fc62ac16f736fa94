"""Every page opens whole at three widths and in both themes; the answer stands above the fold."""

from __future__ import annotations

from collections import deque
from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import SETTLED, WAIT_MS, ran, settle, wear

pytestmark = pytest.mark.browser
PAGES = (
    "", "recommend", "memory", "speed", "cost", "levers", "load", "apis", "commit", "change", "pipelines", "scaling",
    "compare", "prices", "measure", "accuracy",
)  # fmt: skip
ASKED = "model=meta-llama%2FLlama-3.3-70B-Instruct&concurrency=50&output=256&prefix=0.5&ttft=1&tpot=0.0333&use=Chat"
# Text of our own that is wider than the box that shows it. Tables and pictures draw on canvases, code scrolls, the
# menu of a phone waits beside the screen, and what is folded is not shown.
CUT_OFF = """() => [...document.querySelectorAll('.stApp *')].filter(e => {
  if (e.closest('svg, canvas, pre, [data-testid=stDataFrame], [data-testid=stSidebar], .st-key-carried')) return false;
  if (e.closest('details:not([open]) > :not(summary)')) return false;
  const says = e.tagName === 'INPUT' ? e.type === 'text' && e.value
                                     : [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
  const box = e.getBoundingClientRect(), style = getComputedStyle(e);
  if (!says || style.visibility === 'hidden' || box.width < 2 || box.height < 2) return false;
  if (box.right > innerWidth + 1) return true;
  if (e.scrollWidth > e.clientWidth + 1 && style.overflowX !== 'visible' && e.clientWidth > 0) return true;
  for (let p = e.parentElement; p && !p.classList.contains('stApp'); p = p.parentElement) {
    const outer = p.getBoundingClientRect();
    if (getComputedStyle(p).overflowX !== 'visible' && box.right > outer.right + 2) return true;
  }
  return false;
}).map(e => (e.value || e.textContent).trim().slice(0, 80))"""


def ready(page: Page) -> None:
    ran(page)
    page.locator("h1, h2, h3").nth(1).wait_for(timeout=WAIT_MS)
    page.locator(SETTLED).wait_for(timeout=WAIT_MS)
    page.get_by_label("People at once", exact=True).wait_for(timeout=WAIT_MS)


Scheme = Literal["light", "dark"]
LOOKS: tuple[tuple[tuple[int, Scheme], ...], ...] = (  # of every other page each
    ((400, "light"), (900, "dark"), (1400, "light")),
    ((400, "dark"), (900, "light"), (1400, "dark")),
)


@pytest.mark.parametrize("first", range(3))
def test_every_page_opens_and_nothing_of_it_is_cut_off(page: Page, base: str, first: int) -> None:
    """Each at one width and then made as wide as the others; they begin at each in turn."""
    errors: list[str] = []
    cut = {}
    page.on("pageerror", lambda error: errors.append(str(error)))
    for number, name in enumerate(PAGES[first::3]):
        looks = deque(LOOKS[number % 2])
        looks.rotate(-first - number)
        wear(page, *looks[0])
        page.goto(f"{base}/{name}?{ASKED}")
        ready(page)
        for width, scheme in looks:
            wear(page, width, scheme)
            expect(page.get_by_test_id("stException")).to_have_count(0)
            assert page.get_by_text("Something went wrong").count() == 0, name
            overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert overflow <= 0, f"{name} is wider than {width} px"
            if found := page.evaluate(CUT_OFF):
                cut[name, width] = found
    assert cut == {}
    assert errors == []


@pytest.mark.parametrize(("width", "height"), [(1400, 900), (400, 800)])
def test_the_answer_stands_above_the_fold(page: Page, base: str, width: int, height: int) -> None:
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{base}/?{ASKED}")
    settle(page)
    ready(page)
    price = page.locator(".st-key-card_as_asked h3")
    expect(price).to_contain_text("a month")
    box = price.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= height
