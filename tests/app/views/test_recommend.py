"""The Recommend and Levers pages, run without a browser: links that ask, links that are hostile, hardware one has."""

from __future__ import annotations

import json

import pytest
from streamlit.testing.v1 import AppTest

from app.planning.question import QualityBar, Question
from app.planning.recommend import recommend
from app.scenario import Scenario
from app.sources import shared_sources
from estimators.precision import Weights
from estimators.quality.tasks import Task
from tests.conftest import ROOT

MAIN = str(ROOT / "app" / "main.py")
SMALL = "meta-llama/Llama-3.1-8B-Instruct"


def run(view: str = "recommend", **query: str) -> AppTest:
    page = AppTest.from_file(MAIN, default_timeout=60)
    for key, value in query.items():
        page.query_params[key] = value
    return page.run().switch_page(f"views/{view}.py").run()


def headline(page: AppTest) -> str:
    """The answer: the first heading below the one of the question."""
    found = [element.value for element in page.markdown if element.value.startswith("## ")]
    return str(found[found.index("## What is needed") + 1]).replace("\\", "")


def test_a_link_asks_its_question() -> None:
    page = run(rate="2", ttft="1", models=f"{SMALL},Qwen/Qwen3-8B", ways="spot", budget="100000", use="RAG")
    assert not page.exception
    assert page.multiselect(key="q_models").value == [SMALL, "Qwen/Qwen3-8B"]
    assert page.number_input(key="budget").value == 100_000
    assert headline(page).endswith("a month.")
    assert "spot" in " ".join(element.value for element in page.markdown)


def test_the_address_bar_keeps_the_question_that_is_asked() -> None:
    page = run(model=SMALL, models="Qwen/Qwen3-8B", precisions="fp8,int8")
    assert page.query_params["precisions"] in ("fp8,int8", ["fp8,int8"])
    page.multiselect(key="q_weights").set_value([]).run()
    assert "precisions" not in page.query_params


@pytest.mark.parametrize(
    ("key", "text"),
    [("models", "<script>"), ("quality", "1e400"), ("owned", "rm -rf"), ("regions", "$HOME"), ("budget", "9" * 300)],
)
def test_a_hostile_question_is_named_and_nothing_breaks(key: str, text: str) -> None:
    page = run(**{key: text})
    assert not page.exception
    assert key in " ".join(warning.value for warning in page.warning)
    assert headline(page)


def test_hardware_one_has_is_recommended_free_of_charge_with_its_link() -> None:
    page = run(model=SMALL, rate="2", ttft="1", owned="8 x A100-80GB")
    assert not page.exception
    assert "(yours): $0.00 a month." in headline(page)
    assert any("buy=owned" in element.proto.url for element in page.get("link_button"))


def test_levers_of_a_plan_that_drowns_say_so() -> None:
    page = run("levers", model=SMALL, instance="g6.xlarge", rate="50", replicas="1")
    assert not page.exception
    assert any("Overloaded" in warning.value for warning in page.warning)
    table = page.dataframe[0].value
    assert set(table["p95 per token"]) == {"overloaded"}


def test_ones_own_cost_replaces_the_recipe() -> None:
    page = run("levers", model="meta-llama/Llama-3.1-70B-Instruct", instance="p4d.24xlarge")
    page.number_input(key="own_one_off").set_value(24_000.0).run()
    assert not page.exception
    assert any(element.value.replace("\\", "").startswith("$24,000 once saves") for element in page.markdown)


def test_recommend_offers_no_link_to_a_plan_it_does_not_show() -> None:
    page = run(model=SMALL)
    labels = [json.loads(element.proto.json)["label"] for element in page.get("bidi_component") if element.proto.json]
    assert "Copy link" not in labels


def test_a_line_of_the_table_is_the_plan_it_stands_for() -> None:
    """Seconds to the first token, milliseconds a token, dollars a month, and quality in percent of the reference."""
    link = {"rate": "2", "ttft": "1", "models": SMALL, "precisions": "int4", "quality": "80", "quality_of": SMALL}
    page = run(**link, quality_on="instruction-following")
    assert not page.exception
    (rows,) = [found.value.to_dict("records") for found in page.dataframe if "p95 first token, s" in found.value]
    question = Question(
        scenario=Scenario(model=SMALL, rate=2, ttft=1),
        models=(SMALL,),
        weights=(Weights.INT4,),
        bar=QualityBar(task=Task.INSTRUCTION_FOLLOWING, reference=SMALL, minimum_ratio=0.8),
    )
    plans = recommend(question, shared_sources()).plans
    assert [row["A month"] for row in rows] == [float(ranked.candidate.usd_per_month or 0) for ranked in plans]
    for row, ranked in zip(rows, plans, strict=True):
        found = ranked.candidate
        assert row["p95 first token, s"] == pytest.approx(found.ttft_p95_s)
        assert row["p95 per token, ms"] == pytest.approx(1000 * (found.tpot_p95_s or 0))
        assert row["Quality"] == pytest.approx(100 * (found.quality.ratio or 0))
        assert 90 < row["Quality"] < 110
