"""Which engine runs which precision on which accelerator: natively, weight-only, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from estimators.architecture.spec import ModelSpec
from estimators.engines.versions import Version, read_version
from estimators.hardware.accelerator import Accelerator
from estimators.precision import KvPrecision, Method, Precision, Weights, resolve_precision
from estimators.provenance import Refusal, read_table
from estimators.workload import Engine

_DATA = Path(__file__).with_name("data")
PathKind = Literal["native", "weight-only", "none"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """`native` computes in the format; `weight-only` stores it and computes in 16 bits; `none` does not run."""

    path: PathKind
    reason: str
    source: str
    as_of: str

    @property
    def runs(self) -> bool:
        return self.path != "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    path: PathKind
    min_version: Version | None
    max_version: Version | None  # the last that runs it
    reason: str
    source: str
    as_of: str
    published_path: PathKind | None  # where the engine may choose another type than the one asked for
    published_reason: str


def support(
    accelerator: Accelerator,
    weights: Weights,
    engine: Engine,
    version: str | None = None,
    *,
    published: bool = False,
) -> Support:
    """How `engine` runs `weights` on `accelerator`; FP8 on an A100 in vLLM is weight-only (Marlin W8A16).

    `version` None is the newest known. `published` is a checkpoint taken as it is, which leaves the engine free to
    compute in another type: vLLM loads bf16 checkpoints in fp16 on a T4, and refuses bf16 when it is asked for.
    Raises `Refusal` for AS_PUBLISHED, which is no format until resolved.
    """
    if weights is Weights.AS_PUBLISHED:
        raise Refusal("'as-published' is not a format.", field="weights", remedy="Resolve the precision first.")
    return _answer(accelerator, weights.value, engine, version, _weights_table(), published)


def kv_support(
    accelerator: Accelerator, kv: KvPrecision, engine: Engine, version: str | None = None, *, published: bool = False
) -> Support:
    """How `engine` keeps a KV cache of type `kv` on `accelerator`; FP8 on Ampere is stored, not computed in.

    `published` is a cache type that follows from the checkpoint rather than from a wish.
    """
    if kv is KvPrecision.AUTO:
        raise Refusal("'auto' is not a cache type.", field="kv", remedy="Resolve the precision first.")
    return _answer(accelerator, kv.value, engine, version, _kv_table(), published)


def stores_fp8(engine: str, weights: Weights) -> bool:
    """Whether an engine keeps its cache in FP8 where nothing else is asked for.

    TensorRT-LLM does with FP8 and NVFP4 checkpoints: those its maker publishes state an FP8 cache, and its performance
    pages are measured with one (TensorRT-LLM docs/source/performance/perf-overview.md).
    """
    return engine == Engine.TENSORRT_LLM and weights in (Weights.FP8, Weights.NVFP4)


def precision_in(
    engine: Engine,
    spec: ModelSpec,
    weights: Weights = Weights.AS_PUBLISHED,
    method: Method = Method.AUTO,
    kv: KvPrecision = KvPrecision.AUTO,
) -> Precision:
    """`resolve_precision`; a cache left open is what the engine keeps of these weights."""
    made = resolve_precision(spec, weights, method, kv)
    if kv is KvPrecision.AUTO and stores_fp8(engine, made.weights):
        return resolve_precision(spec, weights, method, KvPrecision.FP8)
    return made


def _answer(
    accelerator: Accelerator,
    precision: str,
    engine: Engine,
    version: str | None,
    table: Mapping[tuple[str, str, str], _Row],
    published: bool,
) -> Support:
    release = read_version(version)
    row = table.get((engine.value, precision, accelerator.architecture))
    if row is None:
        reason = f"nothing is known of {precision} on {accelerator.architecture} in {engine.value}"
        return Support(path="none", reason=reason, source="no row in the table", as_of="")
    wrong = _wrong_version(row, engine, release)
    path, reason = row.path, row.reason
    if published and row.published_path is not None:
        path, reason = row.published_path, row.published_reason
    return Support(path="none" if wrong else path, reason=wrong or reason, source=row.source, as_of=row.as_of)


def _wrong_version(row: _Row, engine: Engine, release: Version) -> str:
    if row.max_version is not None and release > row.max_version:
        return f"{engine.value} dropped this accelerator after {row.max_version}"
    if row.min_version is not None and release < row.min_version:
        return f"needs {engine.value} {row.min_version} or newer"
    return ""


@cache
def _weights_table() -> Mapping[tuple[str, str, str], _Row]:
    return _load("weights_support.csv", "weights")


@cache
def _kv_table() -> Mapping[tuple[str, str, str], _Row]:
    return _load("kv_support.csv", "kv")


def _load(file: str, column: str) -> Mapping[tuple[str, str, str], _Row]:
    rows = read_table(_DATA / file, required=("engine", column, "architecture", "path", "source", "as_of"))
    return {(row["engine"], row[column], row["architecture"]): _row(row) for row in rows}


def _row(row: dict[str, str]) -> _Row:
    return _Row(
        path=_path(row["path"]),
        min_version=_version(row["min_version"]),
        max_version=_version(row["max_version"]),
        reason=row["reason"],
        source=row["source"],
        as_of=row["as_of"],
        published_path=_path(row["published_path"]) if row["published_path"] else None,
        published_reason=row["published_reason"],
    )


def _version(cell: str) -> Version | None:
    return read_version(cell) if cell else None


def _path(cell: str) -> PathKind:
    if cell == "native":
        return "native"
    if cell == "weight-only":
        return "weight-only"
    if cell == "none":
        return "none"
    raise ValueError(f"unknown path {cell!r}")
