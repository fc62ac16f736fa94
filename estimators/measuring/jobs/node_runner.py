"""What a cluster runs on the node it has chosen: one worker, its events kept until they are asked for. No Ray here."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from estimators.measuring.jobs.environment import OVERRIDE, ROOT, NotSetUp, worker_environment
from estimators.measuring.jobs.job_request import spare_threads
from estimators.measuring.jobs.process import KILLED, device_key, end, listen, lock_path, next_event, try_lock

ENDS = ("result", "refused", "out_of_memory", "failed")
ASK_AGAIN_S = 0.5  # while another measurement holds the device


class NodeRunner:
    """One measurement on this node. The cluster makes one per job, with the job's devices, and drops it afterwards."""

    def __init__(self) -> None:
        self._events: list[object] = []
        self._ended = False
        self._lock = threading.Lock()
        self._worker: subprocess.Popen[bytes] | None = None

    def start(self, line: str, python: str) -> str:
        """Starts the worker on a job as `DeviceJob.to_json` wrote it; returns the node's name.

        `python` is the interpreter that the asking machine uses, tried where this node names none of its own.
        """
        job = json.loads(line)
        job["threads"] = spare_threads()  # of this machine, not of the one that asked
        threading.Thread(target=self._run, args=(json.dumps(job), str(job["device"]), python), daemon=True).start()
        return os.uname().nodename

    def take(self) -> tuple[list[object], bool]:
        """Events since the last call, and whether these were the last."""
        with self._lock:
            taken, self._events = self._events, []
            return taken, self._ended

    def stop(self) -> None:
        """Ends the worker and all it started."""
        if self._worker is not None:
            end(self._worker)

    def _tell(self, *events: object, ended: bool = False) -> None:
        with self._lock:
            self._events.extend(events)
            self._ended = self._ended or ended

    def _run(self, line: str, device: str, python: str) -> None:
        try:
            command = [node_python(python), "-m", "estimators.measuring.device.worker"]
            with self._turn(device) as handle:
                self._follow(command, line, handle)
        except Exception as problem:
            said = str(problem) if isinstance(problem, NotSetUp) else f"The node could not start it ({problem})."
            self._tell({"event": "refused", "message": said})
        finally:
            self._tell(ended=True)

    @contextlib.contextmanager
    def _turn(self, device: str) -> Iterator[int]:
        """The device's lock, the same that measurements started on this machine itself take."""
        handle = os.open(lock_path(device_key(_own(device))), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            while not try_lock(handle):
                self._tell({"event": "waiting", "message": "waiting for another measurement on the node"})
                time.sleep(ASK_AGAIN_S)
            yield handle
        finally:
            os.close(handle)

    def _follow(self, command: list[str], line: str, lock: int) -> None:
        self._worker = worker = subprocess.Popen(
            command,
            cwd=ROOT,
            env=worker_environment(threads=spare_threads()),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=(lock,),
        )
        said = False
        try:
            events = listen(worker)
            assert worker.stdin is not None  # noqa: S101
            with contextlib.suppress(BrokenPipeError):
                worker.stdin.write(line.encode() + b"\n")
                worker.stdin.flush()
            over = False
            while not over:
                event, over = next_event(events)
                if isinstance(event, dict):
                    said = said or event.get("event") in ENDS
                    self._tell(event)
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.wait(timeout=1.0)
        finally:
            end(worker)
        if not said and worker.returncode == -signal.SIGKILL:
            self._tell({"event": "out_of_memory", "message": KILLED})


def _own(device: str) -> str:
    """The device as this machine numbers it: a cluster shows a job only its own GPUs, counted from 0."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return f"cuda:{visible}" if device != "cpu" and visible not in ("", "0") else device


def node_python(asked: str) -> str:
    """The interpreter with torch: named by this node's environment, at the asking machine's path, or Ray's own."""
    for found in (os.environ.get(OVERRIDE, ""), asked):
        if found and os.access(found, os.X_OK) and Path(found).is_file():
            return found
    if importlib.util.find_spec("torch") is not None:
        return sys.executable
    raise NotSetUp(
        f"The node {os.uname().nodename} has no profiling environment.",
        field="device",
        remedy=f"Set {OVERRIDE} there before `ray start`, or install requirements-profile.txt beside Ray.",
    )
