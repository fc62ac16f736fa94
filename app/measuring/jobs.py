"""Measurements as the page and the command line start them. No Streamlit.

Run as a module it is the process of one measurement: independent of the dashboard that started it, reporting to the
store only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from estimators.measuring.device.fit_check import needed_bytes
from estimators.measuring.jobs.environment import (
    cluster_environment,
    is_set_up,
    profiling_python,
    ray_address,
    set_up_command,
    set_up_environment,
    worker_command,
    worker_environment,
)
from estimators.measuring.jobs.job_request import MOST_SECONDS, DeviceJob, check
from estimators.measuring.jobs.job_state import LONGEST_DEVICE
from estimators.measuring.jobs.jobs import Work, run_job
from estimators.measuring.jobs.process import device_key
from estimators.measuring.server.endpoint_worker import job_line
from estimators.measuring.server.guard import EndpointPolicy, check_endpoint
from estimators.measuring.server.guidellm import find_guidellm
from estimators.measuring.server.sweep import SweepPlan
from estimators.provenance import Refusal

if TYPE_CHECKING:
    from estimators.measuring.jobs.store import MeasurementStore

ROOT = Path(__file__).parents[2]
START_S = 60.0  # beside a job's own limit: starting the worker and loading torch
SET_UP_S = 1800.0  # several GB over a slow line


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A job ready to run: where it queues, how it is called, and what is run."""

    device: str
    title: str
    kind: str  # "attached", "cluster", "endpoint" or "set-up"
    line: str = field(repr=False)  # may hold a key
    seconds: float
    threads: int = 1

    def work(self) -> Work:
        if self.kind == "set-up":
            return Work(
                command=set_up_command(self.line), environment=set_up_environment(), line="", seconds=self.seconds
            )
        cluster = self.kind == "cluster"
        return Work(
            command=worker_command(self.kind),
            environment=cluster_environment() if cluster else worker_environment(threads=self.threads),
            line=self.line,
            seconds=self.seconds,
            scheduled=cluster,
        )


def device_assignment(job: DeviceJob, accelerator: str = "") -> Assignment:
    """A measurement on a device of this machine; with `RAY_ADDRESS`, on a node of the cluster that has `accelerator`.

    Raises `Refusal` for what cannot be measured or is not set up.
    """
    address = ray_address()
    if address and job.device != "cpu":
        job = replace(job, device="cuda")  # the cluster chooses which
    check(job)
    worker_command("cluster" if address else "attached")
    job = replace(job, needed_bytes=needed_bytes(job))
    return Assignment(
        device=f"ray/{accelerator or job.device}" if address else device_key(job.device),
        title=f"{job.model}, {job.weights}, {job.prompt_tokens} + {job.output_tokens} tokens, batch {job.batch}",
        kind="cluster" if address else "attached",
        line=_cluster_line(address, job, accelerator) if address else job.to_json(),
        seconds=job.seconds + START_S,
        threads=job.threads,
    )


def _cluster_line(address: str, job: DeviceJob, accelerator: str) -> str:
    return json.dumps(
        {
            "address": address,
            "job": job.to_json(),
            "accelerator": accelerator,
            "gpus": 0 if job.device == "cpu" else job.gpus,
            "python": str(profiling_python()) if is_set_up() else "",
        }
    )


def endpoint_assignment(
    url: str, plan: SweepPlan, policy: EndpointPolicy, api_key: str = "", *, guidellm: bool = False
) -> Assignment:
    """A measurement of a running server, by our own client or by GuideLLM. Raises `Refusal` for an address that may not
    be reached, and where GuideLLM is asked for and not there."""
    endpoint = check_endpoint(url, policy)
    program = find_guidellm() if guidellm else ""
    if program is None:
        raise Refusal(
            "GuideLLM is not installed here.",
            field="endpoint",
            remedy="Run: make serving-setup; or measure without it.",
        )
    levels = ", ".join(map(str, plan.concurrencies))
    each = 2 * plan.seconds_per_level + (START_S if program else 0.0)
    return Assignment(
        device=endpoint.shown[:LONGEST_DEVICE],
        title=f"{endpoint.shown}, {plan.prompt_tokens} + {plan.output_tokens} tokens, {levels} in flight",
        kind="endpoint",
        line=job_line(endpoint, plan, api_key, program),
        seconds=min(MOST_SECONDS, each * len(plan.concurrencies) + START_S),
    )


def set_up_assignment(name: str) -> Assignment:
    """Making the environment "profile" or "serving". Raises `Refusal` where it cannot be made."""
    set_up_command(name)
    return Assignment(
        device=device_key(f"set-up-{name}"),
        title=f"setting up the environment {name}",
        kind="set-up",
        line=name,
        seconds=SET_UP_S,
    )


@lru_cache(maxsize=1)
def measurement_store() -> MeasurementStore:
    """The store of this process. Raises `Refusal` where `DATABASE_URL` is none."""
    from app.storage import engine
    from estimators.measuring.jobs.store import MeasurementStore

    return MeasurementStore(engine())


def start(store: MeasurementStore, assignment: Assignment, asked_by: str = "") -> int:
    """Queues a job and starts its runner, which outlives this process; returns the job's id.

    The job goes to the runner over a pipe: an endpoint's key is never in the store, on a command line or in a file.
    """
    job_id = store.enqueue(assignment.device, assignment.title, asked_by)
    runner = subprocess.Popen(
        [sys.executable, "-m", "app.measuring.jobs", str(job_id)],
        cwd=ROOT,
        env=os.environ.copy(),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    assert runner.stdin is not None  # noqa: S101
    with runner.stdin as pipe:
        pipe.write(as_line(assignment).encode())
    threading.Thread(target=runner.wait, daemon=True).start()  # no zombie while the dashboard lives
    return job_id


def as_line(assignment: Assignment) -> str:
    return json.dumps({key: getattr(assignment, key) for key in Assignment.__slots__})


def from_line(line: str) -> Assignment:
    """What `as_line` wrote."""
    found: Mapping[str, object] = json.loads(line)
    return Assignment(
        device=str(found["device"]),
        title=str(found["title"]),
        kind=str(found["kind"]),
        line=str(found["line"]),
        seconds=float(str(found["seconds"])),
        threads=int(str(found["threads"])),
    )


def main() -> int:
    assignment = from_line(sys.stdin.read())
    run_job(measurement_store(), int(sys.argv[1]), assignment.device, assignment.work())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
