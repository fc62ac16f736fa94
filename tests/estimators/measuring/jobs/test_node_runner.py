"""What a cluster runs on a node, called here without one."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from estimators.measuring.jobs.environment import NotSetUp
from estimators.measuring.jobs.job_request import DeviceJob, spare_threads
from estimators.measuring.jobs.node_runner import NodeRunner, node_python
from estimators.measuring.jobs.process import device_key, lock_path, try_lock
from estimators.precision import Weights

JOB = DeviceJob(
    model="done", config={}, weights=Weights.FP32, prompt_tokens=8, output_tokens=4, device="cuda", threads=99
)
STAND_IN = """#!{python}
import json, os, sys, threading, time
job = json.loads(sys.stdin.readline())
print(json.dumps({{"event": "progress", "message": f"{{job['threads']}} threads", "pid": os.getpid()}}), flush=True)
if job["model"] == "endless": time.sleep(60)
if job["model"] == "killed": os.kill(os.getpid(), 9)
print(json.dumps({{"event": "failed", "message": "as asked"}}), flush=True)
"""


@pytest.fixture
def python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"test-{os.getpid()}")  # a lock of this test's own
    monkeypatch.delenv("RIGHTSIZE_PROFILE_PYTHON", raising=False)
    path = tmp_path / "python"
    path.write_text(STAND_IN.format(python=sys.executable))
    path.chmod(0o755)
    return str(path)


def events_of(runner: NodeRunner, until: int = 1000) -> list[dict]:
    found: list[dict] = []
    for _ in range(500):
        events, ended = runner.take()
        found += events
        if ended or len(found) >= until:
            break
        time.sleep(0.02)
    return found


def test_events_come_in_order_and_threads_are_the_nodes(python: str) -> None:
    runner = NodeRunner()
    assert runner.start(JOB.to_json(), python) == os.uname().nodename
    first, last = events_of(runner)
    assert first["message"] == f"{spare_threads()} threads"
    assert last == {"event": "failed", "message": "as asked"}


def test_a_killed_worker_is_out_of_memory(python: str) -> None:
    runner = NodeRunner()
    runner.start(replace(JOB, model="killed").to_json(), python)
    assert events_of(runner)[-1]["event"] == "out_of_memory"


def test_stop_ends_the_worker(python: str) -> None:
    runner = NodeRunner()
    runner.start(replace(JOB, model="endless").to_json(), python)
    (started,) = events_of(runner, until=1)
    runner.stop()
    events_of(runner)
    assert not Path(f"/proc/{started['pid']}").exists()


def test_a_device_that_is_taken_is_waited_for(python: str) -> None:
    with lock_path(device_key(f"cuda:{os.environ['CUDA_VISIBLE_DEVICES']}")).open("w") as held:
        assert try_lock(held.fileno())
        runner = NodeRunner()
        runner.start(JOB.to_json(), python)
        (waiting,) = events_of(runner, until=1)
        assert waiting["event"] == "waiting"
    assert events_of(runner)[-1]["message"] == "as asked"


def test_a_node_without_torch_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RIGHTSIZE_PROFILE_PYTHON", raising=False)
    with pytest.raises(NotSetUp, match="has no profiling environment"):
        node_python("/nonexistent/python")
    runner = NodeRunner()
    runner.start(JOB.to_json(), "/nonexistent/python")
    assert "has no profiling environment" in events_of(runner)[0]["message"]
