"""A start-up log of vLLM or SGLang beside the estimate, line by line. Pure; the text is somebody's paste, so it is
bounded and nothing of it is shown but numbers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.format import GIB
from estimators.memory import MemoryEstimate

LONGEST_LOG = 400_000  # characters that are read; start-up lines stand at the beginning

_NUMBER = r"([0-9][0-9,]{0,14}(?:\.[0-9]{1,6})?)"


@dataclass(frozen=True, slots=True)
class LoggedFigure:
    """One figure a log printed, and what was estimated for it."""

    what: str
    unit: str
    logged: float
    estimated: float | None  # None where this engine and version are not expected to print it

    @property
    def off(self) -> float | None:
        """Estimate over log, less one."""
        return self.estimated / self.logged - 1 if self.estimated is not None and self.logged else None


@dataclass(frozen=True, slots=True)
class _Line:
    what: str
    unit: str
    pattern: re.Pattern[str]
    estimate: Callable[[MemoryEstimate], float | None]


def _pool(memory: MemoryEstimate) -> float:
    return memory.pool_bytes_per_gpu / GIB


def _tokens(memory: MemoryEstimate) -> float | None:
    return float(memory.kv_logged_tokens) if memory.kv_logged_tokens is not None else None


def _line(what: str, unit: str, pattern: str, estimate: Callable[[MemoryEstimate], float | None]) -> _Line:
    return _Line(what, unit, re.compile(pattern.replace("N", _NUMBER), re.IGNORECASE), estimate)


def _weights(memory: MemoryEstimate) -> float:
    return memory.weights_bytes_per_gpu / GIB


_LINES = (
    _line("Weights per GPU", "GiB", r"(?:Model loading|Loading model weights) took N Gi?B", _weights),
    _line("Weights per GPU", "GiB", r"Load weight end\.[^\n]{0,300}?mem usage=N GB", _weights),
    _line("Memory for the cache", "GiB", r"Available KV cache memory: N GiB", _pool),
    _line("Tokens in the cache", "token", r"GPU KV cache size: N tokens", _tokens),
    _line("Tokens in the cache", "token", r"max_total_num_tokens=N", lambda m: float(m.kv_capacity_tokens)),
    _line("Requests of the longest context", "x", r"tokens per request: Nx", lambda m: m.kv_logged_concurrency),
    _line("State blocks", "block", r"exceeds available Mamba cache blocks \(N\)", lambda m: m.starts_with_seqs),
)  # fmt: skip


def compared(text: str, memory: MemoryEstimate) -> tuple[LoggedFigure, ...]:
    """The figures of a pasted log that are known here, the last of each kind, beside the estimate's."""
    found = {figure.what: figure for figure in _figures(text[:LONGEST_LOG], memory)}
    return tuple(found.values())


def _figures(text: str, memory: MemoryEstimate) -> Iterator[LoggedFigure]:
    for line in _LINES:
        for match in line.pattern.finditer(text):
            logged = float(match[1].replace(",", ""))
            yield LoggedFigure(line.what, line.unit, logged, line.estimate(memory))


def expected(memory: MemoryEstimate, model_len: int) -> str:
    """What this engine version should print at start; nothing where that is not known, or it does not start."""
    if memory.kv_logged_tokens is None or memory.kv_logged_concurrency is None:
        return ""
    return (
        f"Available KV cache memory: {max(0.0, _pool(memory)):.2f} GiB\n"
        f"GPU KV cache size: {memory.kv_logged_tokens:,} tokens\n"
        f"Maximum concurrency for {model_len:,} tokens per request: {memory.kv_logged_concurrency:.2f}x"
    )
