"""What programs are answered: bodies, lines, and refusals with the field at fault."""

from __future__ import annotations

import pytest

from app.answers import Answered, BadInput, compare, estimate, levers, recommend
from app.columns import COLUMNS
from app.exploring.asking import Asking, read_asking
from app.exploring.compare import opened
from app.sources import shared_sources
from app.vocabulary import LEVERS_KEYS, RECOMMEND_KEYS
from estimators.provenance import Refusal

LLAMA = {"model": "meta-llama/Llama-3.1-8B-Instruct", "concurrency": "40"}


def ask(**flat: str) -> dict[str, str]:
    return flat


def asking(flat: dict[str, str]) -> Asking:
    return read_asking(flat, shared_sources(), (*RECOMMEND_KEYS, *LEVERS_KEYS))


def recommended(flat: dict[str, str], **more: int) -> Answered:
    return recommend(asking(flat), shared_sources(), **more)


def test_an_estimate_is_the_columns_with_the_verdict() -> None:
    found = estimate(asking(LLAMA), shared_sources())
    assert set(COLUMNS) < set(found.body)
    assert found.body["usd_per_month"] == pytest.approx(1175.01, abs=0.005)
    assert found.body["verdict"] == (
        "Llama 3.1 8B in BF16 fits one L4 in each of 2 replicas (2 x g6.xlarge): $1,175 a month."
    )
    assert next(iter(found.lines())) == found.body["verdict"]
    assert found.refusal is None


def test_a_recommendation_ranks_plans_by_their_cost() -> None:
    found = recommended(ask(model="8B", rate="5", ttft="1"), most=3)
    plans = found.body["plans"]
    assert isinstance(plans, list)
    assert len(plans) == 3
    months = [plan["usd_per_month"] for plan in plans]
    assert months == sorted(months)
    assert len(found.csv().splitlines()) == 4
    assert next(iter(found.lines())).endswith("a month.")


def test_a_task_fills_in_the_tokens_that_are_not_given() -> None:
    scenario = asking(ask(use="rag", output="100")).scenario
    assert (scenario.prompt, scenario.output, scenario.prefix) == (4096, 100, 0.1)


def test_no_plan_within_the_budget_names_the_budget_and_the_way_out() -> None:
    found = recommended(ask(model="meta-llama/Llama-3.3-70B-Instruct", rate="5", budget="100"))
    assert found.body["plans"] == []
    assert found.refusal is not None
    assert found.refusal.field == "budget"
    assert found.body["field"] == "budget"
    ways_out = found.body["ways_out"]
    assert isinstance(ways_out, list)
    assert any(line.startswith("Monthly cost would have to be raised") for line in ways_out)


@pytest.mark.parametrize(
    ("flat", "field"),
    [
        ({}, "model"),
        ({"model": "8B", "prompt": "inf"}, "prompt"),
        ({"model": "8B", "budget": "-1"}, "budget"),
        ({"model": "8B", "regions": "mars-1"}, "regions"),
        ({"model": "8B", "colour": "red"}, "colour"),
        ({"quality": "99", "quality_of": "nobody/nothing"}, "quality_of"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_by_its_field(flat: dict[str, str], field: str) -> None:
    with pytest.raises(Refusal) as refused:
        recommended(flat)
    assert refused.value.field == field


def test_levers_stand_beside_the_plan_as_it_is() -> None:
    found = levers(asking(LLAMA), shared_sources(), apply=("int4", "kv-fp8"))
    listed = found.body["levers"]
    assert isinstance(listed, list)
    by_key = {lever["key"]: lever for lever in listed}
    assert by_key["int4"]["usd_per_month"] == pytest.approx(587.5, abs=0.1)
    assert by_key["int4"]["memory_bytes_per_gpu"] < by_key["kv-fp8"]["memory_bytes_per_gpu"]
    assert by_key["ngram"]["quality_kept"] == 1.0
    assert list(found.lines())[-1].startswith("Weights in INT4 and KV cache in FP8: $588 a month, -50 %")


def test_a_lever_the_plan_has_not_is_refused_with_those_it_has() -> None:
    with pytest.raises(BadInput, match="apply=magic is no lever of this plan, which has int8, fp8") as refused:
        levers(asking(LLAMA), shared_sources(), apply=("magic",))
    assert refused.value.field == "apply"


def test_scenarios_side_by_side_say_which_is_cheapest() -> None:
    found = compare([opened(query, shared_sources()) for query in ("model=8B&gpu=L4", "model=8B&gpu=A10G")])
    assert found.body["verdict"] == (
        "Number 1 is the cheapest: $588 a month on one L4 (g6.xlarge), 1.2 times less than number 2."
    )
    assert len(found.plans) == 2
    assert any(line.split()[:3] == ["A", "month", "$588"] for line in found.lines())
