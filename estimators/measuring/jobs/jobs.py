"""One measurement from the queue to the store: waits its turn, runs the worker, and frees the device whatever happens.

`run_job` is the whole life of a job. It runs in a process of its own (`app.measuring.jobs`) that outlives the
dashboard, or in the foreground on the command line. The store is all that the two share with the page.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from estimators.measuring.device.device_profile import DeviceProfile, read_profile
from estimators.measuring.foreign import at, number, text
from estimators.measuring.jobs.environment import ROOT
from estimators.measuring.jobs.job_state import JobState, Status
from estimators.measuring.jobs.process import KILLED, MERCY_S, end, listen, lock_path, next_event, try_lock
from estimators.measuring.measurement import Measurement, from_dict
from estimators.provenance import Refusal

if TYPE_CHECKING:
    from estimators.measuring.jobs.store import MeasurementStore

HEARTBEAT_S = 1.0

Told = Callable[[JobState], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a runner starts: a command, the environment it gets and the line it reads."""

    command: Sequence[str]
    environment: Mapping[str, str]
    line: str = field(repr=False)  # may hold a key
    seconds: float
    scheduled: bool = False  # a cluster decides where and when it runs, so it waits for no turn here


@dataclass
class _Outcome:
    status: Status = Status.FAILED
    message: str = "The worker ended without a result."
    made: list[Measurement] = field(default_factory=list)
    profile: DeviceProfile | None = None


def run_job(store: MeasurementStore, job_id: int, device: str, work: Work, told: Told | None = None) -> JobState:
    """Runs a queued job to its end; every end is written to the store."""
    outcome = _Outcome()
    try:
        with _turn(store, job_id, device, told) if not work.scheduled else contextlib.nullcontext(()) as locks:
            outcome = _Outcome(Status.CANCELLED, "Cancelled before it began.")
            if locks is not None:
                outcome = _supervise(store, job_id, work, locks, told)
    except KeyboardInterrupt:
        outcome = _Outcome(Status.CANCELLED, "Cancelled.")
    except OSError as problem:
        outcome = _Outcome(Status.FAILED, f"The worker could not be started ({problem.strerror or 'no reason given'}).")
    finally:
        if outcome.profile is not None:
            store.keep_profile(outcome.profile)
        store.add(outcome.made)
        store.close(job_id, outcome.status, outcome.message, [made.id for made in outcome.made])
    state = store.job(job_id)
    if state is None:
        raise Refusal("The job is no longer in the store.", field="profiling")
    if told is not None:
        told(state)
    return state


@contextlib.contextmanager
def _turn(store: MeasurementStore, job_id: int, device: str, told: Told | None) -> Iterator[tuple[int] | None]:
    """Waits for the device; yields the handle of its lock, or None when the job was cancelled first.

    First come first served by the store; the file lock also holds between databases, and while a worker still lives.
    """
    handle = os.open(lock_path(device), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        while True:
            if store.report(job_id):
                yield None
                return
            waiting = store.queue(device)
            first = bool(waiting) and waiting[0].id == job_id
            if first and try_lock(handle):
                break
            if told is not None and (state := store.job(job_id)):
                told(state)
            time.sleep(HEARTBEAT_S / 2)
        yield (handle,)
    finally:
        os.close(handle)  # frees the lock unless a worker that will not die holds it too


def _supervise(store: MeasurementStore, job_id: int, work: Work, locks: tuple[int, ...], told: Told | None) -> _Outcome:
    """Starts the worker and follows it: progress into the store, and an end to it when asked, late or overdue."""
    outcome, code = _Outcome(), None
    over = time.monotonic() + work.seconds
    worker = subprocess.Popen(
        list(work.command),
        cwd=ROOT,
        env=dict(work.environment),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=locks,
    )
    try:
        events = listen(worker)
        assert worker.stdin is not None  # noqa: S101
        with contextlib.suppress(BrokenPipeError):
            worker.stdin.write(work.line.encode() + b"\n")
            worker.stdin.flush()
        store.report(job_id, status=Status.RUNNING.value, message="starting")
        beat = time.monotonic()
        while True:
            event, ended = next_event(events)
            changes = _take(event, outcome) if event is not None else {}
            if ended:
                break
            if changes or time.monotonic() - beat > HEARTBEAT_S:
                beat = time.monotonic()
                if store.report(job_id, **changes):
                    return _Outcome(Status.CANCELLED, "Cancelled.", outcome.made, outcome.profile)
                if told is not None and (state := store.job(job_id)):
                    told(state)
            if at(event, "event") == "waiting":  # for a machine: not yet the measurement's own time
                over = time.monotonic() + work.seconds
            if time.monotonic() > over:
                limit = f"It took longer than its limit of {work.seconds:g} s."
                return _Outcome(Status.TIMED_OUT, limit, outcome.made, outcome.profile)
        code = worker.wait(timeout=MERCY_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        end(worker)
    if not outcome.made and code == -signal.SIGKILL and outcome.status is Status.FAILED:
        return _Outcome(Status.OUT_OF_MEMORY, KILLED, [], outcome.profile)
    return outcome


def _take(event: object, outcome: _Outcome) -> dict[str, object]:
    """What an event changes of the job in the store. A damaged event changes nothing."""
    kind = at(event, "event")
    with contextlib.suppress(Refusal):
        if kind == "waiting":
            return {"message": text(at(event, "message")), "seconds_left": None}
        if kind == "progress":
            share = min(1.0, number(at(event, "share")) or 0.0)
            return {
                "share": share,
                "message": text(at(event, "message")),
                "seconds_left": number(at(event, "seconds_left")),
            }
        if kind == "device_profile":
            outcome.profile = read_profile(at(event, "profile"))
        elif kind == "result":
            outcome.made.append(from_dict(at(event, "measurement")))
            outcome.status, outcome.message = Status.DONE, "Measured."
        elif kind in (Status.DONE, Status.REFUSED, Status.OUT_OF_MEMORY, Status.FAILED):
            outcome.status, outcome.message = Status(str(kind)), text(at(event, "message"), 600)
    return {}
