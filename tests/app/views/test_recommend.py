"""The question of the first screen and the Levers page, run without a browser: links that ask, or are hostile."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.planning.question import QualityBar, Question
from app.planning.recommend import recommend
from app.scenario import Scenario
from app.sources import shared_sources
from app.views.inputs import reading_seconds
from estimators.precision import Weights
from estimators.quality.tasks import Task
from tests.app.views.pages import unfolded
from tests.conftest import ROOT

MAIN = str(ROOT / "app" / "main.py")
SMALL = "meta-llama/Llama-3.1-8B-Instruct"
LARGE = "meta-llama/Llama-3.3-70B-Instruct"
CHAT = {"model": LARGE, "concurrency": "50", "output": "256", "prefix": "0.5", "ttft": "1", "tpot": "0.0333"}


def run(view: str = "", **query: str) -> AppTest:
    page = AppTest.from_file(MAIN, default_timeout=60)
    for key, value in query.items():
        page.query_params[key] = value
    page.run()
    return page.switch_page(f"views/{view}.py").run() if view else page


def text_of(page: AppTest) -> str:
    return " ".join(element.value for element in [*page.markdown, *page.caption, *page.warning]).replace("\\", "")


def headline(page: AppTest) -> str:
    """The verdict of the plan that is shown."""
    said = next(str(e.value) for e in page.markdown if e.value.startswith("## "))
    return said.partition("\n")[0].replace("\\", "")


def test_one_question_is_answered_three_ways() -> None:
    page = run(**CHAT)
    assert not page.exception
    text = text_of(page)
    for name in ("**As asked** (shown below)", "**Cheapest**", "**Safe**"):
        assert name in text
    assert "saves $17,581 a month against as asked" in text
    assert "may miss p95 time to first token, p95 time per output token: measure before promising it" in text
    assert "$20,036 a month" in headline(page)


@pytest.mark.parametrize("view", ["", "memory", "speed", "cost", "levers"])
def test_the_plan_that_is_chosen_is_what_every_page_speaks_of(view: str) -> None:
    page = run(view, **CHAT, choice="cheapest")
    assert not page.exception
    assert page.session_state["_run"].plan.chosen.label == "g7e.2xlarge"
    assert page.session_state["_run"].plan.asked.spec is not None


def test_a_link_asks_its_question() -> None:
    link = {"rate": "2", "ttft": "1", "ways": "spot", "budget": "100000", "use": "RAG"}
    page = unfolded(run(**link, models=f"{SMALL},Qwen/Qwen3-8B"), "choices")
    assert not page.exception
    assert page.multiselect(key="q_models").value == [SMALL, "Qwen/Qwen3-8B"]
    assert page.number_input(key="bar_budget").value == 100_000
    assert headline(page).endswith("a month.")
    assert "spot" in text_of(page)


def test_the_question_is_carried_by_a_bound_box_whatever_page_is_shown() -> None:
    page = run("accuracy", model=SMALL, models="Qwen/Qwen3-8B", precisions="fp8,int8")
    assert page.text_input(key="precisions").value == "fp8,int8"
    assert page.text_input(key="models").value == "Qwen/Qwen3-8B"
    unfolded(page, "choices").multiselect(key="q_weights").set_value([]).run()
    assert [box.key for box in page.text_input if box.key in ("precisions", "models")] == ["models"]


@pytest.mark.parametrize(
    ("key", "text"),
    [("models", "<script>"), ("quality", "1e400"), ("owned", "rm -rf"), ("regions", "$HOME"), ("budget", "9" * 300)],
)
def test_a_hostile_question_is_named_and_nothing_breaks(key: str, text: str) -> None:
    page = run(**{key: text})
    assert not page.exception
    assert key in " ".join(warning.value for warning in page.warning)
    assert headline(page)


def test_where_all_three_are_one_plan_the_verdict_says_so_and_no_card_stands_beside_it() -> None:
    page = run(model=SMALL, concurrency="9")
    assert "**As asked = Cheapest = Safe**: 95 of 100 within: whole request" in text_of(page)
    assert "### " not in text_of(page).partition("### Memory")[0]  # a card is headed by its price


def test_the_only_plan_says_nothing_more_where_it_does_not_fit_and_how_it_is_served_where_that_is_otherwise() -> None:
    page = run(model="meta-llama/Llama-3.1-405B-Instruct", instance="g5.xlarge", concurrency="9")
    assert "does not fit" in headline(page)
    assert "**As asked" not in text_of(page)
    page = run(model=SMALL, gpu="T4", concurrency="9")
    assert "in BF16" in headline(page)
    assert "served in FP16" in text_of(page)


def test_hardware_one_has_is_planned_on_free_of_charge() -> None:
    page = run(model=SMALL, rate="2", ttft="1", owned="8 x A100-80GB")
    assert not page.exception
    assert text_of(page).count("It keeps 1 of your 8 A100-80GB-SXM4 busy; 7 are left.") == 1
    assert "$0.00 a month" in headline(page)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30", 0.033333), ("30 tokens/s", 0.033333), ("33 ms", 0.033), ("50 ms a token", 0.05), ("", 0), ("fast", 0)],
)
def test_the_speed_of_reading_is_said_either_way_round(text: str, seconds: float) -> None:
    assert reading_seconds(text) == seconds


def test_a_reading_speed_is_the_limit_on_time_per_token() -> None:
    page = run(model=SMALL)
    page.text_input(key="reading").set_value("40 ms").run()
    assert page.text_input(key="tpot").value == "0.04"
    unfolded(page, "more").text_input(key="reading").set_value("").run()
    assert page.text_input(key="tpot").value == ""


def test_a_name_as_people_write_it_is_found() -> None:
    page = run(model="llama 3.3 70b")
    assert page.selectbox(key="model").value == LARGE
    assert "Llama 3.3 70B" in headline(page)


def test_an_unknown_model_gets_no_number_of_another_one() -> None:
    for page in (run(model="Lama 3.3 70B"), run("memory", model="Lama 3.3 70B")):
        assert not page.exception
        assert "$" not in text_of(page)
    page = run(model="Lama 3.3 70B")
    assert f"Did you mean {LARGE}" in headline(page)


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


def test_reports_and_files_are_made_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    for name in ("report_html", "plans_csv", "plans_json"):
        monkeypatch.setattr(f"app.views.decision.{name}", lambda *_, _name=name, **__: made.append(_name) or "{}")
    page = run(model=SMALL, instance="g6.xlarge")
    page.session_state["plans_fold"] = True
    page.run()
    assert not page.exception
    assert {button.proto.label for button in page.get("download_button")} >= {"Report, one page", "Plans as JSON"}
    assert made == []


def test_a_line_of_the_table_is_the_plan_it_stands_for() -> None:
    """Seconds to the first token, milliseconds a token, dollars a month, and quality in percent of the reference."""
    link = {"rate": "2", "ttft": "1", "models": SMALL, "precisions": "int4", "quality": "80", "quality_of": SMALL}
    page = run(**link, quality_on="instruction-following")
    page.session_state["plans_fold"] = True
    page.run()
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
