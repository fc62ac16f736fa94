"""Memory of one model over many machines: what a comparison needs of each, without terms, notes or intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from estimators.hardware.accelerator import Accelerator
from estimators.memory import drafting, footprint
from estimators.memory.assemble import check
from estimators.memory.engine import Running, held_at_once, start
from estimators.precision import Precision
from estimators.workload import EngineSettings, Load, Placement, Workload


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDemand:
    """A stage's fixed bytes, those of one request, the extra of the one that writes its prompt, and the cache of one
    request of the longest context."""

    fixed: int
    each: float
    writing_extra: int
    longest: int

    def demand(self, requests: int) -> int:
        return self.fixed + math.ceil(requests * self.each) + self.writing_extra


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One request on the fullest GPU of one layout, and how many such requests the replica holds.

    The fields are those of `MemoryEstimate` of the same names, to the byte.
    """

    weights_bytes_per_gpu: int
    kv_bytes_per_token_per_gpu: float
    activation_bytes_per_gpu: int
    overhead_bytes_per_gpu: int
    memory_bytes_per_gpu: int
    memory_budget_bytes_per_gpu: int
    max_concurrency: int
    starts: bool  # one request of the longest context the engine admits fits beside everything else
    stages: tuple[StageDemand, ...]

    def demand(self, requests: int) -> int:
        """Bytes of the fullest GPU with so many requests in flight."""
        return max(stage.demand(requests) for stage in self.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Laid:
    """A placement under one setting of the engine: everything but the budget, which is the machine's."""

    stages: tuple[StageDemand, ...]
    weights: int
    kv_bytes_per_token: float
    activation: int
    overhead: int
    demand: int


class Sweep:
    """One precision and length of request over many machines and placements.

    Machines differ in memory and in the defaults an engine takes for it; what a placement holds under the same
    defaults is worked out once. Raises `Refusal` where `estimate_memory` does.
    """

    def __init__(
        self, precision: Precision, workload: Workload, settings: EngineSettings, draft: Precision | None = None
    ) -> None:
        self._precision, self._settings = precision, settings
        self._requests = held_at_once(workload)
        self._workload = replace(workload, load=Load.CONCURRENCY, concurrency=1, requests_per_second=None)
        check(self._workload, settings)
        if settings.speculation is not None:
            drafting.check(settings.speculation, precision.spec)
            draft = draft or drafting.draft_precision(settings.speculation, precision.kv)
        self._draft = draft
        self._longest = settings.max_model_len or workload.tokens_per_request
        self._mla = footprint.has_mla(precision)
        self._known = bool(precision.spec.groups)
        self._laid: dict[tuple[Placement, int, int, bool], _Laid] = {}

    def held(self, accelerator: Accelerator, placement: Placement, memory_bytes: int) -> Held:
        """The layout's memory on this machine; Llama-3.1-8B in bf16 needs 16.1 GB of weights on one H100."""
        running = start(
            self._settings,
            accelerator,
            memory_bytes,
            self._longest,
            mla=self._mla,
            requests=self._requests,
        )
        key = (placement, running.batched_tokens, running.sampled_seqs, running.samples)
        laid = self._laid.get(key)
        if laid is None:
            laid = self._laid[key] = self._lay(placement, running, memory_bytes)
        budget = math.floor(memory_bytes * running.utilization)
        most = min(
            math.floor(footprint.requests_held(budget - stage.fixed, stage.writing_extra, stage.each))
            for stage in laid.stages
        )
        return Held(
            weights_bytes_per_gpu=laid.weights,
            kv_bytes_per_token_per_gpu=laid.kv_bytes_per_token,
            activation_bytes_per_gpu=laid.activation,
            overhead_bytes_per_gpu=laid.overhead,
            memory_bytes_per_gpu=laid.demand,
            memory_budget_bytes_per_gpu=budget,
            max_concurrency=max(0, most) if self._known else 0,
            starts=all(stage.fixed + stage.longest <= budget for stage in laid.stages),
            stages=laid.stages,
        )

    def _lay(self, placement: Placement, running: Running, memory_bytes: int) -> _Laid:
        replica = footprint.build(
            self._precision, placement, self._workload, self._settings, running, memory_bytes, self._draft
        )
        tokens, prompt = replica.tokens, replica.prompt
        longest = max(1, self._longest - (tokens - prompt))  # its prompt; the output stays
        stages = tuple(
            StageDemand(
                fixed=share.fixed,
                each=share.per_request(tokens, prompt),
                writing_extra=share.writing_extra(tokens),
                longest=share.load(1, self._longest, longest),
            )
            for share in replica.shares
        )
        demands = [stage.demand(1) for stage in stages]
        demand = max(demands)
        full = replica.shares[demands.index(demand)]
        return _Laid(
            stages=stages,
            weights=full.weights,
            kv_bytes_per_token=full.cache.marginal_bytes(tokens),
            activation=full.activation + math.ceil(full.request_activation * prompt),
            overhead=full.overhead,
            demand=demand,
        )
