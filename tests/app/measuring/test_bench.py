"""The figures of measuring, as they are kept and shown; the measuring itself is `make bench-profile`."""

from __future__ import annotations

import pytest

from app.measuring.bench import as_markdown, into_readme, p95
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_shows_the_committed_figures() -> None:
    assert into_readme(README) == README, "run `make bench-profile`"


@pytest.mark.parametrize(
    "figure", ["click to first figure", "cancel to a free device", "repeated medians", "estimate off"]
)
def test_every_figure_is_there(figure: str) -> None:
    assert f"| {figure}" in as_markdown()


def test_the_95th_percentile_leaves_one_in_twenty_above() -> None:
    assert 95 < p95([float(n) for n in range(1, 101)]) < 97
