"""Reading a facts table: every row whole, and a later row in place of the one it corrects."""

from __future__ import annotations

from pathlib import Path

import pytest

from estimators.provenance import read_table

HEAD = "chip,watts,source,as_of\n"


def table(tmp_path: Path, *rows: str) -> Path:
    path = tmp_path / "chips.csv"
    path.write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def test_a_correction_is_a_new_dated_row_in_the_place_of_the_old(tmp_path: Path) -> None:
    path = table(tmp_path, "L4,70,card,2026-11-20", "T4,70,card,2026-11-20", "L4,72,data sheet,2026-11-21")
    assert [(row["chip"], row["watts"]) for row in read_table(path, key=("chip",))] == [("L4", "72"), ("T4", "70")]
    assert len(list(read_table(path))) == 3


def test_an_older_row_corrects_nothing_wherever_it_stands(tmp_path: Path) -> None:
    path = table(tmp_path, "L4,72,data sheet,2026-11-21", "L4,70,card,2026-11")
    assert [row["watts"] for row in read_table(path, key=("chip",))] == ["72"]


def test_two_answers_of_one_day_are_refused(tmp_path: Path) -> None:
    path = table(tmp_path, "L4,70,card,2026-11-20", "L4,72,data sheet,2026-11-20")
    with pytest.raises(ValueError, match=r"chips\.csv: two rows of L4 on 2026-11-20"):
        list(read_table(path, key=("chip",)))


@pytest.mark.parametrize(
    ("row", "problem"),
    [("L4,70,,2026-11-20", "chips.csv:2: empty 'source'"), ("L4,70,card", "chips.csv:2: wrong number of cells")],
)
def test_a_row_that_lacks_something_is_named(tmp_path: Path, row: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        list(read_table(table(tmp_path, row)))


def test_a_key_that_is_no_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"missing columns \['id'\]"):
        list(read_table(table(tmp_path, "L4,70,card,2026-11-20"), key=("id",)))
