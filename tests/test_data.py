"""Every facts table: a source and a date in every row, and no stray control characters."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from tests.conftest import ROOT

TABLES = sorted(p for package in ("app", "pricing", "estimators") for p in (ROOT / package).rglob("data/*.csv"))
DAY = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")


@pytest.mark.parametrize("path", TABLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_row_says_where_it_is_from_and_when(path: Path) -> None:
    csv.field_size_limit(10_000_000)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows, "an empty table"
    for number, row in enumerate(rows, start=2):
        assert None not in row, f"line {number}: too many cells"
        assert row.get("source"), f"line {number}: no source"
        assert DAY.fullmatch(row.get("as_of") or ""), f"line {number}: as_of is {row.get('as_of')!r}"


@pytest.mark.parametrize("path", TABLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_tables_are_clean_text(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "\r" not in text
    assert "\x00" not in text
    assert not text.startswith("\ufeff")
