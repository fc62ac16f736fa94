"""The worker's process: one to a device, its events as they come, and its end with everything it started."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

POLL_S = 0.2
MERCY_S = 1.0  # between asking the worker's processes to end and ending them
GONE_POLL_S, GONE_POLLS = 0.02, 25  # half a second: where nobody reaps orphans, a dead one stays in its group
LONGEST_LINE = 1 << 20
KILLED = "The system ended the worker, most likely for want of memory."


def device_key(device: str) -> str:
    """Name of a device among all machines that share the store: "host/cpu"."""
    return f"{socket.gethostname()}/{device}"


def lock_path(device: str) -> Path:
    """Lock file of a device, in a folder only this user may write."""
    folder = Path(tempfile.gettempdir()) / f"rightsize-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise PermissionError(13, "the lock folder belongs to somebody else")
    return folder / f"{hashlib.sha256(device.encode()).hexdigest()[:16]}.lock"


def try_lock(handle: int) -> bool:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def end(worker: subprocess.Popen[bytes]) -> None:
    """Ends the worker and everything it started: asked first, then killed a second later."""
    for sent, patience in ((signal.SIGTERM, MERCY_S), (signal.SIGKILL, 3.0)):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(worker.pid, sent)
        with contextlib.suppress(subprocess.TimeoutExpired):
            worker.wait(timeout=patience)
            break
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(worker.pid, signal.SIGKILL)  # children that outlived it
        for _ in range(GONE_POLLS):  # what is told to die still holds the device's memory until it has
            time.sleep(GONE_POLL_S)
            os.killpg(worker.pid, 0)
    for pipe in (worker.stdin, worker.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def listen(worker: subprocess.Popen[bytes]) -> queue.Queue[object]:
    """Events as they come; None when the worker's output ends."""
    events: queue.Queue[object] = queue.Queue(maxsize=10_000)

    def read() -> None:
        assert worker.stdout is not None  # noqa: S101
        with contextlib.suppress(OSError, ValueError):
            while line := worker.stdout.readline(LONGEST_LINE):
                with contextlib.suppress(ValueError, RecursionError):
                    events.put(json.loads(line))
        events.put(None)

    threading.Thread(target=read, daemon=True).start()
    return events


def end_with_parent() -> None:
    """Of a worker: ends it with its parent, which holds the worker's standard input open as long as it wants a result.

    Ray drops what a vanished process had started on its nodes.
    """

    def wait() -> None:
        sys.stdin.read()
        os._exit(3)

    threading.Thread(target=wait, daemon=True).start()


def next_event(events: queue.Queue[object]) -> tuple[object, bool]:
    try:
        event = events.get(timeout=POLL_S)
    except queue.Empty:
        return None, False
    return event, event is None
