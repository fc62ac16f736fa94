"""How long recommendations take: figures to read, not assertions. `python -m tests.bench_decisions`.

Each question is the first of a process of its own, with the tables read and nothing worked out; then it is asked again
with a change of limit, as a person moving a box does.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from dataclasses import replace

from app.planning.planner import plan
from app.planning.quality_bar import comparable
from app.planning.question import QualityBar, Question
from app.planning.recommend import recommend
from app.scenario import Scenario
from app.sources import shared_sources
from estimators.architecture import catalogue
from estimators.precision import Weights
from estimators.quality.tasks import Task
from pricing.offers import PurchaseOption

RAG = Scenario(rate=20, prompt=4096, output=256, prefix=0.1, ttft=1.0)
SMALL, LARGE = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"
OTHER = "Qwen/Qwen3-8B"


def questions() -> dict[str, Question]:
    ids = tuple(entry.id for entry in catalogue.entries())
    measured = comparable(ids, LARGE, Task.INSTRUCTION_FOLLOWING)
    bar = QualityBar(task=Task.INSTRUCTION_FOLLOWING, reference=LARGE, minimum_ratio=0.99)
    every = tuple(weights for weights in Weights if weights is not Weights.FP32)
    pay = tuple(PurchaseOption)
    drafting = replace(RAG, tpot=0.02)
    return {
        "one model, usual precisions, all ways to pay": Question(scenario=RAG, models=(SMALL,), options=pay),
        "one model, every precision, all ways to pay": Question(
            scenario=RAG, models=(SMALL,), options=pay, weights=every
        ),
        "the same, with a limit per token (speculation)": Question(
            scenario=drafting, models=(SMALL,), options=pay, weights=every
        ),
        "20 models, usual precisions, on demand": Question(scenario=RAG, models=measured[:20]),
        "the same, with a limit per token": Question(scenario=drafting, models=measured[:20]),
        "the same, with a limit nothing meets": Question(scenario=replace(RAG, tpot=1e-4), models=measured[:20]),
        f"{len(measured)} models against a quality bar": Question(scenario=RAG, models=measured, bar=bar),
    }


def timed(what: str) -> tuple[float, float, int, int]:
    """(seconds of the first answer of this process, of the next, candidates, those that draft)."""
    question, sources = questions()[what], shared_sources()
    plan(Scenario(model=OTHER, rate=1), sources)  # reads the tables
    for model in question.models:
        sources.spec(model)
    started = time.perf_counter()
    answer = recommend(question, sources)
    first = time.perf_counter() - started
    moved = replace(question, scenario=replace(question.scenario, ttft=1.5))
    started = time.perf_counter()
    recommend(moved, sources)
    return first, time.perf_counter() - started, answer.weighed, answer.drafting


def bench_decisions() -> Iterator[tuple[str, str]]:
    """(what, how long and how many candidates) for one model, twenty, and the walk of the README."""
    fresh = multiprocessing.get_context("spawn")
    for what in questions():
        with fresh.Pool(1) as pool:
            first, again, weighed, drafting = pool.apply(timed, (what,))
        drafted = f", {drafting:,} of them drafting" if drafting else ""
        yield what, f"first {first:.2f} s, again {again:.2f} s, {weighed:,} candidates{drafted}"


if __name__ == "__main__":
    for name, figure in bench_decisions():
        print(f"{name:<50} {figure}", flush=True)
