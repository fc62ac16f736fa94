"""`python -m app migrate`: the database's tables brought to this version ahead of a start, however long that takes."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from estimators.provenance import Refusal, refusing


def add_migrate_command(commands: Any) -> None:
    """Register `migrate`; it sets `run` to what carries it out."""
    said = "bring the database's tables to this version; the dashboard does it too, within four seconds"
    commands.add_parser("migrate", help=said, description=f"{said[0].upper()}{said[1:]}.").set_defaults(run=_run)


def _run(_asked: argparse.Namespace) -> int:
    from sqlalchemy.exc import SQLAlchemyError

    from app.storage import patient_engine
    from estimators.database.schema import bring_up, newest

    try:
        with refusing(SQLAlchemyError, _unchanged):
            before, after = bring_up(patient_engine())
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    if after > newest():
        print(f"The database is at revision {after}, of a newer version; this one is at {newest()} and can use it.")
    else:
        print(f"The database is at revision {after}" + (f", before {before or 'none'}." if before != after else "."))
    return 0


def _unchanged(kind: str) -> Refusal:
    remedy = "Check DATABASE_URL, and that its user may create and alter tables."
    return Refusal(f"The database's tables were not changed ({kind}).", field="database", remedy=remedy)
