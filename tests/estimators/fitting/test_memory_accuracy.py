"""How far estimates were from published measurements: the figures reached, and the table that shows them."""

import csv

import pytest

from estimators.fitting import memory_accuracy as accuracy
from estimators.fitting.memory_measured import plain_cases, vllm_cases
from estimators.fitting.tables import RECORDS
from estimators.memory import printed

TARGETS = {
    ("KV cache bytes per token", accuracy.LOGS): (0.001, 0.005),
    ("weights per GPU", accuracy.LOGS): (0.003, 0.02),
    ("KV capacity", accuracy.LOGS): (0.03, 0.08),
    ("KV cache bytes per token", accuracy.SWEEP): (0.001, 0.005),
    ("weights per GPU", accuracy.SWEEP): (0.003, 0.02),
    ("KV capacity", accuracy.SWEEP): (0.03, 0.08),
    ("memory of plain transformers", "transformers_memory"): (0.05, 0.16),
}


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], accuracy.Summary]:
    return {(entry.measure, entry.table): entry for entry in accuracy.summaries()}


@pytest.mark.parametrize("key", TARGETS, ids=lambda key: f"{key[0]} on {key[1]}")
def test_target(key: tuple[str, str], found: dict[tuple[str, str], accuracy.Summary]) -> None:
    median, p90 = TARGETS[key]
    assert found[key].median <= median
    assert found[key].p90 <= p90


def test_the_committed_table_is_what_the_command_makes(found: dict[tuple[str, str], accuracy.Summary]) -> None:
    with accuracy.RESULT.open(newline="", encoding="utf-8") as file:
        rows = {(row["measure"], row["table"]): row for row in csv.DictReader(file)}
    assert set(rows) == set(found) == set(TARGETS)
    for key, entry in found.items():
        assert int(rows[key]["rows"]) == entry.rows
        assert float(rows[key]["median_error"]) == pytest.approx(entry.median, abs=2e-5)
        assert float(rows[key]["p90_error"]) == pytest.approx(entry.p90, abs=2e-5)
        assert rows[key]["as_of"]


def test_every_line_is_used_or_left_out_with_its_reason(found: dict[tuple[str, str], accuracy.Summary]) -> None:
    for (_, table), entry in found.items():
        lines = {line for line, _ in entry.left_out}
        assert all(why for _, why in entry.left_out)
        assert not lines & set(entry.lines)
        if table == "transformers_memory":
            assert lines | set(entry.lines) == {case.line for case in plain_cases()}


def test_the_published_logs_are_all_there() -> None:
    assert [case.line for case in vllm_cases(accuracy.LOGS)] == list(range(2, 59))
    assert len(plain_cases()) == 188


def test_a_server_that_logged_no_room_is_not_said_to_fit() -> None:
    # vllm_logs.csv:7, Llama-3.3-70B in FP8 on one H100: "-1.44 GiB" for the cache
    (case,) = (case for case in vllm_cases(accuracy.LOGS) if case.line == 7)
    replica = accuracy.replica_of(case)
    assert replica.room(replica.shares[0]) < 0


def test_concurrency_as_vllm_prints_it() -> None:
    for case in vllm_cases(accuracy.SWEEP):
        if case.printed_model == "google/gemma-2-27b-it":
            replica = accuracy.replica_of(case)
            assert printed.max_concurrency(replica, 8192) == pytest.approx(7.16, rel=0.01)


def test_measured_tables_carry_their_source() -> None:
    for name in ("vllm_logs", "vllm_0_19_h100", "transformers_memory"):
        with (RECORDS / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                assert row["source"]
                assert row["as_of"]
