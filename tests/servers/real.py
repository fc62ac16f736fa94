"""Real OpenAI-compatible servers, each with a small random model made on the spot; they need `make serving-setup`."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.conftest import ROOT

ENVIRONMENT = ROOT / ".venv-serving"
IS_SET_UP = (ENVIRONMENT / "setup.stamp").exists()
START_S = 180.0  # torch and transformers are imported, on a machine that may be busy


@contextmanager
def transformers_serve(folder: Path) -> Iterator[tuple[str, str]]:
    """Address and served name of a running `transformers serve`, whose model and log lie in `folder`."""
    model = folder / "tiny"
    making = [str(ENVIRONMENT / "bin" / "python"), "-m", "tests.servers.tiny_model", str(model)]
    subprocess.run(making, check=True, capture_output=True, timeout=START_S, cwd=ROOT, env=_offline(folder))
    port = _free_port()
    command = [str(ENVIRONMENT / "bin" / "transformers"), "serve", str(model), "--device", "cpu", "--port", str(port)]
    with _running(command, port, folder) as address:
        yield address, str(model)


@contextmanager
def llama_cpp(folder: Path) -> Iterator[str]:
    """Address of a running server of llama.cpp, whose model and log lie in `folder`."""
    port = _free_port()
    module = [str(ENVIRONMENT / "bin" / "python"), "-m", "tests.servers.tiny_gguf"]
    with _running([*module, str(folder / "tiny.gguf"), str(port)], port, folder) as address:
        yield address


def _offline(folder: Path) -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(folder / "hub"), "OMP_NUM_THREADS": "1"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _running(command: Sequence[str], port: int, folder: Path) -> Iterator[str]:
    address = f"http://127.0.0.1:{port}"
    with (folder / "serve.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=_offline(folder))
        try:
            _wait(address, server)
            yield address
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
    raise RuntimeError("the server did not start")
