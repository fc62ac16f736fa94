"""The page that asks whether to sign."""

from __future__ import annotations

from tests.app.views.pages import opened, table, text_of


def test_the_page_answers_and_its_link_holds_what_was_asked() -> None:
    page = opened("commit", instance="g6.xlarge", rate="10", commit_fall="50", week="8-18x5@20")
    assert "If traffic falls 50 %" in text_of(page)
    assert "8 to 18 o'clock on 5 days, 20 % of the load otherwise" in text_of(page)
    rows = table(page, "Way to pay", "A month")
    assert {"on demand", "spot", "reserved 1 year, no upfront"} <= {row["Way to pay"] for row in rows}
    assert page.number_input(key="commit_fall").value == 50


def test_what_a_link_may_not_ask_is_named() -> None:
    page = opened("commit", commit_fall="9" * 400, week="<b>")
    said = " ".join(box.value for box in page.warning).replace("\\", "")
    assert "commit_fall=" in said
    assert "week=<b>" in said
    assert page.number_input(key="commit_fall").value == 30
