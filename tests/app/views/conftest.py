"""A page starts from its own sources: what another test worked out, or read into the book, is not known to it."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from streamlit.components.v2 import manifest_scanner

from app.planning import remembered
from app.sources import dashboard_sources


@pytest.fixture(scope="session", autouse=True)
def packages_are_searched_once() -> Iterator[None]:
    """For each page that a test opens, Streamlit searches all installed packages for components: four fifths of the
    work, and the same each time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(manifest_scanner, "scan_component_manifests", cache(manifest_scanner.scan_component_manifests))
        yield


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    remembered.forget()
    dashboard_sources.cache_clear()
    yield
    dashboard_sources.cache_clear()
