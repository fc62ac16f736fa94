"""What the ASGI application does around its pages."""

from __future__ import annotations

import pytest

from app import server
from estimators.architecture.hub import library


def test_the_hubs_libraries_are_loaded_after_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[bool] = []
    monkeypatch.setattr(library, "preload", lambda: loaded.append(True))
    server._prepare_hub()
    assert loaded == [True]
