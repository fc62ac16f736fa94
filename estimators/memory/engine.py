"""What an engine adds to a model: its defaults and its measured constants, by version, as data."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache
from pathlib import Path

from estimators.engines.defaults import Default, engine_defaults, schedule
from estimators.engines.versions import NEWEST, Version, read_version
from estimators.hardware.accelerator import Accelerator
from estimators.provenance import Refusal, read_table
from estimators.workload import Engine, EngineSettings, Load, Workload

_DATA = Path(__file__).with_name("data")
_LEAST_SHARE = 0.1  # below it SGLang does not start
_LEAST_CHUNK = 2048  # tokens; sglang server_args.py reserves for no fewer
_DRAFTING_STATE_BLOCKS = 2
# What vLLM checks, prints and lays out in its own way: nobody else's
_CHECKS = frozenset(
    {
        "batch_holds_seqs",
        "compressed_block",
        "index_logits",
        "prints_request_pool",
        "refuses_whole_memory",
        "sparse_rows",
        "state_blocks_checked",
        "step_holds_state_block",
    }
)
_LOGGED = frozenset({Engine.VLLM, Engine.TRANSFORMERS})  # engines whose memory was measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """A constant of an engine's memory: its value, how far measurements lie from it, and whose word it is."""

    name: str
    value: float
    unit: str
    spread: float  # root mean square of the residuals, in the same unit; 0 when it is assumed
    rows: int  # measurements behind it
    source: str
    as_of: str

    @property
    def evidence(self) -> str:
        measured = f", {self.rows} measurements, spread {self.spread:.3g} {self.unit}" if self.rows else ""
        return f"{self.source}{measured} ({self.as_of})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """An engine as it is started: every None of `EngineSettings` resolved."""

    engine: Engine
    version: str | None
    utilization: float
    batched_tokens: int
    max_seqs: int
    sampled_seqs: int  # requests whose logits the sampler holds while memory is profiled
    samples: bool  # the sampler runs while memory is profiled; vLLM's first engine did not when it chunked prompts
    state_blocks: int  # pages of recurrent state a request may hold at once
    latent_context: int  # longest request of a model with latent attention, for what is reserved by it; else 0
    constants: Mapping[str, Constant | Default] = field(hash=False)

    def value(self, name: str) -> float:
        """0 for a constant this engine and version do not have."""
        constant = self.constants.get(name)
        return constant.value if constant is not None else 0.0


def held_at_once(workload: Workload, ranks: int = 1) -> float | None:
    """Requests the scheduler of one rank is set up to run at once; a batch is queued whole and run in waves, so it sets
    nothing."""
    return None if workload.load is Load.BATCH or workload.concurrency is None else workload.concurrency / ranks


def start(
    settings: EngineSettings,
    accelerator: Accelerator,
    memory_bytes: int,
    max_model_len: int,
    *,
    mla: bool = False,
    requests: float | None = None,
) -> Running:
    """The engine with its defaults filled in; they depend on version, accelerator and attention.

    `requests` is what should run at once: a plan for more than the scheduler's default raises it. An engine whose
    memory nobody has logged is taken to sample for as many requests as vLLM's newest would on this accelerator.
    """
    engine, version = settings.engine, read_version(settings.version)
    constants = _constants(engine, version, accelerator.name, memory_bytes)
    utilization = settings.memory_utilization
    if utilization is None:
        utilization = _default_share(constants, memory_bytes, settings)
    if not 0 < utilization <= 1:
        raise Refusal(
            f"A share of {utilization:g} of the memory is not possible.", field="util", remedy="0 < util <= 1."
        )
    steps = schedule(engine, settings, accelerator, memory_bytes, max_model_len, mla=mla)
    asked, most, sampled = math.ceil(requests or 0), settings.max_num_seqs, steps.max_seqs
    if engine not in _LOGGED:
        sampled = int(_constants(Engine.VLLM, NEWEST, accelerator.name, memory_bytes)["max_seqs"].value)
    profiled = constants.get("profiles_sampler")
    most_in_step = steps.batched_tokens if "batch_holds_seqs" in constants else steps.max_seqs
    return Running(
        engine=engine,
        version=settings.version,
        utilization=utilization,
        batched_tokens=steps.batched_tokens,
        max_seqs=most or max(min(steps.max_seqs, most_in_step), asked),
        sampled_seqs=most or max(sampled, asked),
        samples=steps.whole_prompts or bool(profiled and profiled.value),
        state_blocks=_state_blocks(constants, settings),
        latent_context=max_model_len if mla else 0,
        constants=constants,
    )


def _state_blocks(constants: Mapping[str, Constant | Default], settings: EngineSettings) -> int:
    """With drafting 2 and one for each drafted token, which may have to be taken back."""
    blocks = constants.get("state_blocks")
    if blocks is None:
        return 1
    return int(blocks.value) if settings.speculation is None else _DRAFTING_STATE_BLOCKS + settings.speculation.tokens


def _default_share(constants: Mapping[str, Constant | Default], memory_bytes: int, settings: EngineSettings) -> float:
    """The share as a number; SGLang leaves room for a chunk and for its graphs: (M - reserve) / M, to three digits.

    H100, SGLang 0.5.3: 512 + 1.5 x 8,192 + 2 x 256 MiB of 81,079: 0.836.
    """
    if "reserve_base" not in constants:
        return constants["utilization"].value
    chunk = settings.batched_tokens or constants["batched_tokens"].value
    reserve = constants["reserve_base"].value + constants["reserve_per_token"].value * max(chunk, _LEAST_CHUNK)
    reserve += constants["reserve_per_graph"].value * constants["graph_batch"].value
    return max(_LEAST_SHARE, round((memory_bytes - reserve) / memory_bytes, 3))


@lru_cache(maxsize=4096)
def _constants(
    engine: Engine, version: Version, accelerator: str, memory_bytes: int
) -> Mapping[str, Constant | Default]:
    """What the engine does by itself and what was fitted of its memory; where nobody logged any, vLLM's newest."""
    own: dict[str, Constant | Default] = {**engine_defaults(engine.value, version, accelerator, memory_bytes)}
    own |= {
        constant.name: constant
        for name, since, until, constant in _table()
        if name == engine.value and since <= version and (until is None or version < until)
    }
    if engine in _LOGGED:
        return own
    newest = _constants(Engine.VLLM, NEWEST, accelerator, memory_bytes)
    borrowed = {
        name: replace(constant, source=f"taken over from vLLM: {constant.source}")
        for name, constant in newest.items()
        if name not in own and name not in _CHECKS
    }
    return borrowed | own


@cache
def _table() -> tuple[tuple[str, Version, Version | None, Constant], ...]:
    """Constants fitted on logs (see `estimators.fitting.memory_fit`), then those assumed where there is no log."""
    return (*_read("engine_fits.csv"), *_read("engine_assumed.csv"))


def _read(file: str) -> Iterator[tuple[str, Version, Version | None, Constant]]:
    for row in read_table(_DATA / file, required=("engine", "constant", "value", "unit", "source", "as_of")):
        constant = Constant(
            name=row["constant"],
            value=float(row["value"]),
            unit=row["unit"],
            spread=float(row.get("spread") or 0),
            rows=int(row.get("n") or 0),
            source=row["source"],
            as_of=row["as_of"],
        )
        until = read_version(row["version_to"]) if row["version_to"] else None
        yield row["engine"], read_version(row["version_from"]), until, constant
