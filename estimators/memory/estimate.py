"""Memory of one replica on one accelerator: the types that cross the module boundary."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from estimators.provenance import Term


class HeldMemory(Protocol):
    """What a step time needs of a replica's memory: a whole `MemoryEstimate`, or the few figures of a sweep."""

    @property
    def weights_bytes_per_gpu(self) -> int: ...

    @property
    def kv_bytes_per_token_per_gpu(self) -> float: ...

    @property
    def activation_bytes_per_gpu(self) -> int: ...

    @property
    def overhead_bytes_per_gpu(self) -> int: ...

    @property
    def max_concurrency(self) -> int: ...


class ExplainsMemory(Protocol):
    """What an estimate was made from, kept to work out later what few ask for."""

    def terms(self, estimate: MemoryEstimate) -> tuple[Term, ...]: ...

    def notes(self) -> tuple[str, ...]: ...

    def max_context(self) -> int: ...

    def longest_concurrency(self) -> int: ...

    def least_load_bytes(self) -> int: ...

    def most_load_bytes(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class MemoryEstimate:
    """Bytes, per GPU unless the name says otherwise; `per_gpu` figures are of the fullest GPU."""

    weights_bytes: int  # whole model, as stored
    weights_bytes_per_gpu: int
    weights_bytes_per_gpu_by_role: tuple[tuple[str, int], ...]
    kv_bytes_per_token: float  # whole model, marginal, at this context
    kv_bytes_per_token_per_gpu: float
    state_bytes_per_request: int  # whole model
    load_bytes_per_gpu: int  # KV cache and state of the load's concurrency
    activation_bytes_per_gpu: int
    overhead_bytes_per_gpu: int  # CUDA context, NCCL buffers, CUDA graphs
    memory_bytes_per_gpu: int  # demand: weights + load + activations + overhead
    memory_bytes_per_gpu_low: int  # 80 % interval of the demand
    memory_bytes_per_gpu_high: int
    memory_budget_bytes_per_gpu: int  # memory software sees x utilization
    kv_capacity_tokens: int  # cache one replica holds after everything else
    max_concurrency: int  # requests of prompt + output it holds
    fits: bool
    engine_starts: bool | None = None  # passes the engine's own checks; None where those are not known
    engine_starts_reason: str | None = None  # the check it fails, and the way out
    starts_with_seqs: int | None = None  # most requests at once with which it would start
    kv_logged_tokens: int | None = None  # of one rank, as vLLM prints it
    kv_logged_concurrency: float | None = None
    outside_bytes_per_gpu: int = 0  # CUDA context and graphs the engine's budget does not count
    measured: str = ""  # the start-up logs that narrowed it, said
    measured_here: bool = False  # by a log of this very server
    kv_known: bool = True  # false when nobody has described the layers: the cache figures are then 0
    explanation: ExplainsMemory = field(compare=False, repr=False)

    @property
    def fixed_bytes_per_gpu(self) -> int:
        """Everything but the cache; what the pool is left by."""
        return self.weights_bytes_per_gpu + self.activation_bytes_per_gpu + self.overhead_bytes_per_gpu

    @property
    def pool_bytes_per_gpu(self) -> int:
        """What that leaves of the budget; less than nothing where the weights alone do not fit."""
        return self.memory_budget_bytes_per_gpu - self.fixed_bytes_per_gpu

    @property
    def load_bytes_per_gpu_floor(self) -> int:
        """Where the engine frees what a window no longer needs."""
        return min(self.load_bytes_per_gpu, self.explanation.least_load_bytes())

    @property
    def load_bytes_per_gpu_ceiling(self) -> int:
        """Where it keeps every page."""
        return max(self.load_bytes_per_gpu, self.explanation.most_load_bytes())

    @cached_property
    def longest_concurrency(self) -> int:
        """Requests of the longest context asked for (`max_model_len`) that it holds at once."""
        return self.explanation.longest_concurrency()

    @cached_property
    def max_context(self) -> int:
        """Longest context at the load's concurrency."""
        return self.explanation.max_context()

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """Every number, explained."""
        return self.explanation.terms(self)

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """Window-capped or full-page, and the setting that moves between them; how the load is taken."""
        return self.explanation.notes()
