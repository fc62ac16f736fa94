"""The theme's colours in our own sheets: each that a sheet names is given, light and dark."""

from __future__ import annotations

import re

import pytest
from streamlit import config

from app.views.theme import colours
from tests.conftest import ROOT


def test_our_sheets_name_only_colours_that_are_given() -> None:
    given = set(re.findall(r"--(\w+): light-dark\(", colours(".stApp")))
    named = {
        name
        for path in (ROOT / "app" / "static").glob("*.css")
        for name in re.findall(r"var\(--([\w-]+)\)", path.read_text(encoding="utf-8"))
    }
    assert named == given


def test_a_browser_that_cannot_tell_the_schemes_apart_has_the_light_one() -> None:
    light, dark = (config.get_option(f"theme.{kind}.textColor") for kind in ("light", "dark"))
    plain, either = colours(".stApp").split("@supports")
    assert f"--text: {light};" in plain
    assert f"--text: light-dark({light}, {dark});" in either


def test_a_colour_of_the_operators_theme_is_taken_where_a_scheme_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    own = {"theme.primaryColor": "#123456"}
    monkeypatch.setattr(config, "get_option", own.get)
    colours.cache_clear()
    try:
        assert "--primary: light-dark(#123456, #123456);" in colours("b")
        assert "--text" not in colours("b")
    finally:
        colours.cache_clear()
