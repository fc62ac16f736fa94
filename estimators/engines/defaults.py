"""What a serving engine does by itself, by version and device: the one table that memory and latency read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from types import MappingProxyType

from estimators.engines.versions import Version, read_version
from estimators.hardware.accelerator import Accelerator
from estimators.provenance import Refusal, read_table
from estimators.workload import EngineSettings

_TABLE = Path(__file__).parent / "data" / "defaults.csv"
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Default:
    """One row: what a setting is on an engine's releases from `since` to before `until`, from a device memory on."""

    engine: str
    setting: str
    since: Version
    until: Version | None  # None: still so
    memory_from_bytes: float
    only_on: tuple[str, ...]  # beginnings of accelerator names; empty is all
    not_on: tuple[str, ...]
    value: float  # 0 for a name
    text: str  # as the table says it
    unit: str
    source: str
    as_of: str

    @property
    def evidence(self) -> str:
        return f"{self.source} ({self.as_of})"

    def applies(self, version: Version, accelerator: str, memory_bytes: float) -> bool:
        return (
            self.since <= version
            and (self.until is None or version < self.until)
            and self.memory_from_bytes <= memory_bytes
            and (not self.only_on or accelerator.startswith(self.only_on))
            and not (self.not_on and accelerator.startswith(self.not_on))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How an engine, as it is started, fills its steps."""

    engine: str
    era: str  # versions whose overheads are fitted together
    batched_tokens: int  # most tokens in one step
    max_seqs: int  # most requests it runs at once
    mixes: bool  # a prompt chunk and the running requests share a step; otherwise prompts get steps of their own
    whole_prompts: bool  # prompts are not chunked
    graph_context: int  # longest context decoded from a captured graph; beyond it kernels are launched one by one


def schedule(
    engine: str,
    settings: EngineSettings,
    accelerator: Accelerator,
    memory_bytes: int,
    max_model_len: int,
    *,
    mla: bool = False,
) -> Schedule:
    """What was asked for, else the engine's default on a device of `memory_bytes`.

    `engine` may be one that only measured rows know (tgi, neuron ...). vLLM before 0.8 runs whole prompts up to a
    context, and with MLA at any, in steps of at most the longest context. vLLM 0.8.5 on an H100: 8,192 tokens,
    1,024 requests; 0.6.3 at a context of 4,096: 4,096 tokens, 256 requests.
    """
    asked = settings.batched_tokens, settings.max_num_seqs, settings.eager
    return _schedule(engine, settings.version, accelerator.name, memory_bytes, max_model_len, mla, *asked)


@lru_cache(maxsize=16384)  # asked for thousands of layouts on a few devices
def _schedule(
    engine: str,
    version: str | None,
    accelerator: str,
    memory_bytes: int,
    max_model_len: int,
    mla: bool,
    batched_tokens: int | None,
    max_num_seqs: int | None,
    eager: bool,
) -> Schedule:
    rows = engine_defaults(engine, read_version(version), accelerator, memory_bytes)
    whole = max_model_len <= value_of(rows, "whole_prompts_up_to") or (mla and value_of(rows, "mla_whole_prompts") > 0)
    if batched_tokens is None:
        least = int(value_of(rows, "whole_prompts_least"))
        batched_tokens = max(max_model_len, least) if whole else int(rows["batched_tokens"].value)
    if batched_tokens < 1:
        raise Refusal(
            "A step needs at least one token.", field="batched_tokens", remedy="Leave it out for the default."
        )
    return Schedule(
        engine=engine,
        era=rows["era"].text,
        batched_tokens=batched_tokens,
        max_seqs=max_num_seqs or int(rows["max_seqs"].value),
        mixes=rows["mixes"].value > 0 and not whole,
        whole_prompts=whole,
        graph_context=0 if eager else int(rows["graph_context"].value),
    )


def value_of(rows: Mapping[str, Default], setting: str) -> float:
    """0 for what an engine and version do not have."""
    row = rows.get(setting)
    return row.value if row is not None else 0.0


@lru_cache(maxsize=4096)
def engine_defaults(engine: str, version: Version, accelerator: str, memory_bytes: int) -> Mapping[str, Default]:
    """The row in force for each setting on an accelerator of that name: of the highest tier, then of a named device."""
    own = _by_engine().get(engine)
    if own is None:
        raise Refusal(
            f"Nothing is known of the engine {engine!r}.",
            field="engine",
            remedy="Use vllm, sglang, tensorrt-llm or transformers.",
        )
    applying = [row for row in own if row.applies(version, accelerator, memory_bytes)]
    applying.sort(key=lambda row: (row.memory_from_bytes, bool(row.only_on)))
    return MappingProxyType({row.setting: row for row in applying})  # the last of a setting stays


@cache
def _by_engine() -> Mapping[str, tuple[Default, ...]]:
    found: dict[str, list[Default]] = {}
    for row in all_defaults():
        found.setdefault(row.engine, []).append(row)
    return {engine: tuple(rows) for engine, rows in found.items()}


@cache
def all_defaults() -> tuple[Default, ...]:
    """Every row of the table, as it stands there."""
    needed = ("engine", "version_from", "setting", "value", "unit", "source", "as_of")
    return tuple(_default(row) for row in read_table(_TABLE, required=needed))


def _default(row: Mapping[str, str]) -> Default:
    return Default(
        engine=row["engine"],
        setting=row["setting"],
        since=read_version(row["version_from"]),
        until=read_version(row["version_to"]) if row["version_to"] else None,
        memory_from_bytes=float(row["memory_from_gib"] or 0) * _GIB,
        only_on=tuple(row["only_on"].split()),
        not_on=tuple(row["not_on"].split()),
        value=0.0 if row["unit"] == "name" else float(row["value"]),
        text=row["value"],
        unit=row["unit"],
        source=row["source"],
        as_of=row["as_of"],
    )
