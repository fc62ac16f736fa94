"""The published measurements as cases the estimator can be asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache

from estimators.architecture.catalogue import load_spec
from estimators.engines.support import stores_fp8
from estimators.fitting.tables import RECORDS
from estimators.hardware.accelerator import Accelerator
from estimators.hardware.catalogue import accelerators
from estimators.precision import KvPrecision, Method, Precision, Weights, resolve_precision
from estimators.provenance import Refusal, number, read_table
from estimators.workload import Engine, EngineSettings, Load, Placement, Workload

MEASURED = RECORDS / "measured.csv"
_LOADS = {
    "single_stream": Load.CONCURRENCY,
    "concurrency": Load.CONCURRENCY,
    "static_batch": Load.BATCH,
    "max_throughput": Load.MAX,
    "open_loop": Load.RATE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One published measurement of one replica. Figures are means or medians, as `note` says; None was not given."""

    id: str
    publication: str
    assumed: bool  # something the run depends on was not stated but assumed, as `note` says
    model: str
    config: str
    precision: Precision
    accelerator: Accelerator
    placement: Placement
    engine: str  # may be one the public vocabulary lacks (tgi, lmdeploy ...)
    version: str | None
    kind: str
    in_process: bool  # measured inside the engine's process: no server in front of it
    workload: Workload
    batched_tokens: int | None
    running: int | None  # the engine's limit on requests at once, where stated
    requests: float | None  # how many a run of as many as fit sent in all, where stated
    poll_steps: float  # decode steps between looks at the queue of arrivals, where the run set it; twice what it waits
    asynchronous: bool  # the run switched on scheduling a step ahead, which its version does not by itself
    alike: bool  # every request is as long as every other
    ttft_s: float | None
    tpot_s: float | None
    e2e_s: float | None
    output_tok_per_s: float | None
    req_per_s: float | None
    source: str
    statistic: str  # "mean", "median" or not stated
    note: str

    @property
    def settings(self) -> EngineSettings:
        known = self.engine in {engine.value for engine in Engine}
        engine = Engine(self.engine) if known else Engine.VLLM
        return EngineSettings(
            engine=engine, version=self.version if known else None, batched_tokens=self.batched_tokens
        )

    @property
    def median(self) -> bool:
        """Whether the published statistic is a median; a mean otherwise."""
        return self.statistic == "median"

    @property
    def weights(self) -> str:
        """Group of the score: "bf16" holds fp16, "int8" its weight-only form."""
        kind = self.precision.weights
        merged = {Weights.FP16: "bf16", Weights.INT8_WEIGHT_ONLY: "int8"}
        return merged.get(kind, kind.value)


@cache
def _precision(config: str, weights: str, method: str, kv: str) -> Precision:
    cache_type = {"": KvPrecision.AUTO, "fp8": KvPrecision.FP8, "fp16": KvPrecision.FP16, "bf16": KvPrecision.BF16}
    return resolve_precision(
        load_spec(config), Weights(weights), Method(method or "auto"), kv=cache_type.get(kv, KvPrecision.FP8)
    )


@cache
def excluded() -> dict[str, str]:
    """Rows left out of the fit, each with the proof that it is wrong."""
    path = RECORDS / "measured_excluded.csv"
    return {row["id"]: row["proof"] for row in read_table(path, key=("id",))} if path.exists() else {}


def published_seconds(
    model: str, accelerator: str, version: str, prompt_tokens: int, output_tokens: int
) -> dict[str, tuple[float, str]]:
    """precision -> (seconds of one whole request, source), of one case as its publication prints it."""
    case = (model, accelerator, version, str(prompt_tokens), str(output_tokens))
    keys = ("model", "accelerator", "engine_version", "prompt_tokens", "output_tokens")
    printed = (row for row in table() if row["e2e_s"] and tuple(row[key] for key in keys) == case)
    return {row["precision"]: (float(row["e2e_s"]), row["source"]) for row in printed}


def rows() -> Iterator[Row]:
    """Every published row whose model, lengths and precision are known; GPU counts above one replica are split."""
    for cells in table():
        with suppress(Refusal):
            yield row_of(cells)


def table() -> Iterator[dict[str, str]]:
    """The cells of every published row, as committed; a later row of an id in place of the one it corrects."""
    return read_table(MEASURED, key=("id",))


def row_of(cells: Mapping[str, str]) -> Row:
    """One row of the table. Raises `Refusal` for a chip, config or precision that no case can be made of."""
    accelerator = accelerators().get(cells["accelerator"])
    if accelerator is None or accelerator.flops_16bit is None:
        problem = "is not in the table" if accelerator is None else "has no peak in the table"
        raise Refusal(f"{cells['accelerator']!r} {problem} of accelerators.", field="accelerator")
    kv = cells["kv"] or ("fp8" if stores_fp8(cells["engine"], Weights(cells["precision"])) else "")
    precision = _precision(cells["config"], cells["precision"], cells["method"], kv)
    tp, pp, ep = (int(float(cells[key])) for key in ("tp", "pp", "ep"))
    replicas = max(1.0, float(cells["gpus"]) / (tp * pp))
    concurrency, rate = number(cells["concurrency"]), number(cells["rate_per_s"])
    load = _LOADS[cells["kind"]]
    workload = Workload(
        prompt_tokens=max(1, round(float(cells["prompt_tokens"]))),
        output_tokens=max(1, round(float(cells["output_tokens"]))),
        load=load,
        concurrency=None if concurrency is None else max(1.0, concurrency / replicas),
        requests_per_second=None if rate is None else rate / replicas,
        prefix_share=number(cells["prefix_share"]) or 0.0,
    )
    return Row(
        id=cells["id"],
        publication=cells["publication"],
        assumed=cells["assumed"] == "1",
        model=cells["model"],
        config=cells["config"],
        precision=precision,
        accelerator=accelerator,
        placement=Placement(tp=tp, pp=pp, ep=ep),
        engine=cells["engine"],
        version=cells["engine_version"] or None,
        kind=cells["kind"],
        in_process=cells["in_process"] == "1" or cells["kind"] == "static_batch",
        workload=workload,
        batched_tokens=int(cells["batched_tokens"]) if cells["batched_tokens"] else None,
        running=int(cells["running"]) if cells["running"] else None,
        requests=_scaled(cells["requests"], replicas),
        poll_steps=number(cells["poll_steps"]) or 1.0,
        asynchronous=cells["asynchronous"] == "1",
        alike=cells["alike"] == "1",
        ttft_s=number(cells["ttft_s"]),
        tpot_s=number(cells["tpot_s"]),
        e2e_s=number(cells["e2e_s"]),
        output_tok_per_s=_scaled(cells["output_tok_per_s"], replicas),
        req_per_s=_scaled(cells["req_per_s"], replicas),
        source=cells["source"],
        statistic=cells["statistic"],
        note=cells["note"],
    )


def _scaled(cell: str, replicas: float) -> float | None:
    found = number(cell)
    return None if found is None else found / replicas
