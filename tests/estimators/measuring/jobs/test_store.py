"""Measurements, device profiles and history in the database."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.storage import open_engine
from estimators.measuring.jobs.job_state import MeasurementsUnavailable, Status
from estimators.measuring.jobs.store import MOST_OPEN, MOST_SHOWN, MeasurementStore
from estimators.measuring.measurement import Way, as_dict
from estimators.provenance import Refusal
from estimators.quality.kept_scores import as_dict as kept_as_dict
from estimators.quality.kept_scores import read_for
from tests.estimators.measuring.device.test_device_profile import PROFILE
from tests.estimators.quality.test_kept_scores import LLAMA, NOW, results
from tests.profiling_samples import measurement


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MeasurementStore]:
    engine = open_engine(f"sqlite:///{tmp_path / 'm.db'}")
    made = MeasurementStore(engine)
    made.create()
    made.create()  # a second process starting up
    yield made
    engine.dispose()


def test_a_measurement_is_kept_whole_and_once(store: MeasurementStore) -> None:
    made = measurement()
    assert store.add([made, made]) == 1
    assert store.add([made]) == 0
    assert store.history() == (made,)


def test_history_is_newest_first(store: MeasurementStore) -> None:
    old = measurement(id="a" * 32, measured_at=datetime(2026, 1, 1, tzinfo=UTC))
    new = measurement(id="b" * 32, measured_at=datetime(2026, 6, 1, tzinfo=UTC))
    store.add([old, new])
    assert store.history() == (new, old)


def test_logs_are_found_behind_any_number_of_newer_measurements(store: MeasurementStore) -> None:
    log = measurement(id="f" * 32, way=Way.LOG, measured_at=datetime(2026, 1, 1, tzinfo=UTC))
    newer = [measurement(id=f"{n:032x}", measured_at=datetime(2026, 6, 1, tzinfo=UTC)) for n in range(MOST_SHOWN)]
    store.add([log, *newer])
    assert log not in store.history()
    assert store.logs() == (log,)


def test_the_last_micro_benchmark_of_a_device_counts(store: MeasurementStore) -> None:
    store.keep_profile(PROFILE)
    store.keep_profile(replace(PROFILE, layer_s=9e-4))
    found = store.profile("toy", "bfloat16", 1)
    assert found is not None
    assert found.layer_s == 9e-4
    assert store.profile("toy", "float32", 1) is None


def test_scores_are_kept_once_and_a_damaged_row_is_left_out(store: MeasurementStore, tmp_path: Path) -> None:
    (kept,) = read_for(results(), LLAMA, "int4", NOW)
    assert store.keep_scores([kept, kept]) == 1
    assert store.keep_scores([kept]) == 0
    assert store.quality_scores() == (kept,)
    for number, body in enumerate(("{", "[]", "{}", json.dumps(kept_as_dict(kept) | {"score": 1e9}))):
        with sa.create_engine(f"sqlite:///{tmp_path / 'm.db'}").begin() as connection:
            connection.execute(
                sa.text("INSERT INTO quality_score VALUES (:id, '2026', :body)"), {"id": str(number), "body": body}
            )
    assert store.quality_scores() == (kept,)


def test_a_closed_job_stays_as_it_ended(store: MeasurementStore) -> None:
    job_id = store.enqueue("host/cpu", "toy", "ann")
    store.close(job_id, Status.DONE, "Measured.", ["a" * 32])
    store.close(job_id, Status.FAILED, "late")
    assert store.report(job_id, message="later still") is True
    state = store.job(job_id)
    assert state is not None
    assert (state.status, state.message, state.results, state.asked_by) == (
        Status.DONE,
        "Measured.",
        ("a" * 32,),
        "ann",
    )


def test_others_see_the_queue_of_each_device(store: MeasurementStore) -> None:
    for device in ("host/cpu", "host/cuda", "host/cpu"):
        store.enqueue(device, "toy")
    assert [(state.device, state.ahead) for state in store.queue()] == [
        ("host/cpu", 0),
        ("host/cuda", 0),
        ("host/cpu", 1),
    ]


def test_a_database_that_does_not_answer_names_no_secret(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 'nowhere' / 'secret-name' / 'm.db'}")
    with pytest.raises(MeasurementsUnavailable) as refusal:
        MeasurementStore(engine).history()
    assert "secret-name" not in str(refusal.value)
    engine.dispose()


NONSENSE = ("", "soon", "[", "{}", "null", "5", '"x"', "[" * 5000, "NaN", '{"engine": "of-next-year"}')
JOB_COLUMNS = ("status", "results", "asked_at", "heartbeat", "share", "seconds_left", "message")


def written(store: MeasurementStore, table: str, column: str, text: str, where: str) -> None:
    with store._engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {table} SET {column} = :text WHERE {where}"), {"text": text})


@pytest.mark.parametrize("text", NONSENSE)
def test_a_measurement_that_cannot_be_read_costs_no_other_and_is_counted(store: MeasurementStore, text: str) -> None:
    good, bad = measurement(id="a" * 32), measurement(id="b" * 32)
    store.add([good, bad])
    written(store, "measurement", "body", text, f"id = '{bad.id}'")
    assert store.history() == (good,)
    assert store.unreadable == 1
    assert store.find([bad.id, good.id]) == (good,)


def test_a_measurement_of_an_engine_not_known_yet_is_left_out(store: MeasurementStore) -> None:
    store.add([measurement()])
    written(store, "measurement", "body", json.dumps(as_dict(measurement()) | {"engine": "of-next-year"}), "1 = 1")
    assert store.history() == ()
    assert store.unreadable == 1


@pytest.mark.parametrize("text", NONSENSE)
def test_a_damaged_micro_benchmark_is_as_none(store: MeasurementStore, text: str) -> None:
    store.keep_profile(PROFILE)
    written(store, "device_profile", "body", text, "1 = 1")
    assert store.profile("toy", "bfloat16", 1) is None


@pytest.mark.parametrize("column", JOB_COLUMNS)
def test_a_damaged_job_holds_up_nobody(store: MeasurementStore, column: str) -> None:
    for text in NONSENSE:
        bad, good = store.enqueue("host/cpu", "bad"), store.enqueue("host/cpu", "good")
        written(store, "profile_job", column, text, f"id = {bad}")
        assert "good" in [state.title for state in store.queue()]
        store.job(bad)
        store.close(good, Status.DONE, "Measured.")
        store.close(bad, Status.DONE, "Measured.")


def test_a_job_whose_heartbeat_lies_ahead_does_not_wait_for_ever(store: MeasurementStore) -> None:
    written(store, "profile_job", "heartbeat", "soon", f"id = {store.enqueue('host/cpu', 'bad')}")
    assert store.queue() == ()


def test_no_more_wait_than_a_machine_can_start_processes_for(store: MeasurementStore) -> None:
    ids = [store.enqueue("host/cpu", "toy") for _ in range(MOST_OPEN)]
    with pytest.raises(Refusal, match="12 measurements wait or run already"):
        store.enqueue("host/cuda", "toy")
    store.close(ids[0], Status.DONE, "Measured.")
    store.enqueue("host/cuda", "toy")


def test_the_address_of_a_server_is_shown_to_whoever_asked_only(store: MeasurementStore) -> None:
    store.enqueue("http://models.internal:8000", "sweep")
    store.enqueue("host/cpu", "toy")
    server, device = store.queue()
    assert [server.place(own=own) for own in (True, False)] == ["http://models.internal:8000", "a running server"]
    assert device.place(own=False) == "host/cpu"
