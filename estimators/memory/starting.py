"""Whether an engine gets through its own checks when it starts, why not, and what would get it through."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from estimators.architecture.spec import ModelSpec
from estimators.memory import printed
from estimators.memory.engine import Running
from estimators.memory.footprint import Share
from estimators.workload import Engine, EngineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """`starts` None where the engine's checks are not known; `most_seqs` where fewer requests at once would do."""

    starts: bool | None
    reason: str = ""
    most_seqs: int | None = None


UNKNOWN = Start(starts=None)
PASSES = Start(starts=True)


def start_of(
    spec: ModelSpec,
    shares: Sequence[Share],
    budget: int,
    running: Running,
    settings: EngineSettings,
    longest: int,
    longest_need: int,
) -> Start:
    """The first check of vLLM that these settings fail, in the order it makes them; other engines' are not known.

    `longest_need` is what the fullest GPU needs with one request of the `longest` admitted length.
    Qwen3.5-27B in FP8 on an H100 at 0.95, vLLM 0.22: 856 blocks for 1,024 requests, so it stops.
    """
    if running.engine is not Engine.VLLM or not spec.groups:
        return UNKNOWN
    for failed in (_settings_check(spec, running, longest), _pool_check(shares, budget, longest, longest_need)):
        if failed is not None:
            return failed
    return next(_state_checks(shares, budget, running, settings), PASSES)


def _settings_check(spec: ModelSpec, running: Running, longest: int) -> Start | None:
    """What stops it before it loads anything."""
    if spec.max_positions is not None and longest > spec.max_positions:
        return _stops(
            f"max_model_len {longest:,} is more than the {spec.max_positions:,} of the model's config: lower it, or "
            "extend the rotary embedding and set VLLM_ALLOW_LONG_MAX_MODEL_LEN=1."
        )
    if running.max_seqs > running.batched_tokens and running.value("batch_holds_seqs"):
        return _stops(
            f"max_num_seqs {running.max_seqs:,} is more than max_num_batched_tokens {running.batched_tokens:,}: lower "
            "the one or raise the other.",
            running.batched_tokens,
        )
    if running.utilization >= 1.0 and running.value("refuses_whole_memory"):
        return _stops("The CUDA context leaves less than all of the memory free: lower gpu_memory_utilization.")
    return None


def _pool_check(shares: Sequence[Share], budget: int, longest: int, longest_need: int) -> Start | None:
    room = min(budget - share.fixed for share in shares)
    if room <= 0:
        return _stops(
            f"No memory is left for the cache ({_gib(room)}): raise gpu_memory_utilization, take more GPUs or a "
            "narrower precision."
        )
    if longest_need > budget:
        return _stops(
            f"One request of max_model_len {longest:,} does not fit the {_gib(room)} of cache: lower max_model_len or "
            "raise gpu_memory_utilization."
        )
    return None


def _state_checks(shares: Sequence[Share], budget: int, running: Running, settings: EngineSettings) -> Iterator[Start]:
    """Of models with recurrent state: a block has to fit a step, and each running request needs one."""
    if not any(kind.state_bytes for share in shares for kind in share.cache.kinds):
        return
    block = max(printed.block_tokens(share.cache) for share in shares)
    if running.value("step_holds_state_block") and block > running.batched_tokens:
        yield _stops(
            f"The block of {block:,} tokens that holds a state is longer than max_num_batched_tokens "
            f"{running.batched_tokens:,}: raise that to {block:,} or more."
        )
    blocks = printed.blocks(shares, budget)
    captures = not settings.eager and settings.speculation is None  # what drafts sets its own limit
    if captures and running.max_seqs > blocks and running.value("state_blocks_checked"):
        yield _stops(
            f"max_num_seqs ({running.max_seqs:,}) exceeds the {blocks:,} state blocks of the pool: give "
            f"--max-num-seqs {blocks} or fewer, or raise gpu_memory_utilization.",
            blocks,
        )


def _stops(reason: str, most_seqs: int | None = None) -> Start:
    return Start(starts=False, reason=reason, most_seqs=most_seqs)


def _gib(size: float) -> str:
    return f"{math.floor(size / 2**30 * 100) / 100:.2f} GiB"
