"""What is asked of a server, where it is placed and how the engine is set: the inputs shared by memory and latency."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Load(StrEnum):
    """The three ways to state a load (public keys `concurrency`, `rate`, `load`)."""

    CONCURRENCY = "concurrency"  # a closed population: each request is replaced when it ends
    RATE = "rate"  # Poisson arrivals
    MAX = "max"  # as many requests as the engine takes
    BATCH = "batch"  # `concurrency` requests started together and run to the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """Load of ONE replica. `concurrency` is set for CONCURRENCY and BATCH, `requests_per_second` for RATE."""

    prompt_tokens: int
    output_tokens: int
    load: Load = Load.CONCURRENCY
    concurrency: float | None = 1
    requests_per_second: float | None = None
    prefix_share: float = 0.0  # share of prompt tokens served from the prefix cache

    @property
    def tokens_per_request(self) -> int:
        return self.prompt_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """One replica: `dp` ranks of attention of `tp` x `pp` accelerators each, experts spread over `ep` of them."""

    tp: int = 1
    pp: int = 1
    ep: int = 1
    dp: int = 1

    @property
    def gpus(self) -> int:
        return self.tp * self.pp * self.dp

    @property
    def expert_ranks(self) -> int:
        """GPUs of a stage over which experts are cut or spread: all ranks of attention share them."""
        return self.tp * self.dp


class Engine(StrEnum):
    """Values of the public key `engine`."""

    VLLM = "vllm"
    SGLANG = "sglang"
    TENSORRT_LLM = "tensorrt-llm"
    TRANSFORMERS = "transformers"


# Ways to draft, as the public key `spec` names them; any other value of it is a draft model's id.
NAMED_DRAFTERS = ("ngram", "eagle", "mtp")
DRAFTERS = (*NAMED_DRAFTERS, "draft")


@dataclass(frozen=True, slots=True, kw_only=True)
class Speculation:
    """Speculative decoding: `method` is one of `DRAFTERS`; with "draft", `draft_model` is its id."""

    method: str
    tokens: int  # drafted per step
    acceptance: float | None = None  # per drafted token; None takes the published default for the method
    draft_model: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """How the engine is started. None means the engine's own default for its version."""

    engine: Engine = Engine.VLLM
    version: str | None = None
    memory_utilization: float | None = None  # vLLM --gpu-memory-utilization (default 0.92)
    max_model_len: int | None = None  # tokens; None is prompt + output
    batched_tokens: int | None = None  # prefill chunk, vLLM --max-num-batched-tokens
    speculation: Speculation | None = None
    lora_adapters: int = 0
    lora_rank: int = 16
    max_num_seqs: int | None = None  # requests the scheduler runs at once, vLLM --max-num-seqs; what is more queues
    eager: bool = False  # no captured graphs, vLLM --enforce-eager
