"""10,000 links of strangers: none raises, none changes on the way back from a copied link, none takes a second."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import date
from random import Random

import pytest

from app.columns import as_json
from app.exploring.decision_link import freeze, read_decision, review
from app.exploring.question_link import Asked, decode_question, encode_question, link_of, question_of
from app.planning.budget import worked_s
from app.planning.plan import Plan
from app.planning.remembered import remembered_answer, remembered_plan
from app.scenario import Scenario, decode, encode, with_page_defaults
from app.sources import LocalSources
from estimators.architecture import catalogue
from estimators.architecture.hub.client import HubClient
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import ModelSpec, SpecSource
from estimators.provenance import Refusal
from pricing.book import Book
from tests.app.fuzzed_links import MODELS, decision_link, question_link, scenario_link

SOURCES = LocalSources(Book(), HubClient(offline=True))
VENDORS = ["AMD", "AWS", "NVIDIA"]
TODAY = date(2026, 11, 28)


@pytest.fixture(scope="module", autouse=True)
def _tables_are_read() -> None:
    remembered_plan(Scenario(model=MODELS[0]), SOURCES)


def asked_of(raw: dict[str, str]) -> Asked:
    return decode_question(raw, models=MODELS, regions=SOURCES.book.regions, vendors=VENDORS)[0]


def comes_back(scenario: Scenario) -> None:
    """What is copied, short or with every field, is read as it was, and nothing of it is refused."""
    short = decode(encode(scenario))
    assert (short.scenario, short.problems) == (scenario, ())
    whole = decode(encode(scenario, every_field=True))
    assert whole.problems == ()
    assert whole.scenario == replace(scenario, concurrency=scenario.requests_in_flight)


def planned(scenario: Scenario) -> Plan:
    begun = time.thread_time()
    plan = remembered_plan(with_page_defaults(scenario), SOURCES)
    body = as_json(plan, ())
    json.dumps(body, allow_nan=False)
    assert body["error"] or body["usd_per_month"] is not None or plan.chosen is not None
    assert time.thread_time() - begun < 1.0
    return plan


def test_scenario_links() -> None:
    draw = Random(17)
    for number in range(6_000):
        scenario = decode(scenario_link(draw)).scenario
        comes_back(scenario)
        if number % 30 == 0:
            comes_back(planned(scenario).resolved)


def test_decision_links() -> None:
    draw = Random(18)
    for number in range(2_000):
        raw = decision_link(draw)
        _, scenario, _ = read_decision(raw, decode(raw).scenario)
        comes_back(scenario)
        if number % 40 == 0:
            frozen = freeze(planned(scenario), TODAY, SOURCES)
            again = decode(frozen)
            assert again.problems == ()
            decision, _, problems = read_decision(frozen, again.scenario)
            assert problems == ()
            if "decision" in frozen:
                assert decision is not None
                assert review(decision, SOURCES).altered == ()


def test_question_links() -> None:
    draw = Random(19)
    for number in range(2_000):
        raw = question_link(draw)
        scenario, asked = decode(raw).scenario, asked_of(raw)
        again, problems = decode_question(
            encode_question(asked), models=MODELS, regions=SOURCES.book.regions, vendors=VENDORS
        )
        assert (again, problems) == (asked, ())
        link = link_of(asked, scenario)
        assert asked_of(link) == asked
        assert decode(link).problems == ()
        try:
            question = question_of(asked, scenario, MODELS)
        except Refusal:
            continue
        if number % 200 == 0:
            begun = worked_s()
            found = remembered_answer(question, with_page_defaults(scenario), SOURCES)
            assert worked_s() - begun < 3.0
            assert found.cards or found.refusal or found.found or found.asked.refusal


@pytest.mark.parametrize(
    "raw",
    [
        {"models": "H100,L4,g6.xlarge", "ttft": "1"},
        {"models": "nan,1.,3-,0.5M,99999T"},
        {"spec": "nan"},
        {"spec": "NaN", "accept": "nan", "spec_tokens": "nan"},
    ],
)
def test_links_that_once_came_back_changed(raw: dict[str, str]) -> None:
    asked, scenario = asked_of(raw), decode(raw).scenario
    comes_back(scenario)
    assert asked_of(link_of(asked, scenario)) == asked


class Hostile(LocalSources):
    """Every model is one whose rules cannot be applied."""

    def spec(self, model: str) -> ModelSpec:
        ignored = {"expressions": [f"re:x{number}" for number in range(4000)], "long": ["re:" + "a" * 3000]}
        quantization = {"quant_method": "compressed-tensors", "format": "int-quantized", "config_groups": {}}
        config = {**catalogue.load_config("Qwen/Qwen2.5-7B-Instruct"), "quantization_config": quantization | {
            "ignore": ignored[model.partition("/")[2]],
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "int"}}},
        }}  # fmt: skip
        return parse_config(config, model_id=model, source=SpecSource.HUB, source_note="a test")


@pytest.mark.parametrize("model", ["hostile/expressions", "hostile/long"])
def test_a_config_nobody_can_apply_is_refused_inside_the_plan_and_its_columns_can_be_read(model: str) -> None:
    sources = Hostile(Book(), HubClient(offline=True))
    begun = time.thread_time()
    for scenario in (Scenario(model=model), Scenario(model=model, instance="g6.xlarge", rate=3)):
        plan = remembered_plan(scenario, sources)
        body = as_json(plan, ())
        assert "quantization_config holds too many or too long regular expressions" in str(body["error"])
        assert body["resident_params"] == 7_615_616_512
        assert body["weights_bytes"] is None
    assert time.thread_time() - begun < 2.0
