"""The one-page report and its CSV and JSON."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser

import pytest

from app.columns import COLUMNS
from app.exploring.report_page import plans_csv, plans_json, report_html
from app.format import gib, seconds, span
from app.planning.planner import plan
from app.planning.question import QualityBar, Question
from app.planning.recommend import recommend
from app.planning.recommendation import Recommendation
from app.scenario import KEYS, Scenario
from app.sources import shared_sources
from estimators.precision import Weights
from estimators.quality.tasks import Task

TODAY = date(2026, 11, 21)
LARGE = "meta-llama/Llama-3.1-70B-Instruct"


@pytest.fixture(scope="module")
def answer() -> Recommendation:
    return recommend(
        Question(
            scenario=Scenario(rate=2, prompt=4096, output=256, ttft=2.0),
            models=("meta-llama/Llama-3.1-8B-Instruct", LARGE),
            weights=(Weights.AS_PUBLISHED, Weights.FP8),
            bar=QualityBar(task=Task.INSTRUCTION_FOLLOWING, reference=LARGE, minimum_ratio=0.99),
        ),
        shared_sources(),
    )


class _Read(HTMLParser):
    """Tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(answer: Recommendation) -> _Read:
    best = answer.plans[0]
    assert best.plan is not None
    return _Read(report_html(best.plan, link="?v=1", today=TODAY, answer=answer, chosen=best.candidate))


def test_the_report_gives_each_estimate_with_both_ends(answer: Recommendation) -> None:
    text, chosen = page_of(answer).text, answer.plans[0].plan.chosen
    assert chosen is not None
    assert chosen.memory is not None
    assert chosen.latency is not None
    memory = (chosen.memory.memory_bytes_per_gpu_low, chosen.memory.memory_bytes_per_gpu_high)
    assert f"{gib(memory[0])} to {gib(memory[1])}, 80 % interval" in text
    for key in ("ttft", "tpot", "e2e"):
        mean, late = chosen.latency.of(key)
        assert f"p95 {seconds(late)}" in text
        assert f"mean {span(mean.low, mean.high)}, 80 % interval" in text


def test_the_report_holds_verdict_limits_evidence_reason_and_link(answer: Recommendation) -> None:
    text = page_of(answer).text
    for part in ("a month", "p95", "Quality evidence", "Source:", "The next cheaper", "candidates weighed", "?v=1"):
        assert part.lower() in text.lower()
    assert "2026-11-21" in text
    assert "The monthly cost is of the machines alone" in text


def test_limits_and_figures_say_the_same(answer: Recommendation) -> None:
    best = answer.plans[0]
    assert best.plan is not None
    assert best.plan.chosen is not None
    margins = {margin.key: margin for margin in best.candidate.limits}
    memory, latency = best.plan.chosen.memory, best.plan.chosen.latency
    assert memory is not None
    assert latency is not None
    assert margins["memory"].value == memory.memory_bytes_per_gpu
    assert margins["ttft"].value == latency.ttft_p95_s


def test_the_report_asks_for_nothing_and_runs_nothing(answer: Recommendation) -> None:
    page = page_of(answer)
    assert "script" not in page.tags
    assert page.links == []


def test_text_from_outside_is_escaped() -> None:
    hostile = plan(Scenario(model="nobody/nothing"), shared_sources())
    page = report_html(hostile, link='"><script>alert(1)</script>', today=TODAY)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_csv_has_the_contracts_columns_and_one_row_per_plan(answer: Recommendation) -> None:
    plans = [ranked.plan for ranked in answer.plans if ranked.plan]
    rows = list(csv.DictReader(io.StringIO(plans_csv(plans))))
    assert len(rows) == len(plans)
    assert set(KEYS) | set(COLUMNS) <= set(rows[0])
    assert rows[0]["fits"] == "true"
    assert rows[0]["usd_per_month"] == format(answer.plans[0].candidate.usd_per_month or 0, "f")


def test_the_json_is_strict_and_holds_limits_and_what_was_weighed(answer: Recommendation) -> None:
    plans = [ranked.plan for ranked in answer.plans if ranked.plan]
    body = json.loads(json.dumps(plans_json(plans, answer), allow_nan=False))
    assert body["weighed"] == answer.weighed
    assert len(body["plans"]) == len(plans) == len(body["limits"])
    assert {limit["limit"] for limit in body["limits"][0]} >= {"ttft", "memory", "quality"}


def test_a_report_without_an_answer_says_which_limit_kills(answer: Recommendation) -> None:
    none = recommend(replace(answer.question, scenario=replace(answer.question.scenario, ttft=0.001)), shared_sources())
    page = _Read(report_html(plan(Scenario(model=LARGE), shared_sources()), link="", today=TODAY, answer=none))
    assert "No plan meets every limit" in page.text
    assert "time to first token" in page.text.lower()
