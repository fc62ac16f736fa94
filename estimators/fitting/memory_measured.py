"""Published measurements of memory, as cases the estimator can be asked about."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from estimators.architecture.catalogue import load_config, load_spec
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import ModelSpec, SpecSource
from estimators.fitting.tables import RECORDS
from estimators.hardware.accelerator import Accelerator
from estimators.hardware.catalogue import find_accelerator
from estimators.precision import KvPrecision, Method, Precision, Weights, resolve_precision
from estimators.provenance import number, read_table
from estimators.workload import Engine, EngineSettings, Placement

GIB = 2**30
_REQUIRED = ("line", "printed_model", "source", "as_of")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedCase:
    """One line of a measured table; a figure that was not printed is None."""

    table: str
    line: int
    printed_model: str
    model: str  # empty when nobody can say which configuration it was
    overrides: str  # JSON, config keys that differ from the catalogue's model
    weights: Weights
    method: Method
    kv: KvPrecision
    accelerator: Accelerator
    memory_bytes: int | None
    placement: Placement
    settings: EngineSettings
    weights_gib: float | None
    activation_gib: float | None
    non_torch_gib: float | None
    graphs_gib: float | None
    context_gib: float | None
    kv_gib: float | None
    kv_tokens: int | None
    kv_left_out: str  # why the line says nothing of the cache per token; empty when it does
    weights_left_out: str
    capacity_left_out: str

    def precision(self) -> Precision:
        return resolve_precision(spec_of(self.model, self.overrides), self.weights, self.method, self.kv)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainCase:
    """Memory of plain transformers at batch 1."""

    line: int
    printed_model: str
    model: str
    overrides: str
    weights: Weights
    method: Method
    gpus: int
    version: str
    prompt_tokens: int
    output_tokens: int
    memory_gib: float
    left_out: str

    def precision(self) -> Precision:
        return resolve_precision(spec_of(self.model, self.overrides), self.weights, self.method)


@cache
def vllm_cases(table: str) -> tuple[LoggedCase, ...]:
    """Start-up logs: "vllm_logs" are the published ones, "vllm_0_19_h100" one laboratory's systematic sweep."""
    return tuple(_case(table, row) for row in read_table(RECORDS / f"{table}.csv", required=_REQUIRED, key=("line",)))


@cache
def plain_cases() -> tuple[PlainCase, ...]:
    return tuple(
        _plain(row) for row in read_table(RECORDS / "transformers_memory.csv", required=_REQUIRED, key=("line",))
    )


@cache
def spec_of(model: str, overrides: str) -> ModelSpec:
    """The catalogue's model, or one of the same family whose differing config keys are given."""
    if not overrides:
        return load_spec(model)
    config = copy.deepcopy(load_config(model))
    for key, value in json.loads(overrides).items():
        _set(config, key.split("."), value)
    return parse_config(config, model_id=model, source=SpecSource.FILE, source_note=f"{model} with {overrides}")


def _set(config: dict[str, object], path: list[str], value: object) -> None:
    *parents, last = path
    for name in parents:
        inner = config[name]
        assert isinstance(inner, dict)  # noqa: S101  our own table names a path that exists
        config = inner
    if value is None:
        config.pop(last, None)
    else:
        config[last] = value


def _case(table: str, row: Mapping[str, str]) -> LoggedCase:
    memory = number(row["memory_gib"])
    return LoggedCase(
        table=table,
        line=int(row["line"]),
        printed_model=row["printed_model"],
        model=row["model"],
        overrides=row["overrides"],
        weights=Weights(row["weights"] or "as-published"),
        method=Method(row["method"] or "auto"),
        kv=KvPrecision(row["kv"]),
        accelerator=find_accelerator(row["gpu"] or "H100"),
        memory_bytes=None if memory is None else round(memory * GIB),
        placement=Placement(tp=int(row["tp"] or 1), pp=int(row["pp"] or 1)),
        settings=EngineSettings(
            engine=Engine.VLLM,
            version=row["engine_version"] or None,
            memory_utilization=number(row["utilization"]),
            max_model_len=_int(row["max_model_len"]),
            batched_tokens=_int(row["batched_tokens"]),
            max_num_seqs=_int(row["max_num_seqs"]),
        ),
        weights_gib=number(row["weights_gib"]),
        activation_gib=number(row["activation_gib"]),
        non_torch_gib=number(row["non_torch_gib"]),
        graphs_gib=number(row["graphs_gib"]),
        context_gib=number(row.get("context_gib", "")),
        kv_gib=number(row["kv_gib"]),
        kv_tokens=_int(row["kv_tokens"]),
        kv_left_out=row["kv_left_out"],
        weights_left_out=row["weights_left_out"],
        capacity_left_out=row["capacity_left_out"],
    )


def _plain(row: Mapping[str, str]) -> PlainCase:
    return PlainCase(
        line=int(row["line"]),
        printed_model=row["printed_model"],
        model=row["model"],
        overrides=row["overrides"],
        weights=Weights(row["weights"]),
        method=Method(row["method"]),
        gpus=int(row["gpus"]),
        version=row["engine_version"],
        prompt_tokens=int(row["prompt_tokens"]),
        output_tokens=int(row["output_tokens"]),
        memory_gib=float(row["memory_gib"]),
        left_out=row["left_out"],
    )


def usable(cases: tuple[LoggedCase, ...], reason: str) -> Iterator[LoggedCase]:
    """Cases that are not left out under `reason`, the name of the column that says why."""
    return (case for case in cases if case.model and not getattr(case, reason))


def _int(cell: str) -> int | None:
    return int(cell) if cell else None
