"""Fit the operators to measured kernels: `python -m estimators.fitting.kernel_fit`, some seconds on one core.

Per operator, accelerator, engine and format a time is a start (launch, ramp, drain) plus the work over a share of the
data sheet's ceiling, the same formulas a step is made of. Writes operators.csv, each row with how far its rows are.
Robust least squares on logarithms, pulled gently towards what operators usually reach, so that a parameter the
rows do not speak of stays where it is.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from estimators.engines.paths import Path as FormatPath
from estimators.fitting.kernels_measured import L2_BYTES, WIDTH, Kernel, kernels, peak_of
from estimators.fitting.tables import LATENCY_TABLES, write_table
from estimators.hardware.catalogue import accelerators
from estimators.latency.numeric import smooth_max
from estimators.latency.operators import OPERATORS

Array = NDArray[np.float64]
_ACTIVATION = {
    FormatPath.W8A16: 2.0,
    FormatPath.W4A16: 2.0,
}  # bytes of an input element where they are not the weight's
_SCATTER = 0.12  # logarithm by which kernels differ from smooth curves (tiles, heuristics)
_PULL = 0.5  # weight of the pull, in rows
_UNEVEN = 1.5  # gamma shape of the power law the uneven rows were drawn from, as their touched experts show


def fit(predict: Callable[[Array], Array], seconds: Array, usual: Sequence[float], wide: Sequence[float]) -> Array:
    """Parameters on the real line that bring log(predict) to log(seconds), by damped Gauss-Newton."""
    target, centre, spread = np.log(seconds), np.array(usual), np.array(wide)

    def misses(x: Array) -> Array:
        fitted: Array = (np.log(predict(x)) - target) / _SCATTER
        return np.concatenate([fitted, math.sqrt(_PULL) * (x - centre) / spread])

    def loss(r: Array) -> float:
        return float(np.sum(np.log1p(r * r / 4.0)))

    x = centre.copy()
    found, damping = misses(x), 1e-2
    best = loss(found)
    for _ in range(60):
        slopes = np.stack([(misses(x + 1e-4 * step) - found) / 1e-4 for step in np.eye(len(x))], axis=1)
        weight = 1.0 / (4.0 + found * found)
        normal, right = slopes.T @ (weight[:, None] * slopes), slopes.T @ (weight * found)
        for _ in range(8):
            move = np.clip(np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -right), -1.0, 1.0)
            trial = misses(x + move)
            gain = best - loss(trial)
            if gain > 0.0:
                x, found, best, damping = x + move, trial, best - gain, 0.3 * damping
                break
            damping *= 4.0
        if gain < 1e-6 * best:
            break
    return x


def logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


def _column(rows: Sequence[Kernel], name: str) -> Array:
    return np.array([float(row[name]) for row in rows])


# Each returns (predict, usual values on the real line, spreads); parameters: log start us, logit memory, logit
# compute, log of the operator's length (tokens of a tile), log of what the cache reads faster.
Curve = tuple[Callable[[Array], Array], tuple[float, ...], tuple[float, ...]]
_MEMORY, _COMPUTE = math.log(0.8 / 0.2), math.log(0.55 / 0.45)


def _share(x: Array, i: int) -> float:
    return logistic(float(x[i]))


def product_curve(rows: Sequence[Kernel]) -> Curve:
    """start + max(bytes / (BW e_mem), 2 n k (m + tile) / (peak e_flop))."""
    chip, form = accelerators()[str(rows[0]["chip"])], str(rows[0]["format"])
    m, n, k = (_column(rows, name) for name in "mnk")
    stored = n * k * WIDTH[form]
    size = stored + m * k * _ACTIVATION.get(FormatPath(form), WIDTH[form]) + 2.0 * m * n
    cached = stored < L2_BYTES[chip.name]
    peak, bandwidth = peak_of(chip, form), chip.bandwidth_bytes_per_s or 1.0

    def predict(x: Array) -> Array:
        reach = _share(x, 1) * np.where(cached, 1.0 + math.exp(x[4]), 1.0)
        flops = 2.0 * n * k * (m + math.exp(x[3]))
        found: Array = 1e-6 * math.exp(x[0]) + smooth_max(size / (bandwidth * reach), flops / (peak * _share(x, 2)))
        return found

    return predict, (math.log(5.0), _MEMORY, _COMPUTE, math.log(16.0), -1.5), (0.5, 0.5, 0.7, 1.0, 1.5)


def decode_curve(rows: Sequence[Kernel]) -> Curve:
    """start + max(cache bytes / (BW e_mem), pairs / (peak e_flop))."""
    chip = accelerators()[str(rows[0]["chip"])]
    width = 1.0 if rows[0]["kv"] == FormatPath.FP8 else 2.0
    held = _column(rows, "requests") * _column(rows, "context")
    latent = bool(rows[0]["latent"])
    size = held * _column(rows, "kv_heads") * _column(rows, "head_dim") * width * (1.0 if latent else 2.0)
    flops = held * _column(rows, "heads") * (2.0 * 1088.0 if latent else 4.0 * _column(rows, "head_dim"))
    cached = size < L2_BYTES[chip.name]
    peak, bandwidth = chip.flops_16bit or 1.0, chip.bandwidth_bytes_per_s or 1.0

    def predict(x: Array) -> Array:
        reach = _share(x, 1) * np.where(cached, 1.0 + math.exp(x[4]), 1.0)
        found: Array = 1e-6 * math.exp(x[0]) + smooth_max(size / (bandwidth * reach), flops / (peak * _share(x, 2)))
        return found

    return predict, (math.log(12.0), _MEMORY, math.log(0.1 / 0.9), 0.0, -1.0), (0.5, 0.5, 1.0, 0.01, 1.5)


def prompt_curve(rows: Sequence[Kernel]) -> Curve:
    """start + 2 N (H + Hv) P (P + length) / 2 / (peak e_flop), the half for the causal mask."""
    chip = accelerators()[str(rows[0]["chip"])]
    length = _column(rows, "prompt")
    pairs = 2.0 * _column(rows, "requests") * _column(rows, "heads") * _column(rows, "head_dim") * length
    peak = chip.flops_16bit or 1.0

    def predict(x: Array) -> Array:
        found: Array = 1e-6 * math.exp(x[0]) + pairs * (length + math.exp(x[3])) / (peak * _share(x, 2))
        return found

    return predict, (math.log(15.0), 0.0, 0.2, math.log(600.0), 0.0), (0.5, 0.01, 0.7, 0.7, 0.01)


def expert_curve(rows: Sequence[Kernel]) -> Curve:
    """start + max(bytes of the touched / (BW e_mem), 2 elements (their tokens + a tile each) / (peak e_flop))."""
    chip, form = accelerators()[str(rows[0]["chip"])], str(rows[0]["format"])
    tokens, ratio = _column(rows, "tokens"), _column(rows, "top_k") / _column(rows, "experts")
    elements = 3.0 * _column(rows, "hidden") * _column(rows, "width") / _column(rows, "tp")
    later = ratio * np.maximum(tokens - 1.0, 0.0)
    uneven = ratio + (1.0 - ratio) * (1.0 - (1.0 + later / _UNEVEN) ** -_UNEVEN)
    touched = np.where(_column(rows, "uneven") > 0.0, uneven, np.minimum(1.0, tokens * ratio)) * _column(
        rows, "experts"
    )
    routed = tokens * _column(rows, "top_k")
    size = touched * elements * WIDTH[form] + 4.0 * _column(rows, "hidden") * routed
    peak, bandwidth = peak_of(chip, form), chip.bandwidth_bytes_per_s or 1.0

    def predict(x: Array) -> Array:
        flops = 2.0 * elements * (routed + touched * math.exp(x[3]))
        found: Array = 1e-6 * math.exp(x[0]) + smooth_max(
            size / (bandwidth * _share(x, 1)), flops / (peak * _share(x, 2))
        )
        return found

    return predict, (math.log(25.0), _MEMORY, -0.5, math.log(64.0), 0.0), (0.5, 0.5, 0.7, 0.7, 0.01)


def reduce_curve(rows: Sequence[Kernel]) -> Curve:
    """start + bytes over one GPU's link, one way, / (link share): 2 (n - 1) / n of the message."""
    chip, gpus = accelerators()[str(rows[0]["chip"])], float(rows[0]["gpus"])
    moved = 2.0 * _column(rows, "elements") * 2.0 * (gpus - 1.0) / gpus
    link = (chip.link_bytes_per_s or 64e9) / 2.0

    def predict(x: Array) -> Array:
        found: Array = 1e-6 * math.exp(x[0]) + moved / (link * _share(x, 1))
        return found

    return predict, (math.log(6.0), 0.4, 0.0, 0.0, 0.0), (0.7, 1.0, 0.01, 0.01, 0.01)


def _attention_form(row: Kernel) -> str:
    return f"latent-{row['kv']}" if row["latent"] else str(row["kv"])


_CURVES: dict[str, tuple[str, Callable[[Kernel], str], Callable[[Sequence[Kernel]], Curve]]] = {
    "product": ("products", lambda row: str(row["format"]), product_curve),
    "expert": ("experts", lambda row: str(row["format"]), expert_curve),
    "cache": ("decode_attention", _attention_form, decode_curve),
    "prompt": ("prompt_attention", _attention_form, prompt_curve),
    "all_reduce": ("all_reduce", lambda row: f"{float(row['gpus']):.0f}", reduce_curve),
}


def operator_rows() -> list[tuple[object, ...]]:
    """operator, chip, engine, format, its four parameters, rows and median distance, one line per group of rows."""
    found: list[tuple[object, ...]] = []
    for operator in OPERATORS:
        table, form_of, curve = _CURVES[operator]
        groups: dict[tuple[str, str, str], list[Kernel]] = defaultdict(list)
        for row in kernels(table):
            groups[str(row["chip"]), str(row["engine"]), form_of(row)].append(row)
        for key, rows in sorted(groups.items()):
            predict, usual, wide = curve(rows)
            seconds = _column(rows, "latency_us") * 1e-6
            x = fit(predict, seconds, usual, wide)
            off = float(np.median(np.abs(np.log(predict(x) / seconds))))
            found.append((
                operator, *key, f"{math.exp(x[0]):.3f}", f"{_share(x, 1):.4f}", f"{_share(x, 2):.4f}",
                f"{math.exp(x[3]):.2f}", len(rows), f"{off:.3f}",
            ))  # fmt: skip
    return found


def write_operators(today: str) -> None:
    header = ("operator", "chip", "engine", "format", "start_us", "memory", "compute", "length", "rows", "median_off",
              "source", "as_of")  # fmt: skip
    lines = [(*line, "fit to fitting/data/kernels", today) for line in operator_rows()]
    write_table(LATENCY_TABLES / "operators.csv", header, lines)


if __name__ == "__main__":
    write_operators(date.today().isoformat())  # noqa: DTZ011
