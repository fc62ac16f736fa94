"""A measurement goes on when the dashboard that started it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from app.storage import open_engine
from estimators.measuring.jobs.job_state import Status
from estimators.measuring.jobs.store import MeasurementStore
from tests.conftest import ROOT
from tests.servers.openai import openai_server

STARTS = """
import os, signal, sys
from app.measuring.jobs import endpoint_assignment, measurement_store, start
from estimators.measuring.server.guard import EndpointPolicy
from estimators.measuring.server.sweep import SweepPlan
plan = SweepPlan(prompt_tokens=16, output_tokens=8, concurrencies=(1,), requests_per_stream=8)
start(measurement_store(), endpoint_assignment(sys.argv[1], plan, EndpointPolicy.from_environment()))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_its_runner_measures_to_the_end_and_keeps_what_it_found(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/x.db"
    store = MeasurementStore(open_engine(url))
    allowed = {"DATABASE_URL": url, "RIGHTSIZE_ENDPOINT_HOSTS": "127.0.0.1", "RIGHTSIZE_ENDPOINT_PRIVATE": "1"}
    with openai_server(ttft_s=0.1, itl_s=0.01) as (address, _):
        started = subprocess.run([sys.executable, "-c", STARTS, address], cwd=ROOT, env=os.environ | allowed)
        assert started.returncode == -signal.SIGKILL
        end = time.monotonic() + 60
        while (job := store.job(1)) is None or job.open:
            assert time.monotonic() < end
            time.sleep(0.1)
    assert job.status is Status.DONE
    assert [made.model for made in store.history()] == ["toy"]
