"""What every test shares: no network, no keys, an own data folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

os.environ["HF_HUB_OFFLINE"] = "1"  # sources may be opened while tests are collected, before any fixture
# Hundreds of processes start, each of which would compile three seconds of libraries where nothing compiled is kept.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
ROOT = Path(__file__).parents[1]
# The machine may be busy, and what fails once must fail again: no deadline, no dice.
settings.register_profile("rightsize", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("rightsize")
REFERENCE = Path(__file__).parent / "reference"


@pytest.fixture(autouse=True)
def closed_world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine with nothing: tests that need a Hub or AWS start their own on loopback."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("RIGHTSIZE_DATA", str(tmp_path / "data"))
    aws = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE")
    for name in ("DATABASE_URL", "FORWARDED_ALLOW_IPS", "HF_TOKEN", *aws):
        monkeypatch.delenv(name, raising=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with something slow first: of two processes that share them, none should get the longest at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
