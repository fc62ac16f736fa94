"""What is published on drafting: which models somebody drafted for, how much was kept, up to which load it paid."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from estimators.provenance import read_table

_DATA = Path(__file__).parent / "data"
_LEAST_MODELS = 3  # models a method is published for, from which it has a curve over loads


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """A published acceptance: of one model, or of any where `model` is empty (prompt look-up needs no training)."""

    method: str
    model: str
    tokens: int  # drafted per step
    per_token: float  # chance that a drafted token is kept
    head: str  # repository that drafts, where there is one
    dataset: str
    note: str
    source: str
    as_of: str

    @property
    def said(self) -> str:
        return f"{self.per_token:.2f} a token on {self.dataset} ({self.source}, {self.as_of})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """Throughput with drafting over throughput without, as published. `concurrency` None: not printed."""

    method: str
    model: str
    engine: str
    accelerator: str
    concurrency: float | None
    ratio: float
    setting: str
    source: str
    as_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """How far a published curve goes: it paid up to `pays_until` requests in flight, and from `stops_at` on it did not
    (None: no published load undid it). Beyond what was measured nothing is known."""

    pays_until: float
    ratio: float  # at `pays_until`
    stops_at: float | None
    own_model: bool
    gain: Gain  # the row at `pays_until`
    slowed: Gain | None  # the worst published slow-down of the method, where its load was not printed


def drafted_for(model: str) -> tuple[Drafted, ...]:
    """Published acceptance on this very model, prompt look-up included; one row per method."""
    name = model.partition("@")[0].lower()
    return tuple(row for row in _drafted() if row.model.lower() in ("", name))


def published_bound(method: str, model: str, engine: str) -> Bound | None:
    """The load up to which drafting is published to pay; None where no load is printed at all.

    Rows of this model come first, then of this engine. EAGLE-3 on Llama-3.1-8B in vLLM: 1.01 at 56 requests in
    flight, the last published (arXiv:2503.01840, Table 5).
    """
    rows = [gain for gain in gains() if gain.method == method]
    curve = _closest([gain for gain in rows if gain.concurrency is not None], model.partition("@")[0].lower(), engine)
    if not curve:
        return None
    curve.sort(key=lambda gain: gain.concurrency or 0.0)
    paying = [gain for before, gain in enumerate(curve) if all(g.ratio > 1.0 for g in curve[: before + 1])]
    if not paying:
        return None
    last = paying[-1]
    beyond = curve[len(paying)].concurrency if len(paying) < len(curve) else None
    unprinted = [gain for gain in rows if gain.concurrency is None and gain.ratio < 1.0]
    return Bound(
        pays_until=last.concurrency or 1.0,
        ratio=last.ratio,
        stops_at=beyond,
        own_model=last.model.lower() == model.partition("@")[0].lower(),
        gain=last,
        slowed=min(unprinted, key=lambda gain: gain.ratio, default=None),
    )


def _closest(rows: Sequence[Gain], model: str, engine: str) -> list[Gain]:
    """The curve of this model, else of Llama or whichever model has most points; in this engine where there is one."""
    names = {gain.model for gain in rows}
    own = next((name for name in names if name.lower() == model), None)
    name = own or max(sorted(names), key=lambda found: sum(gain.model == found for gain in rows), default=None)
    of_model = [gain for gain in rows if gain.model == name]
    engines = {gain.engine for gain in of_model}
    chosen = engine if engine in engines else min(engines, default="", key=lambda found: _reach(of_model, found))
    return [gain for gain in of_model if gain.engine == chosen]


def _reach(rows: Sequence[Gain], engine: str) -> tuple[float, str]:
    """How far an engine's curve goes: of two, the one that promises less is taken."""
    return max(gain.concurrency or 0.0 for gain in rows if gain.engine == engine), engine


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedUp:
    """Published speed-up of one method at a load, over every model it was published for, and its 80 % range."""

    ratio: float
    low: float
    high: float
    rows: int
    models: int


@cache
def speed_up(method: str, concurrency: float) -> SpeedUp | None:
    """ln ratio = a + b log2 N over all published pairs, each model weighing alike; None where fewer than three are.

    The range is of what the line missed on each model when it was left out. N is kept within the published loads.
    MTP at 16 requests in flight: 1.5 times, 1.3 to 2.0.
    """
    rows = [gain for gain in gains() if gain.method == method and gain.concurrency is not None]
    models = sorted({gain.model for gain in rows})
    if len(models) < _LEAST_MODELS:
        return None
    missed = sorted(
        math.log(gain.ratio) - _on(line, gain.concurrency or 1.0)
        for model in models
        for line in (_line([other for other in rows if other.model != model]),)
        for gain in rows
        if gain.model == model
    )
    loads = [gain.concurrency or 1.0 for gain in rows]
    at = _on(_line(rows), min(max(concurrency, min(loads)), max(loads)))
    low, high = missed[len(missed) // 10], missed[-1 - len(missed) // 10]
    return SpeedUp(
        ratio=math.exp(at), low=math.exp(at + min(low, 0.0)), high=math.exp(at + max(high, 0.0)), rows=len(rows),
        models=len(models),
    )  # fmt: skip


def _line(rows: Sequence[Gain]) -> tuple[float, float]:
    """Intercept and slope of ln ratio over log2 N by least squares, every model weighing alike."""
    counts = Counter(gain.model for gain in rows)
    points = [(math.log2(gain.concurrency or 1.0), math.log(gain.ratio), 1.0 / counts[gain.model]) for gain in rows]
    total = sum(w for _, _, w in points)
    x, y = (sum(point[i] * point[2] for point in points) / total for i in (0, 1))
    spread = sum(w * (u - x) ** 2 for u, _, w in points)
    slope = sum(w * (u - x) * (v - y) for u, v, w in points) / spread if spread else 0.0
    return y - slope * x, slope


def _on(line: tuple[float, float], concurrency: float) -> float:
    return line[0] + line[1] * math.log2(concurrency)


@cache
def gains() -> tuple[Gain, ...]:
    required = ("method", "model", "ratio", "setting", "source", "as_of")
    return tuple(
        Gain(
            method=row["method"],
            model=row["model"],
            engine=row["engine"],
            accelerator=row["accelerator"],
            concurrency=float(row["concurrency"]) if row["concurrency"] else None,
            ratio=float(row["ratio"]),
            setting=row["setting"],
            source=row["source"],
            as_of=row["as_of"],
        )
        for row in read_table(_DATA / "drafting_curves.csv", required=required)
    )


@cache
def _drafted() -> tuple[Drafted, ...]:
    required = ("method", "tokens", "per_token", "dataset", "source", "as_of")
    return tuple(
        Drafted(
            method=row["method"],
            model=row["model"],
            tokens=int(row["tokens"]),
            per_token=float(row["per_token"]),
            head=row["head"],
            dataset=row["dataset"],
            note=row["note"],
            source=row["source"],
            as_of=row["as_of"],
        )
        for row in read_table(_DATA / "drafting.csv", required=required)
    )
