"""Every facts table: a source and a date in every row, no stray characters, and a README that says what made it."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.conftest import ROOT

TABLES = sorted(p for package in ("app", "pricing", "estimators") for p in (ROOT / package).rglob("data/*.csv"))
FOLDERS = sorted({path.parent for path in TABLES} | {ROOT / "tests" / "reference"})
csv.field_size_limit(10_000_000)
DAY = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?")


@pytest.mark.parametrize("path", TABLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_row_says_where_it_is_from_and_when(path: Path) -> None:
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


def told(folder: Path) -> dict[str, list[str]]:
    """Cells of the README's first table, by the file each row is of."""
    lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| file |"))
    table = itertools.takewhile(lambda line: line.startswith("|"), lines[start + 2 :])
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    return {row[0].strip("`"): row for row in cells}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_readme_of_a_folder_tells_of_every_file_in_it(folder: Path) -> None:
    assert set(told(folder)) == {path.name for path in folder.iterdir()} - {"README.md"}


@pytest.mark.parametrize(
    "path", [*TABLES, *(ROOT / "tests/reference").glob("*.csv")], ids=lambda path: str(path.relative_to(ROOT))
)
def test_a_fact_has_one_row_a_day(path: Path) -> None:
    """By the key that the README names; a table made by a command is made whole and needs none."""
    key = told(path.parent)[path.name][2]
    if key == "*rebuilt*":
        return
    columns = re.findall(r"`(\w+)`", key)
    assert columns
    with path.open(newline="", encoding="utf-8") as file:
        facts = [tuple(row[column] for column in (*columns, "as_of")) for row in csv.DictReader(file)]
    assert [fact for fact, rows in Counter(facts).items() if rows > 1] == []
