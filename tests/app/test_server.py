"""What the ASGI application does around its pages."""

from __future__ import annotations

import subprocess
import sys

import pytest

from app import server
from estimators.architecture.hub import library
from tests.conftest import ROOT


def test_the_hubs_libraries_are_loaded_after_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[bool] = []
    monkeypatch.setattr(library, "preload", lambda: loaded.append(True))
    server._prepare_hub()
    assert loaded == [True]


FIRST_PAGE = """
import sys
from streamlit.testing.v1 import AppTest
from app.server import MAIN, _warm
_warm()
before = set(sys.modules)
page = AppTest.from_file(str(MAIN), default_timeout=60).run()
assert not page.exception and page.metric
print(*sorted(name for name in set(sys.modules) - before if name.split(".")[0] in ("app", "estimators", "pricing")))
"""


def test_the_first_visitor_waits_for_none_of_our_modules() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PAGE], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == []
