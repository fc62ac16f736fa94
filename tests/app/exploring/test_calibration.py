"""A calibration is what the tables hold, wherever they lie; fits' records and price books are none of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.exploring.calibration import Standing, digest_of, formula_version, recorded, standing_of, tables, version_of
from tests.conftest import ROOT


def house(root: Path, **held: str) -> str:
    """The digest of a house whose tables hold these texts, by path with __ between folders."""
    for name, text in held.items():
        path = root / f"{name.replace('__', '/')}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return digest_of(tables(root))


def test_a_corrected_row_of_any_table_is_another_calibration(tmp_path: Path) -> None:
    first = house(tmp_path, app__a__data__x="1", estimators__b__c__data__y="2", pricing__data__z="3")
    seen = {first}
    for name in ("app__a__data__x", "estimators__b__c__data__y", "pricing__data__z"):
        seen.add(house(tmp_path, **{name: "corrected"}))
    assert len(seen) == 4


def test_a_new_table_is_another_calibration(tmp_path: Path) -> None:
    assert house(tmp_path, estimators__data__a="1") != house(tmp_path, estimators__data__b="2")


def test_a_table_that_moves_house_is_the_same_table(tmp_path: Path) -> None:
    here = house(tmp_path / "before", estimators__latency__data__engines="1", estimators__memory__data__fits="2")
    assert house(tmp_path / "after", estimators__engines__data__engines="1", estimators__data__constants="2") == here


@pytest.mark.parametrize(
    "name",
    [
        "estimators__fitting__data__measured",
        "pricing__data__prices",
        "pricing__data__api_prices",
        "app__exploring__data__calibrations",
        "estimators__engines__notes",
    ],
)
def test_what_no_figure_rests_on_changes_nothing(name: str, tmp_path: Path) -> None:
    before = house(tmp_path, estimators__data__a="1")
    assert house(tmp_path, **{name: "refreshed"}) == before


def test_the_tables_that_estimates_and_quality_read_are_covered() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in tables()}
    assert len(names) > 30
    for name in (
        "estimators/latency/data/constants.csv",
        "estimators/architecture/data/configs.jsonl",
        "estimators/hardware/data/accelerators.csv",
        "estimators/quality/data/scores.csv",
        "pricing/data/instances.csv",
    ):
        assert name in names, name


def test_no_estimate_reads_the_records_of_the_fits() -> None:
    """Else a corrected record would change figures, and no version with them."""
    for path in (ROOT / "estimators").rglob("*.py"):
        if "fitting" not in path.parts:
            assert not re.search(r"^\s*(from|import) estimators\.fitting", path.read_text(encoding="utf-8"), re.M), path


def test_a_version_rises_where_a_formula_changed_and_no_table() -> None:
    assert version_of("3f9c21aa", []) == "1-3f9c21aa"
    assert version_of("3f9c21aa", ["1-3f9c21aa", "10-3f9c21aa", "2-3f9c21aa", "11-00000000"]) == "10-3f9c21aa"


def test_main_before_the_record_began_is_on_it() -> None:
    assert standing_of("1-83578bdd") is Standing.EARLIER
    assert recorded()["1-83578bdd"].since.isoformat() == "2026-11-21"
    assert standing_of(formula_version()) is Standing.CURRENT
    assert standing_of("1-00000000") is Standing.UNKNOWN


def test_every_version_has_the_form_that_a_link_may_carry() -> None:
    assert [version for version in recorded() if not re.fullmatch(r"[0-9]{1,4}-[0-9a-f]{8}", version)] == []
