"""The committed widths of quality intervals are those the published recoveries show."""

from __future__ import annotations

from estimators.fitting.quality_intervals import TABLE, widths
from estimators.provenance import read_table


def test_the_committed_widths_are_what_the_command_makes() -> None:
    assert list(widths("2030-01-01")) == list(read_table(TABLE)), "run python -m estimators.fitting.quality_intervals"
