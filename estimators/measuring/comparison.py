"""Estimated against measured: ratios, a plain verdict, and what a million tokens cost on the evidence."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from estimators.latency.estimate import TIMES, Interval
from estimators.measuring.measurement import Measurement, RepeatedReadings
from estimators.measuring.narrowing import spreads

CLOSE = 0.25  # the difference that is still called close; the project's target for estimates of a benchmarked device


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One quantity, SI units (dollars for a cost). None is unknown."""

    key: str  # "ttft_s", "itl_s", "output_tok_per_s", "memory_bytes", "usd_per_million_output_tokens"
    label: str
    estimated: Interval | None
    measured: float | None
    low: float | None = None  # smallest and largest reading
    high: float | None = None
    unstable: bool = False

    @property
    def ratio(self) -> float | None:
        """Measured over estimated: 1.2 is a fifth more than estimated."""
        if self.measured is None or self.estimated is None or self.estimated.value <= 0:
            return None
        return self.measured / self.estimated.value


def around_device_estimate(value: float) -> Interval:
    """80 % interval of an estimate from a micro-benchmark: value e^(+-s)."""
    factor = 1 + spreads()["device_estimate"]
    return Interval(value=value, low=value / factor, high=value * factor)


def compare(
    measurement: Measurement,
    *,
    ttft_s: Interval | None = None,
    itl_s: Interval | None = None,
    output_tok_per_s: Interval | None = None,
    memory_bytes: Interval | None = None,
    usd_per_million: Callable[[float], Decimal] | None = None,
) -> tuple[Comparison, ...]:
    """Each quantity that was measured, beside its estimate. `usd_per_million` prices tokens a second on the machine
    that was measured."""
    rows = [
        _row("ttft_s", TIMES["ttft"], ttft_s, measurement.ttft_s),
        _row("itl_s", TIMES["tpot"], itl_s, measurement.itl_s),
        _row("output_tok_per_s", "Output tokens per second", output_tok_per_s, measurement.output_tok_per_s),
        Comparison(
            key="memory_bytes",
            label="Peak memory",
            estimated=memory_bytes,
            measured=None if measurement.peak_memory_bytes is None else float(measurement.peak_memory_bytes),
        ),
    ]
    if usd_per_million is not None and measurement.output_tok_per_s is not None:
        rows.append(_cost(usd_per_million, measurement.output_tok_per_s, output_tok_per_s))
    return tuple(row for row in rows if row.measured is not None)


def _row(key: str, label: str, estimated: Interval | None, measured: RepeatedReadings | None) -> Comparison:
    if measured is None:
        return Comparison(key=key, label=label, estimated=estimated, measured=None)
    return Comparison(
        key=key, label=label, estimated=estimated, measured=measured.median, low=measured.low, high=measured.high,
        unstable=measured.n > 1 and measured.cv > 0.10,
    )  # fmt: skip


def _cost(
    usd_per_million: Callable[[float], Decimal], measured: RepeatedReadings, estimated: Interval | None
) -> Comparison:
    """Fast is cheap: the dearest million is that of the slowest reading."""

    def at(rate: float) -> float:
        return float(usd_per_million(rate))

    interval = None
    if estimated is not None and estimated.low > 0:
        interval = Interval(value=at(estimated.value), low=at(estimated.high), high=at(estimated.low))
    return Comparison(
        key="usd_per_million_output_tokens",
        label="Dollars per million output tokens",
        estimated=interval,
        measured=at(measured.median),
        low=at(measured.high),
        high=at(measured.low),
    )


def verdict(rows: Sequence[Comparison], measurement: Measurement) -> str:
    """One or two sentences a manager can act on."""
    judged = [row for row in rows if row.ratio is not None and row.key in ("ttft_s", "itl_s", "memory_bytes")]
    if not judged:
        said = "There is no estimate to compare with."
    else:
        worst = max(judged, key=lambda row: abs((row.ratio or 1.0) - 1.0))
        ratio = worst.ratio or 1.0
        if abs(ratio - 1.0) <= CLOSE:
            said = f"The estimate holds: {worst.label.lower()} is furthest off, at {ratio:.2f} times the estimate."
        else:
            side = "more" if ratio > 1 else "less"
            said = f"{worst.label} is {ratio:.2f} times the estimate, {side} than expected: plan with the measurement."
    if measurement.unstable:
        said += " The run was unstable (readings spread by more than 10 %): measure again on a quiet machine."
    if measurement.scaled:
        said += f" Only {measurement.layers_measured} of {measurement.layers_total} layers ran."
    return said


def vllm_serve_line(model: str, *, tp: int = 1, max_model_len: int | None = None, weights: str = "") -> str:
    """The command that serves a model with random weights, ready to copy: nothing is downloaded but its config.

    `--load-format dummy` was read in vLLM 0.32; prefix caching would hide the prefill and is off.
    """
    dtype = {"fp16": "float16", "bf16": "bfloat16", "fp32": "float32"}.get(weights, "auto")
    words = ["vllm", "serve", model, "--load-format", "dummy", "--dtype", dtype, "--no-enable-prefix-caching"]
    if weights == "fp8":
        words += ["--quantization", "fp8"]
    if tp > 1:
        words += ["--tensor-parallel-size", str(tp)]
    if max_model_len is not None:
        words += ["--max-model-len", str(max_model_len)]
    return shlex.join(words)
