"""A PostgreSQL of our own, where Debian's package is there."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path


def binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


def missing() -> str:
    """What keeps this machine from starting one; nothing where it can."""
    if binaries() is None:
        return "no PostgreSQL under /usr/lib/postgresql: install Debian's postgresql package to run this"
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        return "PostgreSQL refuses to run as root, and setpriv is not there to become somebody else"
    return ""


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """Its address: on a Unix socket and no port, in a folder that goes when it ends."""
    installed = binaries()
    assert installed is not None, missing()
    as_root = os.geteuid() == 0
    become = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] if as_root else []
    folder = Path(tempfile.mkdtemp(prefix="pg"))
    if as_root:
        os.chown(folder, 65534, 65534)
    data = folder / "data"
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)}
    quiet = {"check": True, "capture_output": True, "env": environment, "cwd": "/", "timeout": 120}
    subprocess.run(
        [*become, installed / "initdb", "-D", data, "-U", "tester", "-A", "trust", "-N", "-E", "UTF8"], **quiet
    )  # type: ignore[call-overload]
    options = f"-c listen_addresses='' -c unix_socket_directories='{folder}' -c fsync=off"
    log = folder / "log"
    subprocess.run([*become, installed / "pg_ctl", "-D", data, "-l", log, "-o", options, "-w", "start"], **quiet)  # type: ignore[call-overload]
    try:
        yield f"postgresql+psycopg://tester@/postgres?host={folder}"
    finally:
        subprocess.run([*become, installed / "pg_ctl", "-D", data, "-m", "immediate", "stop"], **quiet)  # type: ignore[call-overload]
        shutil.rmtree(folder, ignore_errors=True)
