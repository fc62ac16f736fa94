"""Latency and throughput of a running server over a sweep of concurrencies, each a closed population of requests."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from estimators.measuring.measurement import DeviceFacts, Measurement, RepeatedReadings, Way
from estimators.measuring.server.connection import ServerFailure
from estimators.measuring.server.endpoint import Client, Reply
from estimators.measuring.server.exposition import kv_usage_share, own_words
from estimators.measuring.server.prompts import synthetic_prompt, words_for
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.workload import Engine

PROBE_WORDS = (32, 160)
POLL_S = 1.0  # vLLM refreshes its gauges about once a second
MOST_REQUESTS = 5_000  # of one sweep

Progress = Callable[[float, str], None]


class EndpointUnusable(Refusal):
    """The server was reached, or not, and nothing of it could be measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPlan:
    """What to ask of the server, and what a person says of it: machine and precision a server does not tell."""

    model: str = ""  # empty takes the only model the server lists
    prompt_tokens: int
    output_tokens: int
    concurrencies: tuple[int, ...] = (1, 4, 16)
    requests_per_stream: int = 4
    seconds_per_level: float = 120.0
    engine: Engine = Engine.VLLM
    weights: Weights = Weights.AS_PUBLISHED
    accelerator: str = ""
    gpus: int = 1
    # Another each time: a server that caches prompts would know them from the last.
    seed: int = field(default_factory=lambda: random.randrange(1, 1_000_000))  # noqa: S311


@dataclass
class _Level:
    """One concurrency under way."""

    readings: list[Reply] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    drained: float | None = None  # when the first stream found no request left
    kv_share: float | None = None
    own_words: str = ""  # of the server on itself
    lock: threading.Lock = field(default_factory=threading.Lock)


def sweep(client: Client, plan: SweepPlan, shown: str, progress: Progress) -> tuple[Measurement, ...]:
    """One measurement per concurrency that answered; raises `EndpointUnusable` when none did."""
    check_plan(plan)
    progress(0.0, "asking the server for its model")
    try:
        model, words, served_prompt = probed(client, plan)
    except ServerFailure as failure:
        raise EndpointUnusable(str(failure), field="endpoint", remedy="Check that the server runs.") from None
    version, made, last_failure = client.version(), [], ""
    for position, concurrency in enumerate(plan.concurrencies):
        progress(position / len(plan.concurrencies), f"{concurrency} requests in flight")
        level = _run_level(client, plan, model, words, concurrency)
        if not level.readings:
            last_failure = level.failures[0] if level.failures else "No request was answered in time."
            break  # more requests at once will not do better
        made.append(_measurement(plan, model, version, shown, concurrency, level, served_prompt))
    if not made:
        raise EndpointUnusable(last_failure, field="endpoint", remedy="Try fewer requests in flight or fewer tokens.")
    progress(1.0, "done")
    return tuple(made)


def check_plan(plan: SweepPlan) -> None:
    """Raises `EndpointUnusable` for a sweep that measures nothing, or sends too much."""
    if plan.prompt_tokens < 1 or plan.output_tokens < 2:
        raise EndpointUnusable("A sweep needs a prompt token and two output tokens or more.", field="output")
    asked = sum(plan.concurrencies) * plan.requests_per_stream
    if not plan.concurrencies or min(plan.concurrencies) < 1 or asked > MOST_REQUESTS:
        raise EndpointUnusable(
            f"The sweep would send {asked:,} requests.",
            field="concurrency",
            remedy=f"At most {MOST_REQUESTS:,} are sent.",
        )


def _only_model(client: Client) -> str:
    models: tuple[str, ...] = ()
    try:
        models = client.models()
    except ServerFailure as failure:
        if not str(failure).startswith("The server answered"):  # transformers serve answers 500 without a Hub cache
            raise
    if len(models) == 1:
        return models[0]
    if not models:
        raise ServerFailure("The server lists no model; name one.")
    raise ServerFailure(f"The server has several models; name one of {', '.join(models[:8])}.")


def probed(client: Client, plan: SweepPlan) -> tuple[str, int, int | None]:
    """The model's served name; words that make the prompt length, learnt from two short answers that also warm the
    server up; and that length where the server counts it."""
    model = plan.model or _only_model(client)
    counted = []
    for position, words in enumerate(PROBE_WORDS):
        reading = client.complete(model, synthetic_prompt(words, plan.seed + position), 2)
        counted.append((words, reading.prompt_tokens))
    (few, few_tokens), (many, many_tokens) = counted
    if few_tokens is None or many_tokens is None:
        return model, plan.prompt_tokens, None
    words = words_for(plan.prompt_tokens, short=(few, few_tokens), long=(many, many_tokens))
    client.complete(model, synthetic_prompt(words, plan.seed + 2), 2)  # the first prompt of this length is slower
    return model, words, plan.prompt_tokens


