"""What the title row gives away."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import parse_qsl

import pytest
from streamlit.testing.v1 import AppTest

from app.measuring import jobs
from app.measuring.overlay import with_own_measurements
from app.views import current, header
from tests.app.exploring.test_decision_link import reviewed
from tests.app.measuring.test_overlay import MODEL, measured
from tests.app.planning.test_logged import LINK, logged
from tests.conftest import ROOT


def test_the_link_holds_what_anyone_can_compute_and_not_ones_own_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    """Opened by a colleague without the measurement, its figures would be called not ours."""
    copied: list[str] = []
    monkeypatch.setattr(header, "copy_link", copied.append)
    monkeypatch.setattr(jobs, "measurement_store", lambda: SimpleNamespace(find=lambda _: [measured()]))
    narrowed = []
    monkeypatch.setattr(
        current,
        "with_own_measurements",
        lambda plan, found: narrowed.append(with_own_measurements(plan, found)) or narrowed[-1],
    )
    page = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=30)
    for key, value in {"model": MODEL, "weights": "bf16", "instance": "g6.xlarge"}.items():
        page.query_params[key] = value
    page.session_state["own_measurements"] = ["m1"]
    page.run()
    assert not page.exception
    flat = dict(parse_qsl(copied[-1]))
    assert narrowed[-1].chosen.latency.tpot_p95_s != pytest.approx(float(flat["decided_tpot"]), rel=0.005)
    assert [figure.key for figure in reviewed(flat).figures if figure.differs] == []


@pytest.mark.parametrize(("gib", "stays"), [("4.50", True), ("2.00", False)])
def test_a_log_of_memory_is_in_the_choice_on_the_first_screen_and_not_in_the_link(
    monkeypatch: pytest.MonkeyPatch, gib: str, stays: bool
) -> None:
    """With 4.50 GiB logged the L4 still holds the request of 2.46; with 2.00 it does not, and another comes first."""
    copied: list[str] = []
    monkeypatch.setattr(header, "copy_link", copied.append)
    monkeypatch.setattr(jobs, "measurement_store", lambda: SimpleNamespace(find=lambda _: [logged(gib)]))
    page = AppTest.from_file(str(ROOT / "app" / "main.py"), default_timeout=30)
    for key, value in LINK.items():
        page.query_params[key] = value
    page.session_state["own_measurements"] = ["m1"]
    page.run()
    assert not page.exception
    shown = page.session_state["_run"].plan.chosen
    assert shown.fits
    assert ((shown.machine.accelerator.name, shown.placement.gpus) == ("L4", 1)) == stays
    text = " ".join(element.value for element in page.markdown)
    assert ("memory of a GPU 18.9 GiB (18.7 GiB to 18.9 GiB); measured here" in text) == stays
    flat = dict(parse_qsl(copied[-1]))
    assert [figure.key for figure in reviewed(flat).figures if figure.differs] == []
