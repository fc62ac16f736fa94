"""The page that asks what would change the decision."""

from __future__ import annotations

from tests.app.views.pages import opened, table, text_of

SERVED = {"model": "meta-llama/Llama-3.1-8B-Instruct", "rate": "6", "ttft": "1", "prompt": "2048"}


def test_the_page_answers_about_the_cheapest_plan_and_its_table_has_every_assumption() -> None:
    page = opened("change", **SERVED)
    said = text_of(page)
    assert "stays first until" in said
    assert "it is the cheapest in" in said
    rows = table(page, "Assumption", "Flips above")
    names = [row["Assumption"] for row in rows]
    assert {"Requests a second", "Tokens in", "Tokens out", "Time to first token, limit"} <= set(names)
    assert names[0].startswith("Price of ")


def test_it_speaks_of_the_plan_that_is_chosen() -> None:
    assert "Llama 3.1 8B in BF16 on" in text_of(opened("change", **SERVED, choice="as asked"))
    assert "Llama 3.1 8B in INT" in text_of(opened("change", **SERVED, choice="cheapest"))


def test_what_was_asked_is_kept_where_nothing_is_cheaper() -> None:
    """One request at a time fits an L4 in 16 bits: the first screen keeps them, and so does what would change it."""
    page = opened("change", model="meta-llama/Llama-3.1-8B-Instruct")
    assert "Llama 3.1 8B in BF16 on g6.xlarge stays first until" in text_of(page)


def test_the_model_that_was_asked_for_is_kept_among_models_of_its_price() -> None:
    llama, qwen = "meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen2.5-7B-Instruct"
    page = opened("change", model=llama, models=f"{llama},{qwen}")
    assert "Llama 3.1 8B in BF16 on g6.xlarge stays first until" in text_of(page)


def test_traffic_that_may_be_off_is_part_of_the_link() -> None:
    page = opened("change", **SERVED, change_traffic="50")
    assert page.number_input(key="change_traffic").value == 50
    assert "traffic within 50 % of what is asked" in text_of(page)


def test_a_frozen_price_and_its_machine_are_left_open() -> None:
    page = opened("change", **SERVED, instance="g6.xlarge", price="0.5")
    assert len(table(page, "Assumption")) >= 6
    assert "stays first" in text_of(page)


def test_a_question_without_a_plan_is_refused_in_a_sentence() -> None:
    page = opened("change", **{**SERVED, "ttft": "0.0001"})
    assert any("no decision to change" in box.value for box in page.error)
