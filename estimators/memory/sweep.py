"""Memory of one model over many machines: what a comparison needs of each, without terms, notes or intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

from estimators.hardware.accelerator import Accelerator
from estimators.memory import drafting, footprint
from estimators.memory.assemble import check, refixed
from estimators.memory.engine import Running, held_at_once, start
from estimators.memory.footprint import RequestBytes, Share
from estimators.memory.starting import start_of
from estimators.precision import Precision
from estimators.workload import EngineSettings, Load, Placement, Workload


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
    longest_concurrency: int  # of requests as long as the longest context the engine admits
    starts: bool  # one request of the longest context the engine admits fits beside everything else
    stages: tuple[tuple[Share, RequestBytes], ...]
    engine_starts: bool | None = None
    engine_starts_reason: str | None = None
    ranks: int = 1

    def demand(self, requests: int) -> int:
        """Bytes of the fullest GPU with so many requests in flight."""
        each = math.ceil(requests / self.ranks)
        return max(share.fixed + request.load(each) for share, request in self.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Laid:
    """A placement under one setting of the engine: everything but the budget, which is the machine's."""

    stages: tuple[tuple[Share, RequestBytes], ...]
    longest: tuple[tuple[Share, RequestBytes], ...]  # with a request of the longest context the engine admits
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
        self._flight = workload
        self._workload = replace(workload, load=Load.CONCURRENCY, concurrency=1, requests_per_second=None)
        check(self._workload, settings)
        if settings.speculation is not None:
            drafting.check(settings.speculation, precision.spec)
            draft = draft or drafting.draft_precision(settings.speculation, precision.kv)
        self._draft = draft
        self._longest = settings.max_model_len or workload.tokens_per_request
        self._mla = footprint.has_mla(precision)
        self._known = bool(precision.spec.groups)
        self._laid: dict[tuple[Placement, int, int, int, bool, float, float, float], _Laid] = {}
        self._running: dict[tuple[str, int, int], Running] = {}

    def held(
        self, accelerator: Accelerator, placement: Placement, memory_bytes: int, *, fixed_ratio: float = 1.0
    ) -> Held:
        """The layout's memory on this machine; Llama-3.1-8B in bf16 needs 16.1 GB of weights on one H100.

        `fixed_ratio` is what everything but the cache takes there, measured over estimated.
        """
        running = self._started(accelerator, memory_bytes, placement.dp)
        steps = running.batched_tokens, running.sampled_seqs, running.max_seqs
        key = (placement, *steps, running.samples, running.utilization, running.value("graph_base_share"), fixed_ratio)
        laid = self._laid.get(key)
        if laid is None:
            laid = self._laid[key] = self._lay(placement, running, memory_bytes, fixed_ratio)
        budget = footprint.budget_of(memory_bytes, running, [share for share, _ in laid.stages])
        most, most_longest = _most(laid.stages, budget), _most(laid.longest, budget)
        longest = max(share.fixed + request.load(1) for share, request in laid.longest)
        started = start_of(
            self._precision.spec,
            [share for share, _ in laid.stages],
            budget,
            running,
            self._settings,
            self._longest,
            longest,
        )
        return Held(
            weights_bytes_per_gpu=laid.weights,
            kv_bytes_per_token_per_gpu=laid.kv_bytes_per_token,
            activation_bytes_per_gpu=laid.activation,
            overhead_bytes_per_gpu=laid.overhead,
            memory_bytes_per_gpu=laid.demand,
            memory_budget_bytes_per_gpu=budget,
            max_concurrency=most * placement.dp if self._known else 0,
            longest_concurrency=most_longest * placement.dp if self._known else 0,
            engine_starts=started.starts,
            engine_starts_reason=started.reason or None,
            ranks=placement.dp,
            starts=longest <= budget or not running.value("refuses_short_pool"),
            stages=laid.stages,
        )

    def _started(self, accelerator: Accelerator, memory_bytes: int, ranks: int) -> Running:
        """The engine as started on this machine, whatever the layout."""
        key = (accelerator.name, memory_bytes, ranks)
        if key not in self._running:
            self._running[key] = start(
                self._settings,
                accelerator,
                memory_bytes,
                self._longest,
                mla=self._mla,
                requests=held_at_once(self._flight, ranks),
            )
        return self._running[key]

    def _lay(self, placement: Placement, running: Running, memory_bytes: int, fixed_ratio: float) -> _Laid:
        replica = footprint.build(
            self._precision, placement, self._workload, self._settings, running, memory_bytes, self._draft
        )
        if fixed_ratio != 1.0:
            replica = refixed(replica, fixed_ratio)
        full, request = replica.fullest()
        prompt = max(1, self._longest - (replica.tokens - replica.prompt))  # the output stays
        return _Laid(
            stages=replica.filled,
            longest=replica.filled
            if self._longest == replica.tokens
            else tuple((share, share.request(self._longest, prompt)) for share in replica.shares),
            weights=full.weights,
            kv_bytes_per_token=full.cache.marginal_bytes(replica.tokens),
            activation=full.activation + math.ceil(full.request_activation * replica.prompt),
            overhead=full.overhead,
            demand=full.fixed + request.load(1),
        )


def _most(stages: Iterable[tuple[Share, RequestBytes]], budget: int) -> int:
    """Requests that fit on the stage that holds fewest."""
    return max(
        0,
        min(
            math.floor(footprint.requests_held(budget - share.fixed, request.writing_extra, request.each))
            for share, request in stages
        ),
    )
