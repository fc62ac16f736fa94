"""What a serving engine's start-up log said of its memory, with the settings it was started with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from estimators.measuring.foreign import ForeignInput, at, count, number, text
from estimators.precision import KvPrecision
from estimators.workload import DRAFTERS, Engine, EngineSettings, Placement, Speculation

_MOST = 1 << 24  # of any count of the settings


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedServer:
    """How a server keeps its cache, lies over its GPUs and was started."""

    kv: KvPrecision
    placement: Placement
    settings: EngineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedMemory:
    """Bytes of one GPU. The pool is what the engine kept for its cache after everything else."""

    pool_bytes_per_gpu: int
    weights_bytes_per_gpu: int | None
    server: StartedServer


def read_logged(entry: object, bad: Callable[[str], ForeignInput]) -> LoggedMemory | None:
    """Of a measurement's plain JSON values, each checked; `bad` makes the refusal that names the field."""
    if entry is None:
        return None
    pool, weights = count(at(entry, "pool_bytes_per_gpu")), at(entry, "weights_bytes_per_gpu")
    if not pool:
        raise bad("logged.pool_bytes_per_gpu")
    if weights is not None and count(weights) is None:
        raise bad("logged.weights_bytes_per_gpu")
    kv = at(entry, "server", "kv")
    if kv not in list(KvPrecision):
        raise bad("logged.kv")
    return LoggedMemory(
        pool_bytes_per_gpu=pool,
        weights_bytes_per_gpu=count(weights),
        server=StartedServer(
            kv=KvPrecision(str(kv)),
            placement=_placement(at(entry, "server", "placement"), bad),
            settings=_settings(at(entry, "server", "settings"), bad),
        ),
    )


def _whole(holder: object, name: str, least: int, bad: Callable[[str], ForeignInput]) -> int | None:
    found = at(holder, name)
    if found is None:
        return None
    whole = count(found)
    if whole is None or not least <= whole <= _MOST:
        raise bad(f"logged.{name}")
    return whole


def _placement(entry: object, bad: Callable[[str], ForeignInput]) -> Placement:
    tp, pp, ep, dp = (_whole(entry, name, 1, bad) or 1 for name in ("tp", "pp", "ep", "dp"))
    return Placement(tp=tp, pp=pp, ep=ep, dp=dp)


def _settings(entry: object, bad: Callable[[str], ForeignInput]) -> EngineSettings:
    if not isinstance(entry, Mapping):
        raise bad("logged.settings")
    engine, share = entry.get("engine"), entry.get("memory_utilization")
    if engine not in list(Engine):
        raise bad("logged.engine")
    if share is not None and not 0.0 < (number(share) or 0.0) <= 1.0:
        raise bad("logged.memory_utilization")
    return EngineSettings(
        engine=Engine(str(engine)),
        version=text(entry.get("version"), 60) or None,
        memory_utilization=number(share),
        max_model_len=_whole(entry, "max_model_len", 1, bad),
        batched_tokens=_whole(entry, "batched_tokens", 1, bad),
        speculation=_speculation(entry.get("speculation"), bad),
        lora_adapters=_whole(entry, "lora_adapters", 0, bad) or 0,
        lora_rank=_whole(entry, "lora_rank", 1, bad) or 16,
        max_num_seqs=_whole(entry, "max_num_seqs", 1, bad),
        eager=entry.get("eager") is True,
    )


def _speculation(entry: object, bad: Callable[[str], ForeignInput]) -> Speculation | None:
    if entry is None:
        return None
    method, tokens = at(entry, "method"), _whole(entry, "tokens", 1, bad)
    if method not in DRAFTERS or tokens is None:
        raise bad("logged.speculation")
    draft = text(at(entry, "draft_model"))
    return Speculation(method=str(method), tokens=tokens, draft_model=draft or None)
