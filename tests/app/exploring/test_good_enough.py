"""What another model would save, and whether it is good enough: one benchmark, the same limits and prices."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest

from app.exploring.good_enough import DEAR, good_enough, machines_of, sentence, tasks_of
from app.exploring.question_link import Asked, question_of
from app.planning.planner import plan
from app.planning.recommend import recommend
from app.scenario import Scenario
from app.sources import LocalSources
from estimators.architecture.hub.client import HubClient
from estimators.provenance import Refusal
from estimators.quality.tasks import Task
from pricing.snapshot import load_snapshot

SOURCES = LocalSources(load_snapshot(), HubClient(offline=True))
LARGE, SMALL = "meta-llama/Llama-3.3-70B-Instruct", "meta-llama/Llama-3.1-8B-Instruct"
CHAT = Scenario(model=LARGE, rate=2, prompt=1000, output=250, prefix=0.5, ttft=1, tpot=0.05)


def table(scenario=CHAT, tasks=(Task.INSTRUCTION_FOLLOWING,)):
    question = question_of(Asked(), scenario, ())
    return good_enough(scenario.model, tasks, question, plan(scenario, SOURCES), partial(recommend, sources=SOURCES))


TABLE = table()
ROWS = {row.model: row for row in TABLE.rows}


def test_every_score_is_of_one_benchmark_that_is_named():
    assert (TABLE.benchmark.name, TABLE.ruler[1]) == ("IFBench", "Artificial Analysis")
    assert {row.pair.candidate.key for row in TABLE.rows if row.pair} == {TABLE.ruler}
    assert ROWS[SMALL].pair.ratio == pytest.approx(28.6 / 47.1)
    assert ROWS[LARGE].pair.ratio == 1


def test_dollars_are_of_the_plan_of_that_model_as_published_under_the_same_limits():
    for model in (SMALL, LARGE):
        alone = plan(replace(CHAT, model=model), SOURCES).chosen
        assert ROWS[model].usd_month == alone.cost.usd_per_month
    assert ROWS[SMALL].saving_usd == ROWS[LARGE].usd_month - ROWS[SMALL].usd_month > 0
    assert ROWS[LARGE].saving_usd == 0


def test_the_family_the_sizes_and_models_of_experts_are_there_cheapest_first():
    assert {"meta-llama/Llama-3.2-1B-Instruct", "openai/gpt-oss-120b", "Qwen/Qwen3-30B-A3B-Instruct-2507"} <= set(ROWS)
    priced = [row.usd_month for row in TABLE.rows if row.usd_month is not None]
    assert priced == sorted(priced)
    assert max(priced) <= DEAR * ROWS[LARGE].usd_month


def test_a_size_that_nobody_scored_stands_without_a_score():
    unscored = [row for row in TABLE.rows if row.pair is None]
    assert unscored
    assert all("llama" in row.model.lower() for row in unscored)


def test_an_api_is_paid_for_the_requests_of_the_load():
    """2 requests/s over 730 hours are 5.256 million: 2,628 million tokens in, as many cached, 1,314 million out."""
    api = ROWS[LARGE].api
    expected = sum(api.usd(Decimal(2628), Decimal(2628), Decimal(1314)))
    assert ROWS[LARGE].api_usd_month == pytest.approx(expected, rel=Decimal("0.01"))


def test_the_sentence_names_the_cheapest_that_comes_near_or_the_nearest():
    assert sentence(TABLE).startswith("No cheaper model comes within 5 % of Llama 3.3 70B on IFBench: the nearest, ")
    small = table(replace(CHAT, model="Qwen/Qwen3-32B"))
    assert sentence(small).startswith("Qwen3 30B A3B reaches 105 % of Qwen3 32B on IFBench and saves $")


def test_a_use_that_nobody_measured_falls_back_and_says_so():
    found = table(tasks=tasks_of("Chat", None))
    assert (found.wanted, found.task) == (Task.CHAT, Task.INSTRUCTION_FOLLOWING)


def test_a_model_that_nobody_measured_is_refused_by_name():
    with pytest.raises(Refusal, match="Nobody has measured openai-community/gpt2 beside other models on") as refused:
        table(replace(CHAT, model="openai-community/gpt2", prompt=500), tasks_of("", None))
    assert refused.value.field == "quality_on"


def test_machines_are_counted():
    assert machines_of(ROWS[LARGE]).endswith("large")
    assert machines_of(replace(ROWS[LARGE], candidate=None)) == "none meets the limits"
