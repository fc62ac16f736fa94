"""Pages run without a browser: what they print, beside the plan they print it of."""

from __future__ import annotations

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


def metrics(page: AppTest) -> dict[str, tuple[str, str]]:
    """What the boxes say: label to (figure, what stands under it), as typed."""
    return {box.label: (_plain(box.value), _plain(box.delta)) for box in page.metric}


def table(page: AppTest, *columns: str) -> list[dict[str, Any]]:
    """The rows of the first table that has these columns."""
    return next(
        found.value.to_dict("records") for found in page.dataframe if set(columns) <= set(map(str, found.value.columns))
    )


def text_of(page: AppTest) -> str:
    return " ".join(_plain(element.value) for element in [*page.markdown, *page.caption])


def _plain(text: str | None) -> str:
    return (text or "").replace("\\", "")
