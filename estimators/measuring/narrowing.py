"""How a measurement narrows an estimate: what was measured on the same engine and accelerator outweighs the fitted.

Both are taken as log-normal. The estimate ln t ~ N(m, s), with s from its 80 % interval, meets measurements
ln x_i ~ N(., s_i): the mean weighs each by 1/s^2, and the interval is that of the combination. A measurement of the
very case has s of its repeats; one of a sibling (another shape, a batch within a factor of two, or another model in the
same precision) is carried over by the ratio of the two rooflines and has a wider s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType

from estimators.hardware.accelerator import Accelerator
from estimators.latency.estimate import Interval
from estimators.latency.physical_floor import cache_seconds, flop_seconds, read_seconds
from estimators.latency.sharding import shard_of
from estimators.measuring.logged_memory import StartedServer
from estimators.measuring.measurement import Measurement, RepeatedReadings
from estimators.memory import MemoryEstimate, with_fixed
from estimators.precision import Precision
from estimators.provenance import Refusal, read_table
from estimators.workload import Placement

Z80 = 1.2816  # half-width of a normal distribution's central 80 %, in standard deviations
MOST_SIBLINGS = 20  # the nearest rooflines; more of them say the same again
ALIKE = 1e-3  # of two estimates of memory beside the cache: their settings come to the same
MOST_BATCH_RATIO = 2.0  # beyond, another thing bounds the step, and queueing differs

# Roofline of a measured case in seconds (bytes over bandwidth, or FLOPs over peak), None where it is not known.
FloorOf = Callable[[Measurement], float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class EstimatedCase:
    """What is being estimated. `config_digest` or `model` decide whether a measurement is of the same model."""

    engine: str
    accelerator: str
    gpus: int
    model: str
    config_digest: str
    weights: str
    prompt_tokens: int
    output_tokens: int
    batch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Narrowed:
    """An interval after measurements, and what they were."""

    interval: Interval
    same_case: int  # measurements of the very case
    siblings: int  # measurements carried over from others
    sentence: str

    @property
    def changed(self) -> bool:
        return bool(self.same_case or self.siblings)


@cache
def spreads() -> Mapping[str, float]:
    """Logarithmic spreads by name, each with its source in the table."""
    rows = read_table(Path(__file__).parent / "data" / "spreads.csv", key=("name",))
    return MappingProxyType({row["name"]: float(row["value"]) for row in rows})


def same_bench(measurement: Measurement, case: EstimatedCase) -> bool:
    """Whether a measurement may speak of the case at all: like with like, one engine, one accelerator."""
    there = (measurement.engine.value, measurement.accelerator.casefold(), measurement.gpus)
    return there == (case.engine, case.accelerator.casefold(), case.gpus)


def same_case(measurement: Measurement, case: EstimatedCase) -> bool:
    """Whether it measured exactly this: model, precision, batch, and lengths within 5 %."""
    if measurement.config_digest and case.config_digest:
        model = measurement.config_digest == case.config_digest
    else:
        model = measurement.model.casefold() == case.model.casefold()
    lengths = ((measurement.prompt_tokens, case.prompt_tokens), (measurement.output_tokens, case.output_tokens))
    near = all(abs(measured - asked) <= 0.05 * asked for measured, asked in lengths)
    return model and near and (measurement.weights.value, measurement.batch) == (case.weights, case.batch)


def is_sibling(measurement: Measurement, case: EstimatedCase) -> bool:
    """Whether it may be carried over: the same precision, and a batch within a factor of two."""
    ratio = measurement.batch / max(1, case.batch)
    return measurement.weights.value == case.weights and 1 / MOST_BATCH_RATIO <= ratio <= MOST_BATCH_RATIO


def with_measurements(
    interval: Interval,
    measurements: Iterable[Measurement],
    *,
    metric: str,
    case: EstimatedCase,
    floor_s: float | None = None,
    floor_of: FloorOf | None = None,
) -> Narrowed:
    """The interval of a time, narrowed by measurements of `metric` ("ttft_s", "itl_s" or "e2e_s").

    An estimate of 10 ms (7 to 14) and a measurement of 12 ms with cv 1 %: s = 0.27 and 0.051, so the measurement has
    97 % of the weight and the result is 11.9 ms (11.2 to 12.7). `floor_s` and `floor_of` carry siblings over; without
    them only the case itself counts. An interval never gets wider, nor reaches below both the floor and itself.
    """
    if metric not in ("ttft_s", "itl_s", "e2e_s"):
        raise Refusal(f"{metric} is no measured time.", field="metric")
    same, siblings = _evidence(measurements, metric, case, floor_s, floor_of)
    evidence = same + siblings
    if not evidence or not 0 < interval.low <= interval.value <= interval.high:
        return Narrowed(
            interval=interval, same_case=0, siblings=0, sentence="No measurement of this engine and machine."
        )
    narrowed = _combined(interval, evidence, min(floor_s or 0.0, interval.low))
    return Narrowed(
        interval=narrowed, same_case=len(same), siblings=len(siblings), sentence=_sentence(same, siblings, case)
    )


def _combined(interval: Interval, evidence: Evidence, least: float) -> Interval:
    prior = max(1e-3, math.log(interval.high / interval.low) / (2 * Z80))
    weights = [1 / prior**2] + [1 / s**2 for _, s in evidence]
    centres = [math.log(interval.value)] + [math.log(x) for x, _ in evidence]
    mean = sum(w * c for w, c in zip(weights, centres, strict=True)) / sum(weights)
    # Measurements of one bench share its quirks: many do not make the result surer than the best of them.
    spread = min(prior, min(s for _, s in evidence))
    value = max(math.exp(mean), least)
    return Interval(value=value, low=max(value * math.exp(-Z80 * spread), least), high=value * math.exp(Z80 * spread))


def with_logs(
    estimate: MemoryEstimate,
    measurements: Iterable[Measurement],
    *,
    case: EstimatedCase,
    server: StartedServer,
    estimate_of: Callable[[Measurement], MemoryEstimate | None],
) -> MemoryEstimate:
    """The memory of a server narrowed by start-up logs of this engine and these GPUs; `measured` says by which.

    A log says what everything but the cache takes, budget - pool. One of the very server (`server`: placement, cache
    and settings) says it for this one; one of another model or setting by the ratio logged / estimated there.
    `estimate_of` is the estimate of a logged server. 14.2 GiB estimated (13.5 to 14.3), 14.9 logged: 14.9 within 0.1.
    """
    same, siblings = _logged(estimate, measurements, case, server, estimate_of)
    evidence = same or siblings[:MOST_SIBLINGS]
    if not evidence or estimate.fixed_bytes_per_gpu <= 0:
        return estimate
    fixed, load = estimate.fixed_bytes_per_gpu, estimate.memory_bytes_per_gpu - estimate.fixed_bytes_per_gpu
    low, high = estimate.memory_bytes_per_gpu_low - load, estimate.memory_bytes_per_gpu_high - load
    found = _combined(Interval(value=fixed, low=low, high=high), evidence, 0.0)
    # The engine's range is longer to one side, and stays so as it shrinks.
    shrunk = math.log(found.high / found.low) / math.log(high / low) if high > low > 0 else 1.0
    least, most = found.value * (low / fixed) ** shrunk, found.value * (high / fixed) ** shrunk
    logs = f"{len(evidence)} start-up log{'s' if len(evidence) > 1 else ''}"
    where = f"{case.engine} on {case.accelerator}"
    said = f"Memory measured here: narrowed by {logs} of this server, {where}."
    if not same:
        said = f"Memory carried over from {logs} of other servers: {where}."
    moved = with_fixed(estimate, math.ceil(found.value), math.floor(least), math.ceil(most))
    if estimate.fits and not moved.fits:
        said += " By that it does not fit."
    return replace(moved, measured=said, measured_here=bool(same))


def _logged(
    estimate: MemoryEstimate,
    measurements: Iterable[Measurement],
    case: EstimatedCase,
    server: StartedServer,
    estimate_of: Callable[[Measurement], MemoryEstimate | None],
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    """Bytes beside the cache and their spread: of logs of this server, and of others carried over."""
    same, siblings = [], []
    for made in measurements:
        there = estimate_of(made) if made.logged is not None and same_bench(made, case) else None
        if made.logged is None or there is None:
            continue
        logged = there.memory_budget_bytes_per_gpu - made.logged.pool_bytes_per_gpu
        if logged <= 0:
            continue
        if _same_server(made, case, server, estimate, there):
            same.append((float(logged), spreads()["memory_repeat"]))
        else:
            ratio = logged / there.fixed_bytes_per_gpu
            siblings.append((ratio * estimate.fixed_bytes_per_gpu, spreads()["sibling_memory"]))
    return same, siblings


def _same_server(
    made: Measurement, case: EstimatedCase, server: StartedServer, estimate: MemoryEstimate, there: MemoryEstimate
) -> bool:
    """Model, formats, layout and version are alike, and no setting moves what is beside the cache; an open version is
    any."""
    ours, theirs = server, made.logged.server if made.logged else server
    versions = {ours.settings.version, theirs.settings.version} - {None}
    return (
        made.model.casefold() == case.model.casefold()
        and (made.weights.value, theirs.kv, theirs.placement) == (case.weights, ours.kv, ours.placement)
        and len(versions) < 2
        and math.isclose(estimate.fixed_bytes_per_gpu, there.fixed_bytes_per_gpu, rel_tol=ALIKE)
    )


Evidence = Sequence[tuple[float, float]]  # seconds, logarithmic spread


def _evidence(
    measurements: Iterable[Measurement],
    metric: str,
    case: EstimatedCase,
    floor_s: float | None,
    floor_of: FloorOf | None,
) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
    table, same, siblings = spreads(), [], []
    for measurement in measurements:
        found: RepeatedReadings | None = getattr(measurement, metric)
        if found is None or not same_bench(measurement, case):
            continue
        own = math.hypot(table["repeat"], found.cv, table["depth"] if measurement.scaled else 0.0)
        if same_case(measurement, case):
            same.append((found.median, own))
            continue
        there = floor_of(measurement) if floor_of is not None and is_sibling(measurement, case) else None
        if floor_s and there:
            fold = abs(math.log(floor_s / there))
            wide = math.hypot(own, table[f"sibling_{metric}"], table[f"sibling_per_fold_{metric}"] * fold)
            siblings.append((found.median * floor_s / there, wide))
    siblings.sort(key=lambda pair: pair[1])
    return same, ([] if same else siblings[:MOST_SIBLINGS])


def _sentence(same: Evidence, siblings: Evidence, case: EstimatedCase) -> str:
    where = f"{case.engine} on {case.accelerator}"
    if same:
        return f"Narrowed by {len(same)} measurement{'s' if len(same) > 1 else ''} of this case: {where}."
    many = len(siblings) > 1
    return (
        f"Carried over from {len(siblings)} measurement{'s' if many else ''} of other cases by the ratio of their "
        f"rooflines: {where}."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """Least seconds of a case by the data sheet of its machine: its first token, a step, a request from end to end."""

    ttft_s: float
    itl_s: float
    e2e_s: float


def roofline(
    precision: Precision,
    accelerator: Accelerator,
    placement: Placement,
    *,
    prompt_tokens: float,
    output_tokens: float,
    batch: float,
    prompts_together: bool = False,
) -> Roofline:
    """Step >= max((touched weights + B T cache) / bandwidth, FLOPs of B tokens / peak); first token >= the prompt's.

    T is the mean context, prompt + output / 2. `prompts_together`: B prompts are one prefill, as in a static batch.
    Llama-3.1-8B in bf16 on an H100, batch 64 at 1,088 tokens: 15.0 GB + 64 x 1,088 x 131 kB = 24.1 GB / 3.35 TB/s =
    7.2 ms a step.
    """
    shard = shard_of(precision, accelerator, placement)
    context = prompt_tokens + output_tokens / 2
    read = read_seconds(shard, batch) + batch * cache_seconds(shard, context)
    step = max(read, flop_seconds(shard, batch, batch))
    prompts = batch if prompts_together else 1.0
    tokens = prompts * prompt_tokens
    first = max(read_seconds(shard, tokens), flop_seconds(shard, tokens, prompts))
    return Roofline(ttft_s=first, itl_s=step, e2e_s=first + max(0.0, output_tokens - 1.0) * step)
