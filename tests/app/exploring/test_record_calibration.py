"""The record of calibrations is complete, or one command makes it so."""

from __future__ import annotations

import csv
from datetime import date
from pathlib import Path

import pytest

from app.exploring.calibration import RECORD, Calibration, formula_version, recorded
from app.exploring.record_calibration import COMMAND, REFERENCE_PLANS, missing, moved, record, reference_figures

KNOWN = {"1-3f9c21aa": Calibration(formula="1-3f9c21aa", since=date(2026, 11, 21), figures="18.0/587.5/0.2 30.1/730")}


def test_the_version_of_these_tables_and_formulas_is_on_record() -> None:
    assert missing(formula_version(), recorded(), reference_figures()) is None, (
        f"tables or formulas changed: run `{COMMAND}` and commit {RECORD.name}"
    )


def test_every_reference_plan_has_all_its_figures() -> None:
    assert [len(figures.split("/")) for figures in reference_figures().split()] == [5] * len(REFERENCE_PLANS)


@pytest.mark.parametrize(
    ("version", "figures", "lacking"),
    [
        ("1-3f9c21aa", "18.0/587.5/0.2 30.1/730", None),
        ("1-00c0ffee", "18.0/587.5/0.2 30.1/730", "1-00c0ffee"),  # the tables are new
        ("1-3f9c21aa", "18.0/587.5/0.3 30.1/730", "2-3f9c21aa"),  # a formula is
    ],
)
def test_a_row_is_added_for_new_tables_and_for_new_formulas(version: str, figures: str, lacking: str | None) -> None:
    assert missing(version, KNOWN, figures) == lacking


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [
        ("100/2 3", "100.05/2 3", False),  # half a thousandth
        ("100/2 3", "100.2/2 3", True),
        ("100/2 3", "100/2 2.99", True),
        ("100/2 3", "100/2", True),
        ("", "100/2", True),
    ],
)
def test_a_formula_moved_where_a_figure_did(then: str, now: str, expected: bool) -> None:
    assert moved(then, now) is expected


def test_a_row_goes_behind_the_others_with_its_source_and_day(tmp_path: Path) -> None:
    path = tmp_path / RECORD.name
    path.write_text(RECORD.read_text(encoding="utf-8"), encoding="utf-8")
    record(path, "2-3f9c21aa", "18/587.5", date(2026, 12, 1))
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["formula"] for row in rows] == [*recorded(), "2-3f9c21aa"]
    assert rows[-1] == {"formula": "2-3f9c21aa", "figures": "18/587.5", "source": COMMAND, "as_of": "2026-12-01"}
