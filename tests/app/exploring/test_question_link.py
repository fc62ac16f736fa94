"""The question of the Recommend page in a link: it comes back as it went, and what is hostile is named and dropped."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.exploring.decision_link import freeze, read_decision
from app.exploring.question_link import (
    MOST_UNLISTED,
    Asked,
    decode_question,
    encode_question,
    link_of,
    question_of,
    with_question,
)
from app.planning.question import MOST_MODELS
from app.planning.recommend import recommend
from app.presets import PRESETS
from app.scenario import QUESTION_KEYS, Scenario, decode
from app.sources import LocalSources, shared_sources
from estimators.architecture.hub.client import HubClient
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.quality.tasks import Task
from pricing.offers import PurchaseOption
from tests.app.exploring.conftest import AddKey
from tests.app.planning.test_recommend import book

MODELS = ("meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct", "Qwen/Qwen3-8B")
REGIONS = ("us-east-1", "eu-west-1")
VENDORS = ("NVIDIA", "AMD", "AWS")
RAG = Scenario(rate=2, prompt=4096, output=256, ttft=1.0)

asked_questions = st.builds(
    Asked,
    use=st.sampled_from(["", *PRESETS]),
    models=st.lists(st.sampled_from([*MODELS, "8B", "30B-A3B", "org/name"]), unique=True).map(tuple),
    weights=st.lists(st.sampled_from([w for w in Weights if w is not Weights.FP32]), unique=True).map(tuple),
    regions=st.lists(st.sampled_from(REGIONS), unique=True).map(tuple),
    options=st.lists(st.sampled_from(list(PurchaseOption)), unique=True).map(tuple),
    vendors=st.lists(st.sampled_from(VENDORS), unique=True).map(tuple),
    percent=st.none() | st.sampled_from([90.0, 99.0, 99.5, 101.0]),
    reference=st.sampled_from(MODELS),
    task=st.sampled_from(list(Task)),
    reasoning=st.booleans(),
    budget=st.none() | st.integers(1, 10**6).map(Decimal),
    owned=st.sampled_from(["", "8 x A100-80GB", "8 x A100-80GB\n4 x L40S @ 0.50"]),
)


def read(raw: dict[str, str]) -> tuple[Asked, list[str]]:
    found, problems = decode_question(raw, models=MODELS, regions=REGIONS, vendors=VENDORS)
    return found, [problem.key for problem in problems]


@given(asked=asked_questions)
def test_a_question_comes_back_as_it_went(asked: Asked) -> None:
    found, problems = read(encode_question(asked))
    assert problems == []
    assert encode_question(found) == encode_question(asked)
    assert (found.models, found.weights, found.options, found.budget) == (
        asked.models,
        asked.weights,
        asked.options,
        asked.budget,
    )
    if asked.percent is not None:
        assert (found.percent, found.reference, found.task) == (asked.percent, asked.reference, asked.task)


@given(raw=st.dictionaries(st.sampled_from(QUESTION_KEYS), st.text(max_size=400)))
def test_whatever_a_link_holds_is_read_without_an_error(raw: dict[str, str]) -> None:
    found, _ = decode_question(raw, models=MODELS, regions=REGIONS, vendors=VENDORS)
    assert len(found.models) <= MOST_MODELS
    question_of(found, RAG, MODELS)


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("models", "not%a%model"),
        ("models", "x" * 7000),
        ("precisions", "fp3"),
        ("regions", "mars-1"),
        ("ways", "barter"),
        ("vendors", "ACME"),
        ("quality", "0"),
        ("quality", "1e9"),
        ("quality", "NaN"),
        ("quality_of", "nobody/nothing"),
        ("quality_on", "poetry"),
        ("budget", "-5"),
        ("owned", "many of them"),
        ("use", "mining"),
    ],
)
def test_a_bad_value_is_named_and_left_out(key: str, text: str) -> None:
    found, problems = read({key: text})
    assert problems == [key]
    assert encode_question(found) == {}


def test_a_link_cannot_send_the_page_around_the_hub() -> None:
    found, problems = read({"models": ",".join(f"org/model-{n}" for n in range(40))})
    assert len(found.models) == MOST_UNLISTED
    assert set(problems) == {"models"}


def test_the_keys_of_a_question_are_no_problem_for_the_scenario() -> None:
    link = link_of(Asked(models=MODELS[:1], budget=Decimal(5000)), RAG)
    decoded = decode(link)
    assert decoded.problems == ()
    assert (decoded.scenario.rate, decoded.scenario.ttft) == (2, 1.0)


def test_a_typed_model_that_is_neither_id_nor_size_is_refused() -> None:
    with pytest.raises(Refusal, match="neither a Hub id nor a size"):
        question_of(Asked(models=("<b>8B</b>",)), RAG, MODELS)


@pytest.mark.parametrize(
    "asked",
    [
        Asked(percent=90.0, models=MODELS, options=(PurchaseOption.SPOT, PurchaseOption.ON_DEMAND)),
        Asked(owned="20 x L40S @ 0.50", weights=(Weights.FP8, Weights.INT8)),
        Asked(budget=Decimal(30_000), models=("8B",)),
    ],
)
def test_it_opens_to_the_same_ranking(asked: Asked) -> None:
    sources = LocalSources(book(), HubClient(offline=True))
    link = link_of(asked, RAG)
    opened, problems = read(link)
    before = recommend(question_of(asked, RAG, MODELS), sources)
    after = recommend(question_of(opened, decode(link).scenario, MODELS), sources)
    assert problems == []
    assert [ranked.candidate.scenario for ranked in after.plans] == [
        ranked.candidate.scenario for ranked in before.plans
    ]
    assert before.plans


def test_the_link_of_a_chosen_plan_asks_the_question_it_answers() -> None:
    """Opened on the page it was copied from, it recommends that plan again; the decision in it still reads."""
    sources = shared_sources()
    asked = Asked(models=MODELS[:2], weights=(Weights.BF16, Weights.FP8), percent=99.0)
    best = recommend(question_of(asked, RAG, MODELS), sources).plans[0]
    link = dict(parse_qsl(with_question(freeze(best.plan, date(2026, 11, 21), sources), encode_question(asked))))
    assert "decision" in link
    again, problems = decode_question(link, models=MODELS, regions=REGIONS, vendors=VENDORS)
    opened = decode(link).scenario
    assert problems == ()
    assert again == asked
    assert read_decision(link, opened)[0] is not None
    reopened = recommend(question_of(again, opened, MODELS), sources).plans[0]
    assert reopened.candidate.scenario.model == best.candidate.scenario.model
    assert reopened.candidate.usd_per_month == best.candidate.usd_per_month


def test_a_question_too_long_for_an_address_is_left_out_of_the_plans_link() -> None:
    assert with_question({"v": "1"}, {"models": "org/name," * 300}) == "v=1"


# Made on 2026-11-28 by the dashboard of commit b60c5f1, before any key was added.
OLD_QUESTION = (
    "weights=as-published&method=auto&kv=auto&prompt=4096&output=256&rate=3&ttft=1&pp=1&ep=1&region=us-east-1"
    "&buy=on_demand&hours=730&engine=vllm&prefix=0.1&v=1&use=RAG&models=meta-llama%2FLlama-3.1-8B-Instruct%2C30B-A3B"
    "&precisions=bf16%2Cint4&regions=us-east-1%2Ceu-west-1&ways=on_demand%2Cspot&vendors=NVIDIA%2CAMD&quality=99.5"
    "&quality_of=meta-llama%2FLlama-3.1-70B-Instruct&quality_on=instruction-following&budget=50000"
    "&owned=20+x+L40S+%40+0.5"
)


def test_an_older_question_asks_the_same_when_a_key_is_added(add_key: AddKey) -> None:
    add_key(1)
    raw = dict(parse_qsl(OLD_QUESTION))
    decoded = decode(raw)
    found, problems = read(raw)
    assert (decoded.problems, problems) == ((), [])
    assert decoded.scenario == type(decoded.scenario)(rate=3, prompt=4096, output=256, ttft=1, prefix=0.1)
    assert found == Asked(
        use="RAG",
        models=("meta-llama/Llama-3.1-8B-Instruct", "30B-A3B"),
        weights=(Weights.BF16, Weights.INT4),
        regions=("us-east-1", "eu-west-1"),
        options=(PurchaseOption.ON_DEMAND, PurchaseOption.SPOT),
        vendors=("NVIDIA", "AMD"),
        percent=99.5,
        reference="meta-llama/Llama-3.1-70B-Instruct",
        budget=Decimal(50000),
        owned="20 x L40S @ 0.5",
    )
    assert link_of(found, decoded.scenario) == {**raw, "sp": "1", "dp": "1", "eager": "false", "discount": "0"}


def test_a_question_holds_an_added_key(add_key: AddKey) -> None:
    wider = add_key(1)
    asked = wider(rate=2, sp=4)
    assert decode(link_of(Asked(models=MODELS), asked)).scenario == asked
