"""GuideLLM reports of 0.2 to 0.8, read by key: their own loader refuses the older ones.

Inter-token latency is (last token - first token) / (n - 1). The key `time_per_output_token_ms` includes the time to
the first token from 0.5 on and does not before, so it is never read. A report whose every request failed looks
normal and holds zeros: counts decide what is used.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from estimators.measuring.foreign import ForeignInput, at, count, number, read_json, text
from estimators.measuring.measurement import DeviceFacts, Measurement, RepeatedReadings, Way
from estimators.precision import Weights
from estimators.workload import Engine

MAX_LEVELS = 200  # load levels in one report
_FIELD = "report"
_MILLISECOND = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadLevel:
    """One load level of a report."""

    streams: int | None  # requests in flight, where the strategy fixes them
    successful: int
    errored: int
    incomplete: int
    prompt_tokens: int
    output_tokens: int
    ttft_s: RepeatedReadings | None
    itl_s: RepeatedReadings | None
    e2e_s: RepeatedReadings | None
    output_tok_per_s: float | None
    mean_concurrency: float | None
    started: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GuideReport:
    """What a GuideLLM report says. Machine, engine and precision it does not know: a person states them."""

    version: str  # of GuideLLM, as far as the file tells
    model: str
    levels: tuple[LoadLevel, ...]
    notes: tuple[str, ...]

    def measurements(
        self,
        *,
        engine: Engine,
        weights: Weights,
        accelerator: str = "",
        gpus: int = 1,
        engine_version: str = "",
        model: str = "",
    ) -> tuple[Measurement, ...]:
        """One measurement per load level that answered."""
        return tuple(
            Measurement(
                id=uuid.uuid4().hex,
                way=Way.REPORT,
                model=model or self.model or "unknown",
                engine=engine,
                engine_version=engine_version,
                accelerator=accelerator,
                gpus=gpus,
                device=DeviceFacts(name=accelerator, kind="server"),
                weights=weights,
                prompt_tokens=level.prompt_tokens,
                output_tokens=level.output_tokens,
                batch=level.streams or max(1, round(level.mean_concurrency or 1.0)),
                ttft_s=level.ttft_s,
                itl_s=level.itl_s,
                e2e_s=level.e2e_s,
                output_tok_per_s=_single(level.output_tok_per_s, level.successful),
                measured_at=level.started or datetime.now(UTC),
                provenance=f"GuideLLM {self.version} report, {level.successful} requests",
                notes=self.notes + _level_notes(level),
            )
            for level in self.levels
        )


def read_guidellm(document: str | bytes) -> GuideReport:
    """The load levels of a report. Raises `ForeignInput` for anything else, and for one with no successful request."""
    report = read_json(document, field=_FIELD)
    benchmarks = report.get("benchmarks")
    if not isinstance(benchmarks, list):
        raise ForeignInput(
            "The JSON holds no GuideLLM benchmarks.", field=_FIELD, remedy="Give the file that GuideLLM wrote as json."
        )
    if not benchmarks or len(benchmarks) > MAX_LEVELS:
        raise ForeignInput(f"A report should hold 1 to {MAX_LEVELS} benchmarks.", field=_FIELD)
    levels = tuple(level for level in map(_level, benchmarks) if level is not None)
    failed = len(benchmarks) - len(levels)
    if not levels:
        raise ForeignInput(_all_failed(benchmarks), field=_FIELD, remedy="Check server and model, then run again.")
    notes = (f"{failed} of {len(benchmarks)} load levels had no successful request.",) if failed else ()
    return GuideReport(version=_version(report), model=_model(report, benchmarks[0]), levels=levels, notes=notes)


def _version(report: Mapping[str, object]) -> str:
    stated = text(at(report, "metadata", "guidellm_version"), 20)
    return stated or ("0.2 or 0.3" if "metadata" not in report else "of an unknown version")


def _model(report: Mapping[str, object], benchmark: object) -> str:
    paths = (
        ("config", "backend", "model"),
        ("worker", "backend_model"),
    )
    found = next((name for path in paths if (name := text(at(benchmark, *path), 120))), "")
    return (
        found or text(at(report, "config", "spec", "backend", "model"), 120) or text(at(report, "args", "model"), 120)
    )


def _totals(benchmark: object) -> Mapping[str, object]:
    for path in (("metrics", "request_totals"), ("request_totals",)):
        found = at(benchmark, *path)
        if isinstance(found, Mapping):
            return found
    return {}


def _level(benchmark: object) -> LoadLevel | None:
    """One load level; None when no request of it succeeded."""
    totals = _totals(benchmark)
    successful = count(totals.get("successful")) or 0
    metrics = at(benchmark, "metrics")
    prompt = number(at(metrics, "prompt_token_count", "successful", "mean"))
    output = number(at(metrics, "output_token_count", "successful", "mean"))
    if not successful or not prompt or not output or max(prompt, output) > 1e7:
        return None
    strategy = at(benchmark, "config", "strategy") or at(benchmark, "args", "strategy")
    streams = count(at(strategy, "streams"))
    if streams is None and at(strategy, "type_") == "synchronous":
        streams = 1
    return LoadLevel(
        streams=streams if streams and streams <= 1_000_000 else None,
        successful=successful,
        errored=count(totals.get("errored")) or 0,
        incomplete=count(totals.get("incomplete")) or 0,
        prompt_tokens=max(1, round(prompt)),
        output_tokens=max(1, round(output)),
        ttft_s=_distribution(at(metrics, "time_to_first_token_ms", "successful"), _MILLISECOND, successful),
        itl_s=_distribution(at(metrics, "inter_token_latency_ms", "successful"), _MILLISECOND, successful),
        e2e_s=_distribution(at(metrics, "request_latency", "successful"), 1.0, successful),
        output_tok_per_s=number(at(metrics, "output_tokens_per_second", "successful", "mean")) or None,
        mean_concurrency=number(at(metrics, "request_concurrency", "successful", "mean")),
        started=_moment(at(benchmark, "start_time")),
    )


def _distribution(found: object, unit: float, requests: int) -> RepeatedReadings | None:
    """A distribution over requests; None where nothing was counted. Token-weighted counts are capped to requests."""
    keys = ("median", "min", "max", "mean", "std_dev")
    median, low, high, mean, deviation = (number(at(found, key)) for key in keys)
    counted = count(at(found, "count"))
    if not counted or not median or not low or not high or not mean or deviation is None or not low <= median <= high:
        return None
    spread = RepeatedReadings(median=median, low=low, high=high, cv=deviation / mean, n=min(counted, requests))
    return spread.scaled(unit)


def _single(value: float | None, n: int) -> RepeatedReadings | None:
    return None if not value else RepeatedReadings(median=value, low=value, high=value, cv=0.0, n=n)


def _moment(seconds: object) -> datetime | None:
    found = number(seconds)
    return datetime.fromtimestamp(found, UTC) if found and found < 4e9 else None


def _level_notes(level: LoadLevel) -> tuple[str, ...]:
    lost = level.errored + level.incomplete
    return (f"{lost} of {lost + level.successful} requests failed or were cut off.",) if lost else ()


def _all_failed(benchmarks: list[object]) -> str:
    asked = sum(count(_totals(benchmark).get("total")) or 0 for benchmark in benchmarks)
    first = next((text(found) for b in benchmarks if (found := at(b, "requests", "errored", 0, "info", "error"))), "")
    reason = f" The first error: {first}" if first else ""
    return f"None of the {asked} requests of this report succeeded, so its figures are zeros.{reason}"
