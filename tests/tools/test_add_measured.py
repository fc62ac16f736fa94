"""What may enter the fit: published rows that contradict neither the table, nor themselves, nor physics."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest

from estimators.fitting.latency_measured import MEASURED, excluded, table
from tools.add_measured import Known, columns, faults, in_flight, main, remarks

# Llama-3.1-8B in bf16 on an H100 reads 15.0 GB at 3.35 TB/s: no token in less than 4.48 ms.
ROW = dict.fromkeys(columns(), "") | {
    "model": "meta-llama/Llama-3.1-8B-Instruct",
    "config": "meta-llama/Llama-3.1-8B-Instruct",
    "precision": "bf16",
    "accelerator": "H100-SXM5",
    "gpus": "1",
    "tp": "1",
    "pp": "1",
    "ep": "1",
    "engine": "vllm",
    "engine_version": "0.11.0",
    "kind": "single_stream",
    "prompt_tokens": "777",
    "output_tokens": "101",
    "concurrency": "1",
    "ttft_s": "0.03",
    "tpot_s": "0.0065",
    "publication": "org/repo",
    "source": "org/repo:bench.md@1234567",
    "as_of": "2026-11-28",
}


def written(path: Path, *rows: dict[str, str]) -> str:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


def said(**changes: str) -> list[str]:
    return list(faults(ROW | {"id": "new"} | changes, Known()))


def test_every_committed_row_would_pass_again() -> None:
    known = Known(cases=Known.of(table()).cases)
    assert {row["id"]: found for row in table() if (found := list(faults(row, known)))} == {}


def test_a_sound_row_passes() -> None:
    assert said() == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"tpot_s": "0.0044"}, "tpot 0.0044 s is below the physical floor of 0.00448 s"),
        ({"ttft_s": "0.004"}, "ttft 0.004 s is below the physical floor"),
        ({"output_tok_per_s": "1e6"}, "requests/s are above the physical ceiling"),
        ({"accelerator": "H100"}, "'H100' is not in the table of accelerators"),
        ({"config": "org/unknown"}, "'org/unknown' is not among the embedded models"),
        ({"precision": "int3"}, "'int3' is not a valid Weights"),
        ({"engine": "mystery"}, "Nothing is known of the engine 'mystery'"),
        ({"engine_version": "newest"}, "'newest' is not a version"),
        ({"kind": "burst"}, "kind is 'burst'"),
        ({"kind": "open_loop"}, "open_loop needs rate_per_s"),
        ({"kind": "max_throughput"}, "max_throughput has no concurrency"),
        ({"concurrency": "8"}, "single_stream is one request in flight"),
        ({"ttft_s": "", "tpot_s": ""}, "none of ttft_s"),
        ({"ttft_s": "30 ms"}, "no positive number in ttft_s"),
        ({"tpot_s": "-1"}, "no positive number in tpot_s"),
        ({"source": "", "tp": ""}, "no tp, source"),
        ({"as_of": "today"}, "as_of is 'today'"),
    ],
)
def test_a_row_that_cannot_be_is_refused(changes: dict[str, str], fault: str) -> None:
    assert any(fault in sentence for sentence in said(**changes)), said(**changes)


def test_a_correction_needs_a_later_day() -> None:
    known = Known.of([ROW | {"id": "one"}])
    (fault,) = faults(ROW | {"id": "one", "tpot_s": "0.007"}, known)
    assert "a correction has a later as_of" in fault
    assert list(faults(ROW | {"id": "one", "tpot_s": "0.007", "as_of": "2026-11-29"}, known)) == []


def test_the_same_figures_are_not_taken_twice() -> None:
    known = Known.of([ROW | {"id": "one"}])
    (fault,) = faults(ROW | {"id": "two", "source": "another/page"}, known)
    assert "with these very figures" in fault


def test_littles_law_counts_requests_in_flight() -> None:
    """4 requests of 2 s each second are 8 in flight: half of the 16 stated."""
    assert in_flight(ROW | {"kind": "concurrency", "concurrency": "16", "req_per_s": "4", "e2e_s": "2"}) == 0.5


def test_rows_proven_wrong_are_among_those_littles_law_remarks_on() -> None:
    odd = {row["id"] for row in table() if not 0.5 <= (in_flight(row) or 1.0) <= 2.0}
    by_it = {name for name, proof in excluded().items() if proof.startswith("Little's law")}
    assert len(by_it) == 2
    assert by_it < odd
    assert len(odd) == 5


def test_a_case_published_twice_as_apart_is_remarked_on() -> None:
    known = Known.of([ROW | {"id": "one", "tpot_s": "0.014"}])
    assert list(remarks(ROW | {"id": "two"}, known)) == [
        "tpot_s is 0.46 times what org/repo:bench.md@1234567 says of this case"
    ]


def test_rows_are_appended_only_when_all_pass(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "measured.csv"
    shutil.copy(MEASURED, copy)
    before = copy.read_text(encoding="utf-8")
    assert main([written(tmp_path / "bad.csv", ROW, ROW | {"tpot_s": "0.001"}), "--write"], copy) == 2
    assert "line 3: tpot 0.001 s is below" in capsys.readouterr().out
    assert copy.read_text(encoding="utf-8") == before
    good = written(tmp_path / "good.csv", ROW)
    assert main([good], copy) == 0
    assert copy.read_text(encoding="utf-8") == before
    assert main([good, "--write"], copy) == 0
    added = copy.read_text(encoding="utf-8").removeprefix(before).splitlines()
    assert len(added) == 1
    assert len(added[0].partition(",")[0]) == 12
