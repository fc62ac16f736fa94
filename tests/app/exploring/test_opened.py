"""What a link opens to: a plan that is recommended runs, and is the same from its own link."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest

from app.exploring.asking import read_question
from app.exploring.opened import PlanShown, open_link, shown, unknown_model
from app.planning.sentences import verdict
from app.scenario import with_page_defaults
from app.sources import shared_sources
from app.views.decision import query_of

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def opened(link: str) -> PlanShown:
    raw = dict(parse_qsl(link))
    read = open_link(raw)
    asked, _ = read_question(raw, shared_sources())
    return shown(with_page_defaults(read.decoded.scenario), asked, raw.get("choice"), shared_sources())


@pytest.mark.parametrize(
    "link",
    [
        "quality=60",  # an FP8 checkpoint on a T4, which has no BF16: its cache is kept in FP16
        "model=RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic&instance=g4dn.xlarge",
        f"model={LLAMA}&instance=g4dn.12xlarge",
        f"model={LLAMA}&concurrency=40&choice=safe&ttft=1",
        "models=8B,14B&rate=5&ttft=1&vendors=AMD,NVIDIA",
    ],
)
def test_a_plan_runs_and_its_own_link_opens_to_the_same(link: str) -> None:
    found = opened(link)
    assert found.plan.refusal is None
    assert found.plan.chosen is not None
    again = opened(query_of(found.plan, {})).plan
    assert again.refusal is None
    assert again.chosen is not None
    assert (again.chosen.label, again.chosen.usd_per_month) == (
        found.plan.chosen.label,
        found.plan.chosen.usd_per_month,
    )
    assert verdict(again).rpartition(": ")[2] == verdict(found.plan).rpartition(": ")[2]


W4A16 = "model=RedHatAI/Qwen3-8B-quantized.w4a16&instance=g4dn.xlarge"


@pytest.mark.parametrize(
    "link",
    [
        f"{W4A16}&engine=sglang",  # only vLLM takes FP16 for what a T4 has not
        f"{W4A16}&kv=bf16",  # and only where nobody asked for BF16
        "model=RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic&instance=g4dn.xlarge&kv=bf16",
        f"model={LLAMA}&instance=p3.8xlarge&engine=transformers",
    ],
)
def test_a_plan_that_does_not_run_does_not_run_from_its_own_link(link: str) -> None:
    found = opened(link).plan
    assert "does not run" in verdict(found)
    assert "does not run" in verdict(opened(query_of(found, {})).plan)


def test_a_card_that_is_chosen_is_the_one_that_is_shown() -> None:
    plain, cheapest = opened(f"model={LLAMA}&concurrency=40"), opened(f"model={LLAMA}&concurrency=40&choice=cheapest")
    assert plain.card is not None
    assert cheapest.card is not None
    assert plain.plan is plain.card.plan
    assert (cheapest.plan.chosen and cheapest.plan.chosen.usd_per_month) == min(
        card.plan.chosen.usd_per_month
        for card in cheapest.answer.cards
        if card.plan.chosen  # type: ignore[union-attr]
    )


def test_a_name_as_people_write_it_is_the_model_and_one_that_is_none_is_said_to_be() -> None:
    assert open_link({"model": "llama 3.3 70b"}).decoded.scenario.model == "meta-llama/Llama-3.3-70B-Instruct"
    assert unknown_model("llama 3.3 70b") is None
    assert unknown_model("") is None
    refusal = unknown_model("Lama 3.3 70B")
    assert refusal is not None
    assert "Did you mean" in str(refusal)
