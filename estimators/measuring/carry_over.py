"""The least a case can take on a machine by its data sheet: what a measurement is carried over to a sibling with."""

from __future__ import annotations

from dataclasses import dataclass

from estimators.hardware.accelerator import Accelerator
from estimators.latency.physical_floor import cache_seconds, flop_seconds, read_seconds
from estimators.latency.plan import shard_of
from estimators.precision import Precision
from estimators.workload import Placement


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """Least seconds of a case: its first token, a step, and a request from end to end."""

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
