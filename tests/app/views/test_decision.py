"""What the page says of a link's decision, and that nothing in a link is markup."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from app.views.decision import banner
from tests.app.exploring.test_decision_link import CHOSE_ITSELF, MAINS, THEN, link, reviewed
from tests.conftest import ROOT


def said(**changes: str) -> str:
    return " ".join(banner(reviewed({**link(), **changes}, THEN)))


def test_a_link_of_this_calibration_says_nothing_of_calibrations() -> None:
    assert "calibration" not in said()
    assert "Not ours" not in said()


def test_a_link_of_an_earlier_calibration_says_so_with_its_day() -> None:
    told = said(formula=MAINS)
    assert "Computed with an earlier calibration (1-83578bdd, of 2026-11-21)." in told
    assert "Not ours" not in told


def test_what_an_earlier_calibration_gave_stands_beside_what_is_computed_now() -> None:
    told = said(formula=MAINS, decided_ttft="9.5")
    assert "(1-83578bdd, of 2026-11-21); now: p95 time to first token " in told
    assert "Not ours" not in told


def test_a_figure_of_no_calibration_is_not_ours() -> None:
    assert (
        "Not ours: p95 time to first token in the link is not what its inputs come to, and its calibration, 1-00000000,"
        " is none known here."
    ) in said(formula="1-00000000", decided_ttft="9.5")
    assert "come to, and it names no calibration." in said(formula="", decided_ttft="9.5")
    assert "Not ours: p95 time to first token in the link is not what its inputs come to. " in said(decided_ttft="9.5")


def test_a_forged_cost_is_not_ours_in_any_calibration() -> None:
    assert "Not ours: monthly cost in the link" in said(formula=MAINS, decided_usd_month="500")


@pytest.mark.parametrize(
    ("formula", "calibration"),
    [(MAINS, "Computed with an earlier calibration"), ("<script>alert(1)</script>", "$588 a month on g6.xlarge")],
)
def test_an_old_link_opens_on_the_page(formula: str, calibration: str) -> None:
    page = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=30)
    for key, value in {**dict(parse_qsl(CHOSE_ITSELF)), "formula": formula}.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    told = next(element.value for element in page.markdown if "Decided on 2026-11-27" in element.value)
    assert calibration in told.replace("\\", "")
    assert "script" not in told
