"""The page Measure: what is attached, one click to the figure, and what a million tokens cost on evidence."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.measuring.jobs import Assignment, measurement_store
from app.measuring.models import SAMPLE
from app.views import measure_here
from estimators.measuring.device.machine import Attached
from estimators.measuring.jobs.job_request import from_json
from estimators.measuring.jobs.job_state import Status
from estimators.provenance import Refusal
from tests.app.views.pages import opened, table, text_of
from tests.profiling_samples import measurement

TOKEN = "a-token-of-twenty-nine-letters"
CPU = Attached(device="cpu", name="Acme CPU", memory_bytes=24 * 2**30, free_bytes=20 * 2**30, cores=2)
L4 = Attached(
    device="cuda:0", name="NVIDIA L4", accelerator="L4", driver="550.54", memory_bytes=24 << 30, free_bytes=22 << 30
)


@pytest.fixture(autouse=True)
def own_store() -> None:
    measurement_store.cache_clear()


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[Assignment]:
    """Assignments the page starts, which are queued and never run; the environment is there with `tmp_path/set-up`."""
    found: list[Assignment] = []

    def start(store: object, assignment: Assignment, asked_by: str) -> int:
        found.append(assignment)
        return measurement_store().enqueue(assignment.device, assignment.title, asked_by)

    def worker_command(kind: str) -> list[str]:
        if not (tmp_path / "set-up").exists():
            raise Refusal("Not set up.", field="device")
        return [kind]

    monkeypatch.setenv("RIGHTSIZE_PROFILING", "1")
    monkeypatch.setenv("RIGHTSIZE_PROFILING_TOKEN", TOKEN)
    monkeypatch.setattr(measure_here, "start", start)
    monkeypatch.setattr(measure_here, "is_set_up", (tmp_path / "set-up").exists)
    monkeypatch.setattr(measure_here, "attached", lambda: (CPU,))
    monkeypatch.setattr("app.measuring.jobs.worker_command", worker_command)
    measure_here._ATTACHED.clear()
    return found


def measuring(**query: str) -> AppTest:
    page = opened("profile", **query)
    return page.text_input(key="profiling_token").set_value(TOKEN).run()


def test_one_click_makes_the_environment_and_then_measures(started: list[Assignment], tmp_path: Path) -> None:
    page = measuring()
    assert "Attached: Acme CPU, 2 cores, " in text_of(page)
    assert ", no GPU" in text_of(page)
    assert page.button(key="measure_device").label == f"Set up and measure {SAMPLE}"
    page.button(key="measure_device").click().run()
    assert [made.kind for made in started] == ["set-up"]
    page.button(key="measure_device").click().run()
    assert len(started) == 1  # one at a time, however often it is pressed
    (tmp_path / "set-up").touch()
    measurement_store().close(page.session_state["job"], Status.DONE, "Set up.")
    page.run()
    assert [made.kind for made in started] == ["set-up", "attached"]
    job = from_json(started[1].line)
    assert (job.model, job.device, job.prompt_tokens, job.output_tokens) == (SAMPLE, "cpu", 512, 64)
    assert page.button(key="measure_device").label == f"Measure {SAMPLE}"


def test_an_environment_that_cannot_be_made_says_so_and_nothing_follows(started: list[Assignment]) -> None:
    page = measuring()
    page.button(key="measure_device").click().run()
    measurement_store().close(page.session_state["job"], Status.FAILED, "Setting up failed: no space left")
    page.run()
    assert [info.value for info in page.info] == ["failed: Setting up failed: no space left"]
    assert len(started) == 1


def test_on_a_gpu_the_plans_own_model_at_its_own_length(
    started: list[Assignment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "set-up").touch()
    monkeypatch.setattr(measure_here, "attached", lambda: (L4, CPU))
    page = measuring(prompt="4096")
    assert "Attached: NVIDIA L4, 24.0 GiB, 22.0 GiB free, driver 550.54; Acme CPU" in text_of(page)
    page.button(key="measure_device").click().run()
    job = from_json(started[0].line)
    assert (job.model, job.device) == ("meta-llama/Llama-3.1-8B-Instruct", "cuda:0")
    assert (job.prompt_tokens, job.output_tokens) == (4096, 128)


def test_a_million_tokens_cost_what_the_machine_does() -> None:
    """At the bundled $0.8048 an hour of a g6.xlarge, and at what somebody says: dollars / (3600 x rate) x a million."""
    made = measurement(accelerator="L4")
    measurement_store().add([made])
    assert made.output_tok_per_s is not None
    page = opened("profile")
    (row,) = [row for row in table(page, "Measured") if row[""] == "Dollars per million output tokens"]
    as_sold = 0.8048e6 / (3600 * made.output_tok_per_s.median)
    assert float(row["Measured"].strip("$").replace(",", "")) == pytest.approx(as_sold, rel=0.01)
    page.number_input(key="usd_L4_1").set_value(0.4024).run()
    (row,) = [row for row in table(page, "Measured") if row[""] == "Dollars per million output tokens"]
    assert float(row["Measured"].strip("$").replace(",", "")) == pytest.approx(as_sold / 2, rel=0.01)


def test_guidellm_is_offered_where_it_is_and_installed_where_it_is_not(
    started: list[Assignment], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("RIGHTSIZE_GUIDELLM", str(tmp_path / "guidellm"))
    page = measuring()
    assert page.button(key="set_up_guidellm").label == "Set GuideLLM up"
    (tmp_path / "guidellm").write_text("#!/bin/sh\n")
    (tmp_path / "guidellm").chmod(0o755)
    page.run()
    assert page.button(key="measure_guidellm").disabled  # until there is an address
    page.text_input(key="endpoint_url").set_value("http://127.0.0.1:9").run()
    page.button(key="measure_guidellm").click().run()
    assert "is not among the servers that may be measured" in page.error[0].value
    assert not started
