"""Making an environment that measures: what is installed, from where, and what is said when it cannot be."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from app.measuring import jobs as app_jobs
from app.measuring.jobs import measurement_store, set_up_assignment
from estimators.measuring.jobs import environment, set_up
from estimators.measuring.jobs.environment import NotSetUp, profiling_python
from estimators.measuring.jobs.job_state import JobState, Status
from estimators.measuring.jobs.jobs import run_job
from tests.conftest import ROOT


@pytest.fixture(autouse=True)
def own_store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A project of its own, whose package index is an empty folder."""
    measurement_store.cache_clear()
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.delenv("RIGHTSIZE_PROFILE_PYTHON", raising=False)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")


def run(told: list[JobState]) -> JobState:
    store, assignment = measurement_store(), set_up_assignment("profile")
    job_id = store.enqueue(assignment.device, assignment.title)
    return run_job(store, job_id, assignment.device, assignment.work(), told.append)


@pytest.mark.slow
def test_the_environment_counts_once_it_is_whole(tmp_path: Path) -> None:
    """A list that nothing can satisfy, then an empty one: the second try finishes what the first began."""
    requirements = tmp_path / "requirements-profile.txt"
    requirements.write_text("no-such-package-anywhere==1.0\n")
    end = run(told := [])
    assert end.status is Status.FAILED
    assert "Setting up failed" in end.message
    assert "no-such-package-anywhere" in end.message
    assert "installing the libraries" in [state.message for state in told]
    with pytest.raises(NotSetUp):
        profiling_python()
    requirements.write_text("# nothing\n")
    end = run([])
    assert (end.status, end.message, end.share) == (Status.DONE, "Set up.", 1.0)
    assert subprocess.run([profiling_python(), "-c", "pass"], check=False).returncode == 0


def test_an_installation_without_the_list_says_what_to_do_instead() -> None:
    with pytest.raises(NotSetUp, match="RIGHTSIZE_PROFILE_PYTHON"):
        set_up_assignment("profile")


def test_a_mirror_that_pip_was_told_of_is_the_one_uv_asks() -> None:
    listed = "global.index-url='https://mirror/simple'\n:env:.find-links='/opt/wheels'\nglobal.timeout='15'\n"
    assert set_up.uv_settings(listed) == {"UV_DEFAULT_INDEX": "https://mirror/simple", "UV_FIND_LINKS": "/opt/wheels"}


@pytest.mark.parametrize("name", ["profile", "serving"])
def test_the_lists_pin_torch_without_a_build(name: str) -> None:
    """So that the build for the CPU satisfies it: "torch==2.13.0", never "torch==2.13.0+cpu"."""
    requirements = ROOT / f"requirements-{name}.txt"
    assert set_up.pinned(requirements, "torch").removeprefix("torch==").replace(".", "").isdigit()
    assert set_up.pinned(requirements, "no-such-package") == ""


def test_the_runner_starts_it_like_any_other_job() -> None:
    (environment.ROOT / "requirements-serving.txt").touch()
    made = set_up_assignment("serving")
    assert app_jobs.from_line(app_jobs.as_line(made)) == made
    assert made.work().command[-2:] == [str(environment.ROOT / "requirements-serving.txt"), "--events"]
