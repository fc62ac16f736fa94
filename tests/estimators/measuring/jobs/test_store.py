"""Measurements, device profiles and history in the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.storage import open_engine
from estimators.measuring.jobs.job_state import MeasurementsUnavailable, Status
from estimators.measuring.jobs.store import MeasurementStore
from tests.estimators.measuring.device.test_device_profile import PROFILE
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


def test_the_last_micro_benchmark_of_a_device_counts(store: MeasurementStore) -> None:
    store.keep_profile(PROFILE)
    store.keep_profile(replace(PROFILE, layer_s=9e-4))
    found = store.profile("toy", "bfloat16", 1)
    assert found is not None
    assert found.layer_s == 9e-4
    assert store.profile("toy", "float32", 1) is None


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
