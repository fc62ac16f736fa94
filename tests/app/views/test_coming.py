"""A page that waits for the Hub says so, and starts anew once the answer is there."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

WAITS = """
from app.planning.plan import Plan
from app.scenario import Scenario
from app.views import coming
from estimators.architecture.hub.errors import HubPending
import streamlit as st

asked = Scenario(model="acme/slow")
st.session_state.runs = st.session_state.get("runs", 0) + 1
refusal = HubPending("acme/slow is being read.", "") if st.session_state.runs == 1 else None
coming.draw(Plan(asked=asked, resolved=asked, refusal=refusal))
"""


class Reading:
    def __init__(self, *, under_way: bool) -> None:
        self.under_way = under_way

    def reading(self, model: str) -> bool:
        assert model == "acme/slow"
        return self.under_way


@pytest.mark.parametrize(("under_way", "runs", "said"), [(True, 1, 1), (False, 2, 0)])
def test_it_says_so_until_the_answer_is_there(
    monkeypatch: pytest.MonkeyPatch, under_way: bool, runs: int, said: int
) -> None:
    monkeypatch.setattr("app.views.coming.dashboard_sources", lambda: Reading(under_way=under_way))
    page = AppTest.from_string(WAITS).run()
    assert not page.exception
    assert page.session_state["runs"] == runs
    assert len(page.caption) == said
