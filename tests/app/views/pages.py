"""Pages run without a browser: what they print, beside the plan they print it of."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

from streamlit.testing.v1 import AppTest

from app.planning.plan import Candidate, Plan
from app.planning.planner import plan
from app.scenario import decode, with_page_defaults
from app.sources import shared_sources
from tests.conftest import ROOT

MAIN = str(ROOT / "app" / "main.py")


def opened(view: str = "", **query: str) -> AppTest:
    """The page `view`, or the first screen, opened from a link."""
    page = AppTest.from_file(MAIN, default_timeout=60)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    if view:
        page.switch_page(f"views/{view}.py").run()
    assert not page.exception
    return page


def unfolded(page: AppTest, *folds: str) -> AppTest:
    """The page with these expanders open: what is folded is not drawn."""
    for fold in folds:
        page.session_state[fold] = True
    return page.run()


def planned(**query: str) -> tuple[Plan, Candidate]:
    """The plan of the same link, and its chosen machine."""
    found = plan(with_page_defaults(decode(query).scenario), shared_sources())
    assert found.chosen is not None
    return found, found.chosen


class _Texts(HTMLParser):
    """The text of each element of these tags, in order: (tag, its class, text)."""

    def __init__(self, tags: tuple[str, ...]) -> None:
        super().__init__()
        self.tags, self.found = tags, list[tuple[str, str, str]]()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.tags:
            self.found.append((tag, dict(attrs).get("class") or "", ""))

    def handle_data(self, data: str) -> None:
        if self.found:
            tag, kind, text = self.found[-1]
            self.found[-1] = (tag, kind, text + data)


def _texts(page: AppTest, holder: str, *tags: str) -> list[tuple[str, str, str]]:
    parser = _Texts(tags)
    for element in page.get("html"):
        if f'class="{holder}"' in element.proto.body:
            parser.feed(element.proto.body)
    return parser.found


def metrics(page: AppTest) -> dict[str, tuple[str, str]]:
    """What the boxes of figures say: label to (figure, what stands beside it), as typed."""
    boxes = {box.label: (_plain(box.value), _plain(box.delta)) for box in page.metric}
    label = ""
    for tag, kind, text in _texts(page, "key-figures", "dt", "dd"):
        label = text if tag == "dt" else label
        figure, beside = boxes.get(label, ("", ""))
        boxes[label] = (text if kind == "value" else figure, text if kind == "beside" else beside)
    return boxes


def machines(page: AppTest) -> list[dict[str, str]]:
    """The rows of the machines beside a plan, as printed."""
    cells = _texts(page, "machines", "th", "td")
    columns = [text for tag, _, text in cells if tag == "th"]
    texts = iter([text for tag, _, text in cells if tag == "td"])
    return [dict(zip(columns, row, strict=True)) for row in zip(*[texts] * len(columns), strict=True)]


def table(page: AppTest, *columns: str) -> list[dict[str, Any]]:
    """The rows of the first table that has these columns."""
    return next(
        found.value.to_dict("records") for found in page.dataframe if set(columns) <= set(map(str, found.value.columns))
    )


def text_of(page: AppTest) -> str:
    return " ".join(_plain(element.value) for element in [*page.markdown, *page.caption])


def _plain(text: str | None) -> str:
    return (text or "").replace("\\", "")
