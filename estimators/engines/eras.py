"""How each engine and version schedules: what its own defaults are, and which versions share overheads."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from estimators.hardware.accelerator import Accelerator
from estimators.provenance import Refusal, read_table
from estimators.workload import EngineSettings

_TABLE = Path(__file__).parent / "data" / "engines.csv"
_LARGE_MEMORY = 70 * 2**30  # vLLM: device_memory >= 70 GiB takes the larger defaults
_HUGE_MEMORY = 160 * 2**30  # SGLang: chunks of 16384 tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineEra:
    """Versions of an engine that schedule alike. Small and large are the defaults below and from 70 GiB."""

    engine: str
    from_version: tuple[int, ...]
    era: str
    mixes: bool
    chunk_small: int
    chunk_large: int
    running_small: int
    running_large: int
    graph_context: int  # longest context decoded from a captured graph; beyond it kernels are launched one by one
    note: str
    source: str


def version_key(version: str) -> tuple[int, ...]:
    """Leading numbers of a version: "v0.6.6.post1" -> (0, 6, 6); anything unreadable -> ()."""
    numbers: list[int] = []
    for part in version.lower().lstrip("v").split("."):
        digits = "".join(c for c in part[: len(part) - len(part.lstrip("0123456789"))])
        if not digits or len(digits) > 6:
            break
        numbers.append(int(digits))
    return tuple(numbers)


@cache
def eras() -> tuple[EngineEra, ...]:
    return tuple(
        EngineEra(
            engine=row["engine"],
            from_version=version_key(row["from_version"]),
            era=row["era"],
            mixes=row["mixes"] == "1",
            chunk_small=int(row["chunk_small"]),
            chunk_large=int(row["chunk_large"]),
            running_small=int(row["running_small"]),
            running_large=int(row["running_large"]),
            graph_context=int(row["graph_context"]),
            note=row["note"],
            source=row["source"],
        )
        for row in read_table(_TABLE)
    )


@cache
def find_era(engine: str, version: str | None) -> EngineEra:
    """The era a version falls in; no version means the newest known. A version with no number in it is refused."""
    known = [era for era in eras() if era.engine == engine]
    if not known:
        raise Refusal(
            f"Nothing is known of the engine {engine!r}.",
            field="engine",
            remedy="Use vllm, sglang, tensorrt-llm or transformers.",
        )
    if version is None or not version.strip():
        return known[-1]
    key = version_key(version.strip())
    if not key:
        raise Refusal(
            f"{version!r} is not a version.", field="engine_version", remedy="Write it as 0.11.0, or leave it out."
        )
    return [era for era in known if era.from_version <= key][-1]


def default_chunk(era: EngineEra, accelerator: Accelerator, settings: EngineSettings) -> int:
    """Most prompt tokens in one step: what was asked, else the engine's default on this accelerator."""
    if settings.batched_tokens is not None:
        return max(1, settings.batched_tokens)
    if accelerator.memory_bytes >= _HUGE_MEMORY and era.engine == "sglang":
        return 2 * era.chunk_large
    return era.chunk_large if _large(era, accelerator) else era.chunk_small


def default_running(era: EngineEra, accelerator: Accelerator) -> int:
    """Most requests the engine runs at once by its own setting."""
    return era.running_large if _large(era, accelerator) else era.running_small


def _large(era: EngineEra, accelerator: Accelerator) -> bool:
    if era.engine == "vllm" and accelerator.name.startswith("A100"):
        return False
    return accelerator.memory_bytes >= (_LARGE_MEMORY if era.engine == "vllm" else 35 * 2**30)
