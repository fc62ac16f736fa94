"""Measurements, device micro-benchmarks and jobs, in SQLite or PostgreSQL. The engine is the caller's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy import Engine

from estimators.database.schema import metadata
from estimators.database.store import Store
from estimators.measuring.device.device_profile import DeviceProfile, read_profile
from estimators.measuring.foreign import ForeignInput, number, text
from estimators.measuring.jobs.job_state import LONGEST_DEVICE, OPEN, JobState, MeasurementsUnavailable, Status
from estimators.measuring.measurement import Measurement, Way, as_dict, from_dict
from estimators.provenance import Refusal
from estimators.quality import kept_scores
from estimators.quality.kept_scores import KeptScore

measurements = sa.Table(
    "measurement",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("measured_at", sa.String(32), nullable=False),  # ISO 8601, UTC
    sa.Column("model", sa.String(300), nullable=False),
    sa.Column("engine", sa.String(20), nullable=False),
    sa.Column("accelerator", sa.String(80), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Index("measurement_engine", "engine", "accelerator", "measured_at"),
)

scores = sa.Table(
    "quality_score",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("kept_at", sa.String(32), nullable=False),  # ISO 8601, UTC
    sa.Column("body", sa.Text, nullable=False),
)

profiles = sa.Table(
    "device_profile",
    metadata,
    sa.Column("device", sa.String(80), primary_key=True),
    sa.Column("dtype", sa.String(20), primary_key=True),
    sa.Column("threads", sa.Integer, primary_key=True),
    sa.Column("measured_at", sa.String(32), nullable=False),
    sa.Column("body", sa.Text, nullable=False),
)

jobs = sa.Table(
    "profile_job",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column(
        "device", sa.String(LONGEST_DEVICE), nullable=False
    ),  # "host/cpu", "host/cuda", or the endpoint's address
    sa.Column("title", sa.String(300), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("share", sa.Float, nullable=False, default=0.0),
    sa.Column("message", sa.String(600), nullable=False, default=""),
    sa.Column("seconds_left", sa.Float),
    sa.Column("asked_by", sa.String(120), nullable=False, default=""),
    sa.Column("asked_at", sa.String(32), nullable=False),
    sa.Column("heartbeat", sa.String(32), nullable=False),
    sa.Column("cancel", sa.Boolean, nullable=False, default=False),
    sa.Column("results", sa.Text, nullable=False, default="[]"),  # JSON list of measurement ids
    sa.Index("profile_job_queue", "device", "status", "id"),
)

# What a row raises that is damaged, or of another version of this tool; a `Refusal` is a `ValueError`.
ODD_ROW = (ValueError, TypeError, KeyError, ArithmeticError, RecursionError)
ALIVE_S = 15.0  # a runner reports every second; older than this it has died
MOST_SHOWN = 200  # measurements or open jobs, so that a page stays one
MOST_OPEN = 12  # jobs that wait or run, each a process
KEPT_DAYS = 30  # finished jobs; their measurements stay


def _unavailable(kind: str) -> MeasurementsUnavailable:
    return MeasurementsUnavailable(
        f"The database of measurements does not answer ({kind}): nothing can be measured or kept meanwhile.",
        field="profiling",
        remedy="It is tried again by itself; check DATABASE_URL.",
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


class MeasurementStore(Store):
    """One database that several processes share."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, _unavailable)
        self.unreadable = 0  # measurements the last `history` left out, and
        self.unreadable_jobs = 0  # jobs the last look at the queue did: damaged, or of another version of this tool

    # measurements

    def add(self, made: Sequence[Measurement]) -> int:
        """Keeps measurements that are not there yet; returns how many were new."""
        added = 0
        with self._transaction() as connection:
            for measurement in made:
                known = sa.select(measurements.c.id).where(measurements.c.id == measurement.id)
                if connection.execute(known).first() is None:
                    connection.execute(measurements.insert().values(**_row(measurement)))
                    added += 1
        return added

    def history(self) -> tuple[Measurement, ...]:
        """The newest `MOST_SHOWN` measurements that can be read, newest first."""
        bodies = self._newest(sa.true())
        found = _readable(bodies)
        self.unreadable = len(bodies) - len(found)
        return found

    def logs(self) -> tuple[Measurement, ...]:
        """The newest `MOST_SHOWN` start-up logs among them, however many measurements of speed are newer."""
        return _readable(self._newest(measurements.c.body.contains(f'"way": "{Way.LOG.value}"')))

    def _newest(self, which: sa.ColumnElement[bool]) -> Sequence[str]:
        newest = measurements.c.measured_at.desc()
        statement = sa.select(measurements.c.body).where(which).order_by(newest).limit(MOST_SHOWN)
        with self._transaction() as connection:
            return connection.execute(statement).scalars().all()

    def find(self, ids: Sequence[str]) -> tuple[Measurement, ...]:
        statement = sa.select(measurements.c.id, measurements.c.body).where(measurements.c.id.in_(ids[:500]))
        with self._transaction() as connection:
            bodies = {row.id: row.body for row in connection.execute(statement)}
        return _readable([bodies[key] for key in ids if key in bodies])

    def remove(self, measurement_id: str) -> None:
        with self._transaction() as connection:
            connection.execute(measurements.delete().where(measurements.c.id == measurement_id))

    # scores of the LM Evaluation Harness

    def keep_scores(self, made: Sequence[KeptScore]) -> int:
        """Keeps scores that are not there yet; returns how many were new."""
        added = 0
        with self._transaction() as connection:
            for kept in made:
                if connection.execute(sa.select(scores.c.id).where(scores.c.id == kept.id)).first() is None:
                    body = json.dumps(kept_scores.as_dict(kept), allow_nan=False)
                    row = {"id": kept.id, "kept_at": _text(kept.kept_at), "body": body}
                    connection.execute(scores.insert().values(**row))
                    added += 1
        return added

    def quality_scores(self) -> tuple[KeptScore, ...]:
        """The newest `MOST_SHOWN` that can be read, newest first."""
        statement = sa.select(scores.c.body).order_by(scores.c.kept_at.desc(), scores.c.id).limit(MOST_SHOWN)
        with self._transaction() as connection:
            bodies = connection.execute(statement).scalars().all()
        found: list[KeptScore] = []
        for body in bodies:
            with suppress(*ODD_ROW):
                found.append(kept_scores.from_dict(json.loads(body)))
        return tuple(found)

    # device micro-benchmarks

    def keep_profile(self, profile: DeviceProfile) -> None:
        key = {"device": profile.device, "dtype": profile.dtype, "threads": profile.threads}
        mine = sa.and_(*(profiles.c[name] == value for name, value in key.items()))
        body = json.dumps(profile.as_dict(), allow_nan=False)
        with self._transaction() as connection:
            connection.execute(profiles.delete().where(mine))
            connection.execute(profiles.insert().values(**key, measured_at=_text(_now()), body=body))

    def profile(self, device: str, dtype: str, threads: int) -> DeviceProfile | None:
        mine = (profiles.c.device == device, profiles.c.dtype == dtype, profiles.c.threads == threads)
        with self._transaction() as connection:
            body = connection.execute(sa.select(profiles.c.body).where(*mine)).scalar()
        with suppress(*ODD_ROW):  # as one that was never taken
            return None if body is None else read_profile(json.loads(body))
        return None

    # jobs

    def enqueue(self, device: str, title: str, asked_by: str = "") -> int:
        """A new job at the end of the device's queue; its id. Raises `Refusal` where enough wait already."""
        self.close_dead()
        now = _text(_now())
        values = {"device": device[:LONGEST_DEVICE], "title": text(title), "asked_by": text(asked_by, 120)}
        with self._transaction() as connection:
            old = _text(_now() - timedelta(days=KEPT_DAYS))
            connection.execute(jobs.delete().where(jobs.c.status.not_in(OPEN), jobs.c.heartbeat < old))
            waiting = connection.execute(sa.select(sa.func.count()).where(jobs.c.status.in_(OPEN))).scalar() or 0
            if waiting >= MOST_OPEN:
                raise Refusal(
                    f"{waiting} measurements wait or run already.", field="profiling", remedy="Wait for some to end."
                )
            fresh = {"status": Status.QUEUED.value, "asked_at": now, "heartbeat": now}
            result = connection.execute(jobs.insert().values(**values, **fresh))
            return int(result.inserted_primary_key[0])  # type: ignore[index]

    def job(self, job_id: int) -> JobState | None:
        found = self._states(jobs.c.id == job_id)
        return found[0] if found else None

    def queue(self, device: str = "") -> tuple[JobState, ...]:
        """Open jobs, first come first; those whose process died are closed on the way."""
        self.close_dead()
        where = [jobs.c.status.in_(OPEN)] + ([jobs.c.device == device] if device else [])
        return self._states(*where)

    def _states(self, *where: sa.ColumnElement[bool]) -> tuple[JobState, ...]:
        before = jobs.alias()
        ahead = (
            sa.select(sa.func.count())
            .where(before.c.device == jobs.c.device, before.c.status.in_(OPEN), before.c.id < jobs.c.id)
            .scalar_subquery()
        )
        statement = sa.select(jobs, ahead.label("ahead")).where(*where).order_by(jobs.c.id).limit(MOST_SHOWN)
        with self._transaction() as connection:
            rows = connection.execute(statement).mappings().all()
        found: list[JobState] = []
        for row in rows:
            with suppress(*ODD_ROW):
                found.append(_state(dict(row)))
        self.unreadable_jobs = len(rows) - len(found)
        return tuple(found)

    def report(self, job_id: int, **changes: object) -> bool:
        """Writes an open job's progress and heartbeat; returns whether it was asked to stop, or is closed already."""
        mine = jobs.c.id == job_id
        with self._transaction() as connection:
            changed = connection.execute(
                jobs.update().where(mine, jobs.c.status.in_(OPEN)).values(heartbeat=_text(_now()), **changes)
            )
            stop = connection.execute(sa.select(jobs.c.cancel).where(mine)).scalar()
        return changed.rowcount == 0 or bool(stop)

    def close(self, job_id: int, status: Status, message: str, results: Sequence[str] = ()) -> None:
        """Ends an open job; a job that ended keeps its end."""
        values: dict[str, object] = {"status": status.value, "message": text(message, 600), "seconds_left": None}
        if status is Status.DONE:
            values["share"] = 1.0
        self.report(job_id, results=json.dumps(list(results)), **values)

    def cancel(self, job_id: int) -> None:
        """Asks the job's process to stop; it does within a second."""
        with self._transaction() as connection:
            connection.execute(jobs.update().where(jobs.c.id == job_id).values(cancel=True))

    def close_dead(self) -> None:
        """Jobs whose process has not been heard of: interrupted, never stuck in the queue."""
        dead, ahead = _text(_now() - timedelta(seconds=ALIVE_S)), _text(_now() + timedelta(days=1))
        silent = sa.or_(jobs.c.heartbeat < dead, jobs.c.heartbeat > ahead)  # no process wrote what lies ahead
        said = {"status": Status.INTERRUPTED.value, "message": "The process measuring it ended unexpectedly."}
        with self._transaction() as connection:
            connection.execute(jobs.update().where(jobs.c.status.in_(OPEN), silent).values(**said))


