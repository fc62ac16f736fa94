"""What an engine adds to a model: its defaults and its measured constants, by version, as data."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from estimators.hardware.accelerator import Accelerator
from estimators.provenance import Refusal, read_table
from estimators.workload import Engine, EngineSettings, Load, Workload

_DATA = Path(__file__).with_name("data")
_NEWEST = (10**6, 0, 0)
_GIB = 2**30
_LARGE_GIB = 70  # vLLM's own tiers of device memory
_LARGEST_GIB = 160
_LONGEST_WHOLE_PROMPT = 32768  # tokens; vLLM 0.6 and 0.7 chunked prompts of longer contexts by default
_MEASURED = frozenset({Engine.VLLM.value, Engine.TRANSFORMERS.value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Constant:
    """One row of the table: a value, how far measurements lie from it, and whose word it is."""

    name: str
    value: float
    unit: str
    spread: float  # root mean square of the residuals, in the same unit; 0 when it is a setting
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
    samples: bool  # the sampler runs while memory is profiled; vLLM's first engine did not when it chunked prompts
    constants: Mapping[str, Constant]

    def value(self, name: str) -> float:
        """0 for a constant this engine and version do not have."""
        constant = self.constants.get(name)
        return constant.value if constant is not None else 0.0


def held_at_once(workload: Workload) -> float | None:
    """Requests the scheduler is set up to run at once; a batch is queued whole and run in waves, so it sets nothing."""
    return None if workload.load is Load.BATCH else workload.concurrency


def start(
    settings: EngineSettings,
    accelerator: Accelerator,
    memory_bytes: int,
    max_model_len: int,
    *,
    mla: bool = False,
    requests: float | None = None,
) -> Running:
    """The engine with its defaults filled in; vLLM's depend on version, accelerator and attention.

    `requests` is what should run at once: a plan for more than the scheduler's default raises it.
    """
    constants = _constants(settings.engine.value, release(settings.version))
    utilization = settings.memory_utilization
    if utilization is None:
        utilization = constants["utilization"].value
    if not 0 < utilization <= 1:
        raise Refusal(
            f"A share of {utilization:g} of the memory is not possible.", field="util", remedy="0 < util <= 1."
        )
    large = memory_bytes >= _LARGE_GIB * _GIB and not accelerator.name.startswith("A100")
    whole = whole_prompts(settings.engine, release(settings.version), max_model_len, mla)
    batched = settings.batched_tokens or _default_batched(
        constants, memory_bytes, large, max_model_len if whole else None
    )
    if batched < 1:
        raise Refusal(
            "A step needs at least one token.", field="batched_tokens", remedy="Leave it out for the default."
        )
    seqs = (large and constants.get("max_seqs_70gib")) or constants["max_seqs"]
    return Running(
        engine=settings.engine,
        version=settings.version,
        utilization=utilization,
        batched_tokens=batched,
        max_seqs=settings.max_num_seqs or max(int(seqs.value), math.ceil(requests or 0)),
        samples=whole or not _first_engine(settings.engine, release(settings.version)),
        constants=constants,
    )


def release(version: str | None) -> tuple[int, int, int]:
    """`(0, 11, 0)` for "v0.11"; None is the newest."""
    if version is None:
        return _NEWEST
    parts = re.match(r"v?(\d{1,6})(?:\.(\d{1,6}))?(?:\.(\d{1,6}))?", version.strip())
    if parts is None:
        raise Refusal(f"{version!r} is not a version.", field="engine_version", remedy="Write it as 0.11.0.")
    major, minor, patch = (int(part or 0) for part in parts.groups())
    return major, minor, patch


def _default_batched(
    constants: Mapping[str, Constant], memory_bytes: int, large: bool, whole_prompt: int | None
) -> int:
    if whole_prompt is not None:
        return max(whole_prompt, int(constants["batched_tokens"].value))
    if memory_bytes >= _LARGEST_GIB * _GIB and "batched_tokens_160gib" in constants:
        return int(constants["batched_tokens_160gib"].value)
    if large and "batched_tokens_70gib" in constants:
        return int(constants["batched_tokens_70gib"].value)
    return int(constants["batched_tokens"].value)


def whole_prompts(engine: Engine, version: tuple[int, int, int], max_model_len: int, mla: bool) -> bool:
    """vLLM's first engine ran whole prompts up to a context of 32,768 and chunked them beyond.

    With MLA it never did: 0.7 logs "MLA is enabled; forcing chunked prefill and prefix caching to be disabled".
    """
    if not _first_engine(engine, version):
        return False
    return max_model_len <= _LONGEST_WHOLE_PROMPT or (mla and version < (0, 8, 0))


def _first_engine(engine: Engine, version: tuple[int, int, int]) -> bool:
    return engine is Engine.VLLM and version < (0, 9, 0)


@lru_cache(maxsize=64)
def _constants(engine: str, version: tuple[int, int, int]) -> dict[str, Constant]:
    own = {
        constant.name: constant
        for name, start_at, before, constant in _table()
        if name == engine and start_at <= version < before
    }
    return own if engine in _MEASURED else _borrowed() | own


@cache
def _borrowed() -> dict[str, Constant]:
    """vLLM's newest constants, for engines whose memory nobody has logged."""
    newest = _constants(Engine.VLLM.value, _NEWEST)
    return {
        name: replace(constant, source=f"taken over from vLLM: {constant.source}") for name, constant in newest.items()
    }


@cache
def _table() -> tuple[tuple[str, tuple[int, int, int], tuple[int, int, int], Constant], ...]:
    """Settings as the engines' sources state them, then constants fitted on logs (see `calibrate`)."""
    return (*_read("engine_defaults.csv"), *_read("engine_fits.csv"))


def _read(file: str) -> Iterator[tuple[str, tuple[int, int, int], tuple[int, int, int], Constant]]:
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
        before = release(row["version_to"]) if row["version_to"] else (_NEWEST[0] + 1, 0, 0)
        yield row["engine"], release(row["version_from"] or "0"), before, constant
