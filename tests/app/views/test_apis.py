"""The page that compares hosted APIs with machines."""

from __future__ import annotations

import pytest

from tests.app.views.pages import opened, table, text_of

SEVENTY = "meta-llama/Llama-3.1-70B-Instruct"


def test_a_link_opens_to_its_volume_and_prices() -> None:
    page = opened("apis", api_tokens="500", api_own="ours, 0.1, 0.2")
    assert "500 million output tokens a month of Llama 3.1 8B, with 4,000 million in" in text_of(page)
    assert "ours" in {row[""] for row in table(page, "Tier", "A month")}


@pytest.mark.parametrize("choice", ["as asked", "cheapest"])
def test_the_verdict_is_about_the_recommended_plan_whichever_is_open(choice: str) -> None:
    page = opened("apis", model=SEVENTY, choice=choice)
    machines = table(page, "Tier", "A month")[0]
    assert "in BF16" not in machines[""]  # the cheapest takes a smaller precision
    assert machines[""].startswith("Machines: ")


def test_prices_that_are_none_and_volumes_beyond_the_planner_are_refused() -> None:
    page = opened("apis", api_own="nonsense")
    assert ["Line 1 of your prices" in box.value for box in page.error] == [True]
    page = opened("apis", api_tokens="1000000000")
    assert ["1,000,000" in box.value for box in page.error] == [True]
    page = opened("apis", api_tokens="-1", api_models="mine")
    said = " ".join(box.value for box in page.warning)
    assert "api" in said
    assert "the same model or every model" in said
