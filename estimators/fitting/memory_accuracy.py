"""How far memory estimates were from published measurements: `python -m estimators.fitting.memory_accuracy`."""

from __future__ import annotations

import csv
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from estimators.fitting.memory_measured import GIB, LoggedCase, PlainCase, plain_cases, usable, vllm_cases
from estimators.fitting.tables import RECORDS
from estimators.hardware.catalogue import find_accelerator
from estimators.memory import footprint, printed
from estimators.memory.assemble import estimate_memory
from estimators.memory.engine import Running, start
from estimators.memory.footprint import Replica
from estimators.provenance import read_table
from estimators.workload import Engine, EngineSettings, Placement, Workload

AS_OF = datetime.now(UTC).date().isoformat()  # of what the commands write
RESULT = RECORDS / "accuracy_memory.csv"
COLUMNS = ("measure", "table", "rows", "median_error", "p90_error", "worst_error", "bias", "lines", "left_out")
LOGS, SWEEP = "vllm_logs", "vllm_0_19_h100"


@dataclass(frozen=True, slots=True, kw_only=True)
class Error:
    """One comparison: estimate / measurement - 1."""

    measure: str
    table: str
    line: int
    model: str
    estimate: float
    measured: float
    unit: str

    @property
    def relative(self) -> float:
        return self.estimate / self.measured - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    measure: str
    table: str
    rows: int
    median: float  # of absolute relative errors
    p90: float
    worst: float
    bias: float  # median signed error
    lines: tuple[int, ...]
    left_out: tuple[tuple[int, str], ...]


def summaries() -> tuple[Summary, ...]:
    """Every table the accuracy page shows."""
    found = []
    for table in (LOGS, SWEEP):
        cases = vllm_cases(table)
        found.append(_summary("KV cache bytes per token", table, kv_errors(table), cases, "kv_left_out"))
        found.append(_summary("weights per GPU", table, weight_errors(table), cases, "weights_left_out"))
        found.append(_summary("KV capacity", table, capacity_errors(table), cases, "capacity_left_out"))
    plain = plain_cases()
    left = tuple((case.line, case.left_out) for case in plain if case.left_out)
    found.append(_summarize("memory of plain transformers", "transformers_memory", plain_errors(), left))
    return tuple(found)


def length_of(case: LoggedCase) -> int:
    """The longest request of a logged server: as started, else the model's own limit."""
    return case.settings.max_model_len or case.precision().spec.max_positions or 1


def running_of(case: LoggedCase) -> Running:
    """The engine of a log with its defaults filled in."""
    memory = case.memory_bytes or case.accelerator.memory_bytes
    mla = footprint.has_mla(case.precision())
    return start(case.settings, case.accelerator, memory, length_of(case), mla=mla)


def replica_of(case: LoggedCase) -> Replica:
    """The server of a log, carrying one request of its longest length."""
    length = length_of(case)
    workload = Workload(prompt_tokens=length - 1, output_tokens=1)
    memory = case.memory_bytes or case.accelerator.memory_bytes
    settings = replace(case.settings, max_model_len=length)
    return footprint.build(case.precision(), case.placement, workload, settings, running_of(case), memory)


def kv_errors(table: str) -> list[Error]:
    made = []
    for case in usable(vllm_cases(table), "kv_left_out"):
        if case.kv_gib is not None and case.kv_tokens:
            estimate = printed.token_bytes(replica_of(case).shares[0], running_of(case), length_of(case))
            made.append(_error("kv", case, estimate, case.kv_gib * GIB / case.kv_tokens, "byte/token"))
    return made


def weight_errors(table: str) -> list[Error]:
    made = []
    for case in usable(vllm_cases(table), "weights_left_out"):
        if case.weights_gib is not None:
            estimate = max(share.weights for share in replica_of(case).shares)
            made.append(_error("weights", case, estimate / GIB, case.weights_gib, "GiB"))
    return made


def capacity_errors(table: str) -> list[Error]:
    """Tokens as vLLM prints them, or the pool's size where it printed no tokens."""
    made = []
    for case in usable(vllm_cases(table), "capacity_left_out"):
        replica = replica_of(case)
        if case.kv_tokens:
            tokens = printed.kv_cache_tokens(replica, running_of(case), length_of(case))
            made.append(_error("capacity", case, tokens, case.kv_tokens, "token"))
        elif case.kv_gib is not None:
            room = min(replica.room(share) for share in replica.shares)
            made.append(_error("capacity", case, room / GIB, case.kv_gib, "GiB"))
    return made


