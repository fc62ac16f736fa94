"""Scenarios with the machine left open, drawn from a seed: spread over models, loads, limits, layouts and markets."""

from __future__ import annotations

from random import Random

from app.scenario import LoadMode, Scenario
from estimators.precision import KvPrecision, Weights
from pricing.offers import PurchaseOption

MODELS = (
    "meta-llama/Llama-3.2-1B-Instruct",
    "Qwen/Qwen2.5-7B-Instruct",
    "meta-llama/Llama-3.1-8B-Instruct",
    "mistralai/Mistral-Small-24B-Instruct-2501",
    "google/gemma-3-27b-it",
    "Qwen/Qwen3-30B-A3B",
    "mistralai/Mixtral-8x7B-v0.1",
    "meta-llama/Llama-3.3-70B-Instruct",
)
QUANTIZED = (
    "openai/gpt-oss-20b",
    "openai/gpt-oss-120b",
    "deepseek-ai/DeepSeek-V3",
)  # a question takes them as they are
WEIGHTS = (Weights.AS_PUBLISHED, Weights.AS_PUBLISHED, Weights.BF16, Weights.FP8, Weights.INT8, Weights.INT4)
LAYOUTS = ((None, 1), (None, 1), (None, 1), (None, 1), (1, 1), (2, 1), (4, 1), (1, 2), (None, 2))  # gpus, pp
PAYMENTS = (
    PurchaseOption.ON_DEMAND,
    PurchaseOption.ON_DEMAND,
    PurchaseOption.SPOT,
    PurchaseOption.RESERVED_1YR_NO_UPFRONT,
    PurchaseOption.SAVINGS_COMPUTE_3YR_NO_UPFRONT,
)


def open_scenarios(count: int, seed: int) -> list[Scenario]:
    draw = Random(seed)
    return [_one(draw) for _ in range(count)]


def _one(draw: Random) -> Scenario:
    gpus, pp = draw.choice(LAYOUTS)
    model = draw.choice((*MODELS, *QUANTIZED))
    load = draw.choice(("chats", "chats", "chats", "rate", "rate", "max", "batch"))
    paced = load in ("chats", "rate")
    return Scenario(
        model=model,
        weights=Weights.AS_PUBLISHED if model in QUANTIZED else draw.choice(WEIGHTS),
        kv=draw.choice((KvPrecision.AUTO, KvPrecision.AUTO, KvPrecision.FP8)),
        prompt=draw.choice((128, 1024, 4096, 30_000)),
        output=draw.choice((1, 128, 512)),
        concurrency=draw.choice((None, 4, 30, 200, 2_500)) if load in ("chats", "batch") else None,
        rate=draw.choice((0.05, 1.0, 8.0, 60.0)) if load == "rate" else None,
        load={"max": LoadMode.MAX, "batch": LoadMode.BATCH}.get(load),
        ttft=draw.choice((None, None, 0.3, 1.0, 5.0)) if paced else None,
        tpot=draw.choice((None, None, None, 0.03, 0.1)) if paced else None,
        e2e=draw.choice((None, None, None, 4.0, 30.0)) if paced else None,
        gpus=gpus,
        pp=pp,
        replicas=draw.choice((None, None, None, None, 3)),
        region=draw.choice(("us-east-1", "us-east-1", "eu-west-1", "ap-northeast-1", "me-south-1")),
        buy=draw.choice(PAYMENTS),
        prefix=draw.choice((0.0, 0.0, 0.5)),
    )