def _readable(bodies: Sequence[str]) -> tuple[Measurement, ...]:
    found: list[Measurement] = []
    for body in bodies:
        with suppress(*ODD_ROW):
            found.append(from_dict(json.loads(body), "stored measurement"))
    return tuple(found)


def _row(measurement: Measurement) -> dict[str, object]:
    return {
        "id": measurement.id,
        "measured_at": _text(measurement.measured_at),
        "model": measurement.model,
        "engine": measurement.engine.value,
        "accelerator": measurement.accelerator,
        "body": json.dumps(as_dict(measurement), allow_nan=False),
    }


def _state(row: Mapping[str, object]) -> JobState:
    results, asked_at = json.loads(str(row["results"])), datetime.fromisoformat(str(row["asked_at"]))
    job_id, ahead = row["id"], row["ahead"]
    if not isinstance(job_id, int) or not isinstance(ahead, int) or not isinstance(results, list):
        raise ForeignInput("The queue of jobs is damaged.", field="profiling")
    return JobState(
        id=job_id,
        device=str(row["device"]),
        title=str(row["title"]),
        status=Status(str(row["status"])),
        share=number(row["share"]) or 0.0,
        message=str(row["message"]),
        seconds_left=number(row["seconds_left"]),
        asked_by=str(row["asked_by"]),
        asked_at=asked_at,
        ahead=ahead,
        results=tuple(map(str, results)),
    )