def plain_errors() -> list[Error]:
    """Peak of plain transformers over all its GPUs, without the CUDA contexts PyTorch does not count."""
    return [
        Error(
            measure="plain",
            table="transformers_memory",
            line=case.line,
            model=case.printed_model,
            estimate=plain_gib(case),
            measured=case.memory_gib,
            unit="GiB",
        )
        for case in plain_cases()
        if not case.left_out
    ]


def plain_gib(case: PlainCase) -> float:
    accelerator = find_accelerator("A100-80GB")
    estimate = estimate_memory(
        case.precision(),
        accelerator,
        Placement(),
        Workload(prompt_tokens=case.prompt_tokens, output_tokens=case.output_tokens),
        EngineSettings(engine=Engine.TRANSFORMERS, version=case.version),
    )
    return (estimate.memory_bytes_per_gpu - estimate.overhead_bytes_per_gpu) / GIB


def plain_resident(case: PlainCase) -> float:
    """Weights and cache of a plain case: what is counted, not fitted."""
    precision = case.precision()
    settings = EngineSettings(engine=Engine.TRANSFORMERS, version=case.version)
    workload = Workload(prompt_tokens=case.prompt_tokens, output_tokens=case.output_tokens)
    accelerator = find_accelerator("A100-80GB")
    running = start(settings, accelerator, accelerator.memory_bytes, workload.tokens_per_request)
    share, _ = footprint.build(precision, Placement(), workload, settings, running, accelerator.memory_bytes).fullest()
    return share.weights + share.cache.served_bytes(workload.tokens_per_request)


def _error(measure: str, case: LoggedCase, estimate: float, measured: float, unit: str) -> Error:
    return Error(
        measure=measure,
        table=case.table,
        line=case.line,
        model=case.printed_model,
        estimate=estimate,
        measured=measured,
        unit=unit,
    )


def _summary(name: str, table: str, errors: list[Error], cases: tuple[LoggedCase, ...], reason: str) -> Summary:
    left = tuple((case.line, getattr(case, reason)) for case in cases if getattr(case, reason))
    return _summarize(name, table, errors, left)


def _summarize(name: str, table: str, errors: list[Error], left: tuple[tuple[int, str], ...]) -> Summary:
    sizes = sorted(abs(error.relative) for error in errors)
    return Summary(
        measure=name,
        table=table,
        rows=len(sizes),
        median=statistics.median(sizes),
        p90=quantile(sizes, 0.9),
        worst=sizes[-1],
        bias=statistics.median(error.relative for error in errors),
        lines=tuple(error.line for error in errors),
        left_out=left,
    )


def quantile(ordered: list[float], share: float) -> float:
    """Linear between the two nearest ranks."""
    position = share * (len(ordered) - 1)
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (position - low) * (ordered[high] - ordered[low])


def write(found: tuple[Summary, ...], path: Path = RESULT) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow((*COLUMNS, "source", "as_of"))
        for entry in found:
            table.writerow(
                [entry.measure, entry.table, entry.rows]
                + [f"{value:.5f}" for value in (entry.median, entry.p90, entry.worst, entry.bias)]
                + [" ".join(map(str, entry.lines)), "; ".join(f"{line}: {why}" for line, why in entry.left_out)]
                + ["python -m estimators.fitting.memory_accuracy", AS_OF]
            )


def recorded() -> Iterator[Mapping[str, str]]:
    """The table that the command last wrote, row by row."""
    return read_table(RESULT)


def main() -> None:
    """Print the error tables, and each row with --rows; write them beside the measurements."""
    found = summaries()
    for entry in found:
        print(
            f"{entry.measure:32} {entry.table:20} n={entry.rows:3} median {entry.median:6.2%} p90 {entry.p90:6.2%} "
            f"worst {entry.worst:7.2%} bias {entry.bias:+.2%}"
        )
    if "--rows" in sys.argv:
        for errors in (
            *(f(t) for t in (LOGS, SWEEP) for f in (kv_errors, weight_errors, capacity_errors)),
            plain_errors(),
        ):
            for error in errors:
                print(
                    f"{error.measure:9} {error.table}:{error.line:<4} {error.model[:48]:48} "
                    f"{error.estimate:14.4f} {error.measured:14.4f} {error.unit:10} {error.relative:+.2%}"
                )
    write(found)


if __name__ == "__main__":
    main()
