"""`transformers serve`, a real OpenAI-compatible server, with a tiny random model; needs `make serving-setup`."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import ROOT

ENVIRONMENT = ROOT / ".venv-serving"
IS_SET_UP = (ENVIRONMENT / "setup.stamp").exists()
START_S = 180.0  # torch and transformers are imported, on a machine that may be busy


@contextmanager
def transformers_serve(folder: Path) -> Iterator[tuple[str, str]]:
    """Address and served name of a running server, whose model and log lie in `folder`."""
    model = folder / "tiny"
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "hub"), "OMP_NUM_THREADS": "1"}
    settings = {"cwd": ROOT, "env": os.environ | offline}
    making = [str(ENVIRONMENT / "bin" / "python"), "-m", "tests.servers.tiny_model", str(model)]
    subprocess.run(making, check=True, capture_output=True, timeout=START_S, **settings)  # type: ignore[call-overload]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [str(ENVIRONMENT / "bin" / "transformers"), "serve", str(model), "--device", "cpu"]
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen([*command, "--port", str(port)], stdout=log, stderr=log, **settings)  # type: ignore[call-overload]
        try:
            _wait(address, server)
            yield address, str(model)
        finally:
            server.terminate()
            with suppress(subprocess.TimeoutExpired):
                server.wait(timeout=10)
            server.kill()


def _wait(address: str, server: subprocess.Popen[bytes]) -> None:
    over = time.monotonic() + START_S
    while time.monotonic() < over and server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise RuntimeError("transformers serve did not start")
