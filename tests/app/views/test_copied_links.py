"""Every page that asks something of its own: its copied link opens to the same boxes, sentence and numbers."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from app.scenario import PAGE_KEYS
from app.views import asking
from tests.app.views.pages import metrics, opened, text_of, unfolded

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
SERVED = {"model": LLAMA, "rate": "5", "ttft": "1"}


@pytest.fixture
def links(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    copied: list[str] = []
    monkeypatch.setattr(asking, "copy_link", lambda query, **_: copied.append(query))
    return copied


def boxes(page: AppTest) -> dict[str, Any]:
    """What the page's own boxes hold; those of the plan are resolved by its link."""
    kinds = (page.number_input, page.text_input, page.text_area, page.selectbox, page.slider, page.toggle, page.radio)
    return {box.key: box.value for kind in kinds for box in kind if box.key in PAGE_KEYS}


def said(page: AppTest) -> tuple[list[str], list[Any], list[Any]]:
    """Its sentence, its numbers and its metrics; not what the link of a decision is held against."""
    headings = [mark.value for mark in page.markdown if mark.value.startswith("## ")]
    tables = [table.value for table in page.dataframe if "From the link" not in table.value.columns]
    rows = [table.drop(columns=["Source"], errors="ignore").to_dict("records") for table in tables]  # a frozen price's
    return headings, rows, list(metrics(page).items())


@pytest.mark.parametrize(
    ("view", "moved"),
    [
        ("load", {"load_unit": "tasks a day", "load_amount": 9000.0, "load_in": "200/1000/8000", "load_turns": 3}),
        ("apis", {"api_tokens": 500.0, "api_peak": 3.0, "api_own": "ours, 0.1, 0.2", "api_models": "every model"}),
        ("commit", {"commit_fall": 50, "commit_grow": 40, "week": "8-18x5@20", "commit_wait": 10, "commit_redo": 5}),
        ("pipelines", {"pipe_tasks": 500.0, "pipe_large": "32B", "pipe_steps": "one, 8B, 5, 500, 50"}),
        ("scaling", {"law_budget": "1e24", "law_served": "2e12", "law_mfu": 30, "law_months": 12}),
        ("cost", {"bill_spare": 1, "bill_control": "eks", "own_purchase": 30000.0, "bill_busy": 40}),
        ("change", {"change_traffic": 50}),
    ],
)
def test_a_copied_link_opens_to_the_same_answer(view: str, moved: dict[str, Any], links: list[str]) -> None:
    page = opened(view, **SERVED)
    for key, value in moved.items():
        page.session_state[key] = value
    page.run()
    assert not page.exception
    assert {key: boxes(page)[key] for key in moved} == moved
    again = opened(view, **dict(parse_qsl(links[-1])))
    assert boxes(again) == boxes(page)
    assert said(again) == said(page)


def test_the_link_of_the_panel_of_scores_opens_it_on_the_same_score(links: list[str]) -> None:
    page = unfolded(opened(model=LLAMA, weights="int4"), "validated_fold")
    page.selectbox(key="score_on_instruction-following").set_value("knowledge")
    page.selectbox(key="score_in_int4").set_value("nvfp4").run()
    assert not page.exception
    again = opened(**dict(parse_qsl(links[-1])))
    assert again.selectbox(key="score_on_knowledge").value == "knowledge"
    assert again.selectbox(key="score_in_nvfp4").value == "nvfp4"
    assert said(again)[1][:2] == said(page)[1][:2]


def test_the_link_of_a_log_carries_its_rate_and_its_mean_lengths(links: list[str]) -> None:
    """A request a second for 20 minutes, of 400 tokens in and every fourth of 2,000: 800 on average."""
    page = opened("load", model=LLAMA)
    rows = [f"{1_793_577_600 + second},{2000 if second % 4 == 3 else 400},100" for second in range(1200)]
    page.text_area(key="load_pasted").set_value("\n".join(["timestamp,in,out", *rows])).run()
    assert not page.exception
    linked = dict(parse_qsl(links[-1]))
    assert linked["load_in"] == "400/400/2000"
    assert linked["load_out"] == "100"
    again = opened("load", **linked)
    assert "1.00 requests a second at the peak, on average 800 tokens in and 100 out" in text_of(page)
    assert "1.00 requests a second at the peak, on average 800 tokens in and 100 out" in text_of(again)
