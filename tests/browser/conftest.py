"""A real dashboard on a free port and a real Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext

from tests.browser.pages import WATCHED
from tests.conftest import ROOT

SHELL = "chromium-headless-shell"  # without the frame of a window: a fifth less work on every page
WHOLE = ("chromium", "chromium-browser", "google-chrome")


def installed(*names: str) -> str | None:
    """The path of the first of these browsers that this machine has; None leaves it to Playwright's own."""
    return next((path for name in names if (path := shutil.which(name))), None)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def can_send_from(*addresses: str) -> bool:
    """Whether these are this machine's: Linux has all of 127.0.0.0/8, others what was added."""
    with contextlib.suppress(OSError):
        for address in addresses:
            with socket.socket() as probe:
                probe.bind((address, 0))
        return True
    return False


def wait_until_healthy(base: str, process: subprocess.Popen[bytes], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"the dashboard ended with {process.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{base}/_stcore/health", timeout=2) as reply:
            if reply.status == 200:
                return
        time.sleep(0.1)
    raise RuntimeError("the dashboard did not become healthy")


@contextlib.contextmanager
def dashboard(
    folder: Path, port: int = 0, path: str = "", script: str = "app/server.py", **environment: str
) -> Iterator[str]:
    """Start the dashboard as the container does, with nothing to reach but itself; yields its address.

    `path` is where it is served under, as `server.baseUrlPath` says it: "/tools/sizes"; `script` may be another page.
    """
    port = port or free_port()
    base = f"http://127.0.0.1:{port}{path}"
    env = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "FORWARDED_", "HF_"))},
        "HF_HUB_OFFLINE": "1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "RIGHTSIZE_DATA": str(folder / "data"),
        **({"STREAMLIT_SERVER_BASE_URL_PATH": path.strip("/")} if path else {}),
        **environment,
    }
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        script,
        "--server.address=127.0.0.1",
        f"--server.port={port}",
    ]
    with (folder / "dashboard.log").open("wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=log, stderr=subprocess.STDOUT)
        try:
            wait_until_healthy(base, process)
            yield base
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with dashboard(tmp_path_factory.mktemp("dashboard")) as address:
        yield address


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    quiet = [
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--js-flags=--no-maglev --no-turbofan",  # no page is open for long enough to earn its optimized code
    ]
    return {**browser_type_launch_args, "executable_path": installed(SHELL, *WHOLE), "args": quiet}


@pytest.fixture(scope="session")
def warm(browser: Browser) -> Iterator[list[BrowserContext]]:
    """Two for all tests of a worker: without the scripts that they have fetched and compiled, Chromium works a third
    longer on every page."""
    contexts = [browser.new_context(), browser.new_context()]
    for context in contexts:
        context.add_init_script(WATCHED)
    yield contexts
    for context in contexts:
        context.close()


@pytest.fixture
def context(warm: list[BrowserContext]) -> Iterator[BrowserContext]:
    yield from emptied(warm[0])


@pytest.fixture
def elsewhere(warm: list[BrowserContext]) -> Iterator[BrowserContext]:
    """The browser of somebody else, who is sent a link."""
    yield from emptied(warm[1])


def emptied(context: BrowserContext) -> Iterator[BrowserContext]:
    """Afterwards it holds no page, no cookie and nothing stored: only its cache."""
    yield context
    for page in context.pages:
        page.close()
    context.set_storage_state({})


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A browser on a busy machine may lose a click: each browser test gets a second try, shown in the report."""
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.flaky(reruns=1))
