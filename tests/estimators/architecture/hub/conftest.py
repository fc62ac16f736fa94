"""A Hub on loopback that holds one model, and a client of it."""

from __future__ import annotations

import pytest

from estimators.architecture.hub.client import HubClient
from tests.estimators.architecture.hub.small_llama import LLAMA
from tests.servers.hub import HubServer


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("HF_ENDPOINT", "HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_HUB_DISABLE_TELEMETRY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def hub():
    with HubServer() as server:
        server.add_model("org/llama", config=LLAMA)
        yield server


@pytest.fixture
def client(hub, tmp_path):
    return HubClient(endpoint=hub.url, cache_dir=tmp_path / "cache")
