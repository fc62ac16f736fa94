"""Published rows stacked into arrays, and what the model predicts for each of their figures. Development only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from estimators.fitting.latency_measured import Row
from estimators.latency.calibration import FAMILIES, SLOTTED, Context, case_context
from estimators.latency.numeric import ARRAYS
from estimators.latency.physical_floor import flop_seconds, physical_floor
from estimators.latency.plan import running_capacity, schedule_of
from estimators.latency.serving import UNENDING, Request, Scheduler, Server, Steady
from estimators.latency.sharding import Product, Shard, shard_of
from estimators.latency.step import Rates
from estimators.memory import estimate_memory
from estimators.provenance import Refusal

Array = NDArray[np.float64]
# The version of vLLM from which a step is scheduled while the one before is computed; whoever asks an earlier one for
# that has the overheads of these.
_ASYNCHRONOUS = "0.14"
# One predictor per family, and one per slot of matrix products where the family has slots.
PREDICTORS: tuple[tuple[str, int | None], ...] = tuple(
    (name, slot) for name in FAMILIES for slot in (range(len(SLOTTED[name])) if name in SLOTTED else (None,))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitCase:
    """One row resolved to what the server model takes."""

    row: Row
    shard: Shard
    context: Context
    chunk: float
    mixes: float
    running: float
    may_run: float  # the same of a server that is kept full, however few requests the run sent
    graph_context: float
    prompt: float
    cached: float
    output: float
    alike: float
    requests: float  # of the whole run
    load: float  # population, batch size or requests per second


def make_case(row: Row) -> FitCase | None:
    """None where the shard cannot be built (a config without layers, a chip without peaks)."""
    try:
        shard = shard_of(row.precision, row.accelerator, row.placement)
        steps = schedule_of(row.engine, row.settings, row.accelerator, row.workload, shard.has_mla)
        era = steps.era
        if row.asynchronous:
            ahead = replace(row.settings, version=_ASYNCHRONOUS)
            era = schedule_of(row.engine, ahead, row.accelerator, row.workload, shard.has_mla).era
    except Refusal:
        return None
    capacity = _capacity(row)
    limit = float(row.running or steps.max_seqs)
    requests = row.requests or UNENDING
    w = row.workload
    prompt = max(1.0, w.prompt_tokens * (1.0 - w.prefix_share))
    return FitCase(
        row=row,
        shard=shard,
        context=case_context(row.accelerator, shard, steps.engine, era, row.placement.tp, row.in_process),
        chunk=float(steps.batched_tokens),
        mixes=1.0 if steps.mixes else 0.0,
        running=max(1.0, min(capacity, limit, requests)),
        may_run=max(1.0, min(capacity, limit)),
        graph_context=float(steps.graph_context),
        prompt=prompt,
        cached=w.prompt_tokens - prompt,
        output=float(w.output_tokens),
        alike=float(row.alike),
        requests=requests,
        load=float((w.requests_per_second or 1.0) if row.kind == "open_loop" else (w.concurrency or 1.0)),
    )


def _capacity(row: Row) -> float:
    """Requests the cache holds; where the memory estimator refuses a split that was measured, it does not limit."""
    try:
        memory = estimate_memory(row.precision, row.accelerator, row.placement, row.workload, row.settings)
    except Refusal:
        return math.inf
    return max(1.0, running_capacity(memory, row.workload, row.accelerator.memory_bytes))


def floor_of(case: FitCase, metric: str) -> float:
    """What no measurement of this figure can pass: seconds it cannot fall below, requests/s it cannot exceed."""
    shard = case.shard
    floor = physical_floor(shard, Request(prompt=case.prompt, cached=case.cached, output=case.output))
    if metric == "throughput":
        return float(shard.stages) / flop_seconds(shard, case.prompt + case.output - 1.0, 1.0)
    if case.row.kind == "static_batch" and metric == "e2e":
        return case.load * flop_seconds(shard, case.prompt, 0.0) + max(0.0, case.output - 1.0) * floor.tpot_s
    return {"ttft": floor.ttft_s, "tpot": floor.tpot_s, "e2e": floor.e2e_s}[metric]


def _column(values: Iterable[object]) -> Array:
    return np.array([float(v) for v in values], dtype=np.float64)  # type: ignore[arg-type]


def _stack_product(products: Sequence[Product]) -> Product:
    return Product(
        bytes=_column(p.bytes for p in products),
        elements=_column(p.elements for p in products),
        peak=_column(p.peak for p in products),
    )


def stack(shards: Sequence[Shard]) -> Shard:
    """A shard whose numbers are columns over cases."""
    columns: dict[str, object] = {}
    for entry in fields(Shard):
        values = [getattr(shard, entry.name) for shard in shards]
        if isinstance(values[0], Product):
            columns[entry.name] = _stack_product(values)
        elif not isinstance(values[0], bool | str):
            columns[entry.name] = _column(values)
    return Shard(**columns)  # type: ignore[arg-type]


def rates_of(values: Mapping[tuple[str, int | None], Array], fixed: Mapping[str, Array]) -> Rates:
    single = {name: values[name, None] for name, slot in values if slot is None}
    slots = {f"{slot}_{name}": values[name, i] for name, used in SLOTTED.items() for i, slot in enumerate(used)}
    return Rates(**slots, **single, **fixed)


def link(name: str, eta: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-eta)) if FAMILIES[name].share else np.exp(eta)


class CaseBatch:
    """Cases of one kind, predicted together; the closed population's rate is kept between calls as a start."""

    def __init__(self, kind: str, cases: Sequence[FitCase]) -> None:
        self.kind = kind
        self.cases = list(cases)
        self.shard = stack([c.shard for c in cases])
        self.scheduler = Scheduler(
            chunk=_column(c.chunk for c in cases),
            mixes=_column(c.mixes for c in cases),
            running=_column(c.running for c in cases),
            poll=_column(c.row.poll_steps for c in cases),
            graph_context=_column(c.graph_context for c in cases),
        )
        self.request = Request(
            prompt=_column(c.prompt for c in cases),
            cached=_column(c.cached for c in cases),
            output=_column(c.output for c in cases),
            alike=_column(c.alike for c in cases),
        )
        self.load = _column(c.load for c in cases)
        self.requests = _column(c.requests for c in cases)
        # As an estimate is asked for: nobody says that lengths are alike, or when a run ends.
        self.asked = (
            replace(self.request, alike=0.0),
            replace(self.scheduler, running=_column(c.may_run for c in cases)),
        )
        self.standing = {
            key: _column(c.context.standing.families.get(key, FAMILIES[key[0]].prior) for c in cases)
            for key in PREDICTORS
        }
        self.fixed = {
            name: _column(c.context.standing.fixed[name] for c in cases) for name in cases[0].context.standing.fixed
        }

    def predict(
        self, eta: Mapping[tuple[str, int | None], Array], near: Array | None = None, *, asked: bool = False
    ) -> dict[str, Array]:
        """log of TTFT, TPOT, end to end and requests/s of every case; `near`: the steady rates of a case next to it.

        `asked`: as an estimate answers, which takes lengths to vary and a run not to end; else as the case was run.
        """
        rates = rates_of({key: link(key[0], self.standing[key] + value) for key, value in eta.items()}, self.fixed)
        request, scheduler = self.asked if asked else (self.request, self.scheduler)
        sent = UNENDING if asked else self.requests
        server = Server(self.shard, rates, scheduler, request, ARRAYS)
        state = self._solve(server, near, sent)
        requests = state.requests_per_s
        if near is None:
            self.steady = requests / server.kept(sent) if self.kind == "max_throughput" else requests
        return {
            "ttft": np.log(state.ttft),
            "ttft_median": np.log(state.ttft - state.ramp),
            "tpot": np.log(state.tpot),
            "e2e": np.log(state.e2e),
            "throughput": np.log(requests),
        }

    def _solve(self, server: Server, near: Array | None, sent: Array | float) -> Steady:
        if self.kind in ("single_stream", "concurrency"):
            return server.closed(self.load) if near is None else server.closed_near(self.load, near)
        if self.kind == "static_batch":
            return server.batch(self.load)
        if self.kind == "max_throughput":
            return server.maximum(near, sent)
        return server.arrivals(self.load)
