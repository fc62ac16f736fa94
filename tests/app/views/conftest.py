"""A page starts from its own sources: what another test worked out, or read into the book, is not known to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.planning import remembered
from app.sources import dashboard_sources


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    remembered.forget()
    dashboard_sources.cache_clear()
    yield
    dashboard_sources.cache_clear()
