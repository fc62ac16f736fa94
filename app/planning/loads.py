"""A scenario in the estimators' words: the engine's settings, and the load of one of its replicas. Pure."""

from __future__ import annotations

import math

from app.scenario import LoadMode, Scenario
from estimators.workload import NAMED_DRAFTERS, EngineSettings, Load, Speculation, Workload


def settings_of(scenario: Scenario) -> EngineSettings:
    return EngineSettings(
        engine=scenario.engine,
        version=scenario.engine_version,
        memory_utilization=scenario.util,
        max_model_len=scenario.max_len,
        batched_tokens=scenario.batched_tokens,
        max_num_seqs=scenario.max_num_seqs,
        eager=scenario.eager,
        lora_adapters=scenario.lora.count if scenario.lora else 0,
        lora_rank=scenario.lora.rank if scenario.lora else 16,
        speculation=speculation_of(scenario),
    )


def speculation_of(scenario: Scenario) -> Speculation | None:
    if scenario.spec is None:
        return None
    known = scenario.spec in NAMED_DRAFTERS
    return Speculation(
        method=scenario.spec if known else "draft",
        tokens=scenario.spec_tokens or 3,
        acceptance=scenario.accept,
        draft_model=None if known else scenario.spec,
    )


def workload_of(scenario: Scenario, replicas: int) -> Workload:
    """The load of one of `replicas` copies: totals are split evenly, requests in flight rounded up."""
    if scenario.rate is not None:
        load, flight, rate = Load.RATE, None, scenario.rate / replicas
    elif scenario.load is LoadMode.MAX:
        load, flight, rate = Load.MAX, None, None
    else:
        load = Load.BATCH if scenario.load is LoadMode.BATCH else Load.CONCURRENCY
        flight, rate = math.ceil((scenario.requests_in_flight or 1) / replicas), None
    return Workload(
        prompt_tokens=scenario.prompt,
        output_tokens=scenario.output,
        load=load,
        concurrency=flight,
        requests_per_second=rate,
        prefix_share=scenario.prefix,
    )


def is_population(scenario: Scenario) -> bool:
    """Requests in flight, each replaced when it ends; a batch has no such share: it runs in waves."""
    return scenario.requests_in_flight is not None and scenario.load is not LoadMode.BATCH


def searches_replicas(scenario: Scenario) -> bool:
    """Whether the number of copies is open: for a rate always, for a population where the machine is chosen too (a
    machine that was named is one replica)."""
    if scenario.replicas is not None:
        return False
    named = scenario.gpu is not None or scenario.instance is not None
    return scenario.rate is not None or (is_population(scenario) and not named)


def busy_replicas(scenario: Scenario, replicas: int) -> float:
    """Replicas' worth of throughput a load draws: C / ceil(C / r), as each is estimated at the rounded-up share.

    9 requests over 8 replicas are estimated at 2 each: 4.5 replicas' worth. A rate or a maximum keeps all busy.
    """
    flight = scenario.requests_in_flight
    return float(replicas) if flight is None else flight / math.ceil(flight / replicas)
