"""A vocabulary with one key more, as a later release has it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import field, make_dataclass

import pytest

from app import scenario as vocabulary
from app.scenario import Scenario

AddKey = Callable[[int], type[Scenario]]


@pytest.fixture
def add_key(monkeypatch: pytest.MonkeyPatch) -> AddKey:
    """Adds the key `sp` with a default to the vocabulary; a link without it means "1", whatever the default."""

    def add(default: int) -> type[Scenario]:
        spec = ("sp", int, field(default=default))
        wider = make_dataclass("Wider", [spec], bases=(Scenario,), frozen=True, slots=True, kw_only=True)
        monkeypatch.setattr(vocabulary, "Scenario", wider)
        monkeypatch.setattr(vocabulary, "KEYS", (*Scenario.__dataclass_fields__, "sp"))
        monkeypatch.setitem(vocabulary.PARSERS, "sp", int)
        monkeypatch.setitem(vocabulary.DEFAULTS, "sp", default)
        monkeypatch.setitem(vocabulary.ADDED_KEYS, "sp", "1")
        return wider

    return add