def _run_level(client: Client, plan: SweepPlan, model: str, words: int, concurrency: int) -> _Level:
    level = _Level()
    left = list(range(concurrency * plan.requests_per_stream))
    over = time.perf_counter() + plan.seconds_per_level

    def stream() -> None:
        while True:
            with level.lock:
                if not left or time.perf_counter() > over or len(level.failures) > concurrency:
                    level.drained = level.drained or time.perf_counter()
                    return
                number = left.pop()
            # Distinct for every request of every level: no cached prefix to hit.
            seed = plan.seed + 1_000 + 1_000_003 * concurrency + number
            try:
                reading = client.complete(model, synthetic_prompt(words, seed), plan.output_tokens)
            except ServerFailure as failure:
                with level.lock:
                    level.failures.append(str(failure))
                continue
            with level.lock:
                level.readings.append(reading)

    before = client.metrics()
    threads = [threading.Thread(target=stream, daemon=True) for _ in range(concurrency)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        share = kv_usage_share(client.metrics())
        if share is not None:
            level.kv_share = max(share, level.kv_share or 0.0)
        until = time.perf_counter() + POLL_S
        for thread in threads:
            thread.join(max(0.0, until - time.perf_counter()))
    level.own_words = own_words(before, client.metrics()) if before else ""
    return level


def throughput(readings: Sequence[Reply], until: float) -> float:
    """Output tokens a second while every stream was busy: tokens that arrived by `until` / (until - first request).

    A piece counts its share of the answer's tokens, so an answer cut by `until` counts in part.
    """
    started = min(reading.sent for reading in readings)
    tokens = sum(
        reading.output_tokens * sum(moment <= until for moment in reading.pieces) / len(reading.pieces)
        for reading in readings
    )
    return tokens / (until - started)


def _measurement(
    plan: SweepPlan, model: str, version: str, shown: str, concurrency: int, level: _Level, served_prompt: int | None
) -> Measurement:
    readings = level.readings
    gaps = [gap for reading in readings if (gap := reading.itl_s)]
    until = level.drained if level.drained is not None else max(reading.last for reading in readings)
    rate = throughput(readings, max(until, min(reading.last for reading in readings)))
    prompts = [reading.prompt_tokens for reading in readings if reading.prompt_tokens]
    outputs = sum(reading.output_tokens for reading in readings) / len(readings)
    return Measurement(
        id=uuid.uuid4().hex,
        way=Way.ENDPOINT,
        model=model,
        engine=plan.engine,
        engine_version=version,
        accelerator=plan.accelerator,
        gpus=plan.gpus,
        device=DeviceFacts(name=plan.accelerator, kind="server"),
        weights=plan.weights,
        prompt_tokens=round(sum(prompts) / len(prompts)) if prompts else plan.prompt_tokens,
        output_tokens=max(1, round(outputs)),
        batch=concurrency,
        ttft_s=RepeatedReadings.of([reading.ttft_s for reading in readings]),
        itl_s=RepeatedReadings.of(gaps) if gaps else None,
        e2e_s=RepeatedReadings.of([reading.e2e_s for reading in readings]),
        output_tok_per_s=RepeatedReadings(median=rate, low=rate, high=rate, cv=0.0, n=len(readings)),
        kv_usage_share=level.kv_share,
        measured_at=datetime.now(UTC),
        provenance=f"{len(readings)} streamed requests to {shown}",
        notes=_notes(plan, level, served_prompt, concurrency),
    )


def _notes(plan: SweepPlan, level: _Level, served_prompt: int | None, concurrency: int) -> tuple[str, ...]:
    notes = []
    if level.failures:
        notes.append(f"{len(level.failures)} requests failed: {level.failures[0]}")
    if not all(reading.counted_by_server for reading in level.readings):
        notes.append("The server reports no usage: pieces of the stream were taken for tokens.")
    if served_prompt is None:
        notes.append("The server does not count prompt tokens: a word was taken for a token.")
    if any(reading.output_tokens < plan.output_tokens for reading in level.readings):
        notes.append(f"Some answers ended before the {plan.output_tokens} tokens they were asked for.")
    if concurrency > 1:
        notes.append(
            "Requests of one length end together and come together: their first tokens take up to twice as long as in "
            "traffic, whose lengths vary and which an estimate is of."
        )
    if level.own_words:
        notes.append(level.own_words)
    return tuple(notes)
