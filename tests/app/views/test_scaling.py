"""The page of scaling laws."""

from __future__ import annotations

from tests.app.views.pages import opened, table, text_of


def test_a_link_opens_to_its_budget_and_what_will_be_served() -> None:
    page = opened("scaling", law_budget="5.76e23", law_served="2e12")
    assert "make the best model at 72.4 B parameters on 1.33 T tokens" in text_of(page)
    assert "50.0 B on 2.03 T reach the same loss" in text_of(page)
    assert [row["Best for training"] for row in table(page, "Constants")] == ["72.4 B", "32.2 B", "40.4 B"]


def test_budgets_and_tokens_out_of_range_are_named() -> None:
    page = opened("scaling", law_budget="1e90", law_served="lots", law_mfu="0")
    said = " ".join([*(box.value for box in page.warning), *(box.value for box in page.error)]).replace("\\", "")
    assert "Give 1e+17 to 1e+28 FLOP" in said
    assert "needs a number from 0 to 1e+20, such as 2e12" in said
    assert "law_mfu" in said
