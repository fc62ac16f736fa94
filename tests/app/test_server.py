"""What the ASGI application does around its pages."""

from __future__ import annotations

import subprocess
import sys

import pytest
from streamlit import config
from streamlit.proto.NewSession_pb2 import CustomThemeConfig
from streamlit.runtime.app_session import _populate_theme_msg

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
assert not page.exception and page.get("html")
print(*sorted(name for name in set(sys.modules) - before if name.split(".")[0] in ("app", "estimators", "pricing")))
"""


def test_the_first_visitor_waits_for_none_of_our_modules() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PAGE], cwd=ROOT, capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == []


def test_the_theme_is_looked_up_once_a_section(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Streamlit would go through all settings at every run."""
    before, asked = config.get_options_for_section, []

    def counted(section: str) -> dict[str, object]:
        asked.append(section)
        return before(section)

    monkeypatch.setattr(config, "get_options_for_section", counted)
    server.read_settings_once()
    told = [_populated("theme") for _ in range(3)]
    assert asked == ["theme"]
    assert told[0] == told[1] == told[2]
    assert told[0].heading_font_sizes


def _populated(section: str) -> CustomThemeConfig:
    message = CustomThemeConfig()
    _populate_theme_msg(message, section)
    return message
