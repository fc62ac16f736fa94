"""The schema and its revisions, on SQLite and on a PostgreSQL started for the test where Debian's package is there."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from app.__main__ import main
from estimators.database import schema
from estimators.database.schema import MIGRATIONS, bring_up, metadata, newest, revision
from estimators.measuring.jobs.store import MeasurementStore
from pricing.offers import Listing
from pricing.store import PriceStore, StoreUnavailable
from tests.price_worker import START, reading
from tests.pricing.test_store import postgres as postgres
from tests.pricing.test_store import url as url

# As version 0.1.0 of before the revisions made it, with what one reading left there.
OLD = """
CREATE TABLE price_reading (
    region VARCHAR(32) NOT NULL, listing VARCHAR(32) NOT NULL, read_at VARCHAR(32) NOT NULL,
    complete_at VARCHAR(32) NOT NULL, origin TEXT NOT NULL, remarks TEXT NOT NULL, PRIMARY KEY (region, listing));
INSERT INTO price_reading VALUES
    ('us-east-1', 'price_list', '2026-11-21T10:00:00+00:00', '2026-11-21T10:00:00+00:00', 'AWS', '[]')
"""
TABLES = {"price", "price_reading", "measurement", "quality_score", "device_profile", "profile_job"}


@pytest.fixture
def engine(url: str) -> Iterator[sa.Engine]:
    made = sa.create_engine(url)
    yield made
    made.dispose()


def run(engine: sa.Engine, *statements: str) -> None:
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def found(engine: sa.Engine) -> tuple[str, set[str]]:
    with engine.connect() as connection:
        return revision(connection), set(sa.inspect(connection).get_table_names()) - {"alembic_version"}


def test_the_revisions_make_what_the_stores_say(engine: sa.Engine) -> None:
    assert bring_up(engine) == ("", newest())
    assert set(metadata.tables) == TABLES
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    assert bring_up(engine) == (newest(), newest())


def test_revisions_are_numbered_in_one_line() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    scripts = ScriptDirectory.from_config(config)
    line = [script.revision for script in reversed(list(scripts.walk_revisions()))]
    assert line == [f"{number:04d}" for number in range(1, len(line) + 1)]
    assert all(Path(script.path).name.startswith(f"{script.revision}_") for script in scripts.walk_revisions())
    assert scripts.get_heads() == [newest()]


def test_a_database_from_before_the_revisions_keeps_its_rows_and_gets_what_it_lacks(engine: sa.Engine) -> None:
    run(engine, *OLD.split(";"))
    kept = PriceStore(engine).readings()["us-east-1", Listing.PRICE_LIST]
    assert (kept.read_at, kept.origin) == (START, "AWS")
    assert found(engine) == (newest(), TABLES)
    assert MeasurementStore(engine).history() == ()
    assert PriceStore(engine).record(reading(2, START.replace(hour=11), types=1))


def test_several_at_once_bring_it_up_once(url: str, engine: sa.Engine) -> None:
    run(engine, *OLD.split(";"))
    engines = [sa.create_engine(url) for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        moved = list(threads.map(bring_up, engines))
    assert sorted(moved)[0] == ("", newest())
    assert moved.count(("", newest())) == 1
    for made in engines:
        made.dispose()


def test_a_database_of_a_newer_version_is_used_as_it_is(
    engine: sa.Engine, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bring_up(engine)
    run(engine, "ALTER TABLE price ADD COLUMN later VARCHAR(8)", "UPDATE alembic_version SET version_num = '9999'")
    store = PriceStore(engine)
    assert store.record(reading(3, START, types=1))
    assert [row.usd_per_hour for row in store.current()] == ["3"]
    assert found(engine)[0] == "9999"
    monkeypatch.setenv("DATABASE_URL", url)
    assert main(["migrate"]) == 0
    assert "is at revision 9999, of a newer version" in capsys.readouterr().out


def test_a_revision_that_fails_halfway_leaves_nothing_behind(
    engine: sa.Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bring_up(engine)
    broken = shutil.copytree(MIGRATIONS, tmp_path / "migrations % of ours")
    (broken / "versions" / "9000_broken.py").write_text(
        f"from alembic import op\nrevision, down_revision = '9000', '{newest()}'\n"
        "def upgrade():\n    op.execute('CREATE TABLE half (id INTEGER)')\n    op.execute('DROP TABLE nothing_there')\n"
    )
    before = newest()
    monkeypatch.setattr(schema, "MIGRATIONS", broken)
    newest.cache_clear()
    try:
        with caplog.at_level(logging.WARNING), pytest.raises(StoreUnavailable, match="does not answer"):
            PriceStore(engine).current()
        assert found(engine) == (before, TABLES)
        assert f"stay at revision {before}" in caplog.text
    finally:
        newest.cache_clear()


def test_tables_are_brought_up_ahead_of_a_start(
    url: str, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    assert main(["migrate"]) == 0
    assert main(["migrate"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert (first, second) == (
        f"The database is at revision {newest()}, before none.",
        f"The database is at revision {newest()}.",
    )
    assert found(engine) == (newest(), TABLES)


def test_what_may_not_be_changed_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kept.db"
    made = sa.create_engine(f"sqlite:///{path}")
    run(made, *OLD.split(";"))
    made.dispose()
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///file:{path}?mode=ro&uri=true")
    assert main(["migrate"]) == 2
    assert "were not changed (OperationalError). Check DATABASE_URL" in capsys.readouterr().err
