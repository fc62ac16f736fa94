"""Speed of one replica: the types that cross the module boundary."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from estimators.provenance import Term

# What the three times are called, by the public key of their objective; in full, and where a table is narrow.
TIMES: Mapping[str, str] = {"ttft": "Time to first token", "tpot": "Time per output token", "e2e": "Whole request"}
SHORT_TIMES: Mapping[str, str] = {"ttft": "First token", "tpot": "Per token", "e2e": "Whole request"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and the 80 % interval for what a measurement of this case would show. Same unit throughout."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorTime:
    """One operator group of a step: its time and the ceiling that bound it."""

    name: str  # "attention projections", "experts", "kv cache", "lm head", "collectives", "launch", "host" ...
    seconds: float
    bytes: float
    flops: float
    bound: str  # "bandwidth", "compute", "link", "launch", "host"


class ExplainsLatency(Protocol):
    """What an estimate was made from, kept to work out later what few ask for."""

    def decode_step(self) -> tuple[OperatorTime, ...]: ...

    def prefill_step(self) -> tuple[OperatorTime, ...]: ...

    def terms(self) -> tuple[Term, ...]: ...


@dataclass(frozen=True, kw_only=True)
class LatencyEstimate:
    """Steady state of one replica under its load. TPOT excludes the first token; BATCH e2e is the whole batch's."""

    ttft_s: Interval
    tpot_s: Interval
    e2e_s: Interval
    ttft_p95_s: float
    tpot_p95_s: float
    e2e_p95_s: float
    output_tok_per_s: Interval
    req_per_s: Interval
    running_requests: float  # mean in decode at once
    saturated: bool  # demand above what the replica serves; then the times are of the saturated system
    evidence: str  # rows, accelerator and engine behind the calibration
    notes: tuple[str, ...] = ()
    explanation: ExplainsLatency = field(compare=False, repr=False)

    @cached_property
    def decode_step(self) -> tuple[OperatorTime, ...]:
        return self.explanation.decode_step()

    @cached_property
    def prefill_step(self) -> tuple[OperatorTime, ...]:
        return self.explanation.prefill_step()

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        return self.explanation.terms()

    def of(self, key: str) -> tuple[Interval, float]:
        """(mean with its interval, 95th percentile) of "ttft", "tpot" or "e2e", in seconds."""
        return getattr(self, f"{key}_s"), getattr(self, f"{key}_p95_s")
