"""How long recommendations take: figures to read, not assertions. `python -m tests.bench_decisions`."""

from __future__ import annotations

import time
from collections.abc import Iterator

from app.decisions.layouts import forget_layouts
from app.decisions.quality_bar import comparable
from app.decisions.question import QualityBar, Question
from app.decisions.recommend import recommend
from app.scenario import Scenario
from app.sources import shared_sources
from estimators.architecture import catalogue
from estimators.precision import Weights
from estimators.quality.tasks import Task
from pricing.offers import PurchaseOption

RAG = Scenario(rate=20, prompt=4096, output=256, prefix=0.1, ttft=1.0)
SMALL, LARGE = "meta-llama/Llama-3.1-8B-Instruct", "meta-llama/Llama-3.1-70B-Instruct"


def bench_decisions() -> Iterator[tuple[str, str]]:
    """(what, how long and how many candidates) for one model, twenty, and the walk of the README."""
    sources, ids = shared_sources(), tuple(entry.id for entry in catalogue.entries())
    measured = comparable(ids, LARGE, Task.INSTRUCTION_FOLLOWING)
    bar = QualityBar(task=Task.INSTRUCTION_FOLLOWING, reference=LARGE, minimum_ratio=0.99)
    every = tuple(weights for weights in Weights if weights is not Weights.FP32)
    pay = tuple(PurchaseOption)
    questions = {
        "one model, usual precisions, all ways to pay": Question(scenario=RAG, models=(SMALL,), options=pay),
        "one model, every precision, all ways to pay": Question(
            scenario=RAG, models=(SMALL,), options=pay, weights=every
        ),
        "20 models, usual precisions, on demand": Question(scenario=RAG, models=measured[:20]),
        f"{len(measured)} models against a quality bar": Question(scenario=RAG, models=measured, bar=bar),
    }
    recommend(Question(scenario=RAG, models=("Qwen/Qwen3-8B",)), sources)  # tables and rates are read once
    for what, question in questions.items():
        forget_layouts()
        times = []
        for _ in range(4):
            started = time.perf_counter()
            answer = recommend(question, sources)
            times.append(time.perf_counter() - started)
        again = min(times[1:])
        yield what, f"first {times[0]:.2f} s, again {again:.2f} s, {answer.weighed:,} candidates"


if __name__ == "__main__":
    for name, figure in bench_decisions():
        print(f"{name:<58} {figure}", flush=True)
