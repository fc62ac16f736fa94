"""Chinchilla-type scaling laws: how loss follows size and data, and what size a lifetime of serving wants."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from estimators.provenance import Refusal, read_table
from estimators.quality.tasks import DATA

DEFAULT_LAW = "epoch"
# Sardana et al. 2024 (arXiv:2401.00448) trained up to this many tokens per parameter; beyond it nobody checked.
TOKENS_PER_PARAMETER_CHECKED = 10_000
# What the constants were fitted on: Hoffmann et al. 2022 trained models to 16e9 parameters on up to 5e11 tokens.
LARGEST_FITTED, MOST_TOKENS_FITTED = 16e9, 5e11
CHINCHILLA = (70e9, 1.4e12)  # parameters and tokens of the real one (Hoffmann et al. 2022)
CHINCHILLA_TOLERANCE = 0.06  # within which the default law's optimum for its budget lies, of either
SMALLEST_BUDGET, LARGEST_BUDGET = 1e17, 1e28  # FLOP; outside these nobody trains or has trained a language model
TRAINING_FLOPS = 6  # per parameter and token: C = 6 N D (Hoffmann et al. 2022)
INFERENCE_FLOPS = 2  # per parameter and token: C = 2 N T (Sardana et al. 2024)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingLaw:
    """L(N, D) = E + A / N^alpha + B / D^beta, in nats per token of the fit's own data."""

    name: str
    e: float
    a: float
    b: float
    alpha: float
    beta: float
    note: str
    source: str
    as_of: str

    def loss(self, params: float, tokens: float) -> float:
        """L = E + A / N^alpha + B / D^beta. Example (Epoch): 70e9 on 1.4e12 gives 1.817 + 0.082 + 0.074 = 1.973."""
        _positive(params=params, tokens=tokens)
        return float(self.e + self.a / params**self.alpha + self.b / tokens**self.beta)

    def tokens_for(self, loss: float, params: float) -> float | None:
        """D = (B / (L - E - A / N^alpha))^(1 / beta), or None when no amount of data brings this size there."""
        _positive(params=params)
        room = loss - self.e - self.a / params**self.alpha
        return float((self.b / room) ** (1 / self.beta)) if room > 0 else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """A model size, the data it is trained on and what that comes to."""

    law: ScalingLaw
    params: float
    tokens: float
    loss: float
    training_flops: float
    lifetime_flops: float

    @property
    def tokens_per_parameter(self) -> float:
        """D / N; about 20 for the real Chinchilla (70e9 on 1.4e12)."""
        return self.tokens / self.params

    @property
    def beyond_the_fit(self) -> bool:
        """Whether it is larger, or trained longer, than what the constants were fitted on."""
        return self.params > LARGEST_FITTED or self.tokens > MOST_TOKENS_FITTED

    @property
    def extrapolated(self) -> bool:
        """Whether it lies beyond what anyone has trained to check such fits."""
        return self.tokens_per_parameter > TOKENS_PER_PARAMETER_CHECKED


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A dense model and the data it was trained on, as its makers say."""

    label: str
    model: str  # Hub id, empty where the weights are not public
    params: float
    tokens: float
    note: str
    source: str

    @property
    def tokens_per_parameter(self) -> float:
        return self.tokens / self.params


@cache
def trained_models() -> tuple[Trained, ...]:
    """Known models, for placing them on a law's curves."""
    return tuple(
        Trained(
            label=row["label"],
            model=row["model"],
            params=float(row["params"]),
            tokens=float(row["tokens"]),
            note=row["note"],
            source=row["source"],
        )
        for row in read_table(DATA / "trained.csv", key=("label",))
    )


def iso_loss(loss: float, law: ScalingLaw, sizes: Iterable[float]) -> tuple[tuple[float, float], ...]:
    """(N, D) of one loss, for those sizes that reach it: smaller and trained longer, or larger and shorter."""
    return tuple((params, tokens) for params in sizes if (tokens := law.tokens_for(loss, params)) is not None)


@cache
def laws() -> Mapping[str, ScalingLaw]:
    """Every published set of constants by name; "epoch" is the default, the printed ones contradict 20:1."""
    found: dict[str, dict[str, str]] = {}
    for row in read_table(DATA / "scaling_laws.csv", key=("law", "constant")):
        entry = found.setdefault(row["law"], {"note": row["note"], "source": row["source"], "as_of": row["as_of"]})
        entry[row["constant"]] = row["value"]
    return {name: _law(name, cells) for name, cells in found.items()}


def default_law() -> ScalingLaw:
    """The Epoch re-fit, whose optimum at the Chinchilla budget has 18 tokens per parameter."""
    return laws()[DEFAULT_LAW]


def compute_optimal(training_flops: float, law: ScalingLaw | None = None) -> Optimum:
    """The size and data of least loss for C = 6 N D.

    N = G (C / 6)^(beta / (alpha + beta)), D = (C / 6) / N, G = (alpha A / (beta B))^(1 / (alpha + beta)).
    Example (Epoch): C = 5.76e23 gives 72e9 parameters on 1.33e12 tokens; as printed, 32e9 on 2.98e12.
    """
    if not SMALLEST_BUDGET <= training_flops <= LARGEST_BUDGET:
        raise Refusal(
            f"A training budget of {training_flops:.3g} FLOP is outside what these fits can speak of.",
            field="law_budget",
            remedy=f"Give {SMALLEST_BUDGET:g} to {LARGEST_BUDGET:g} FLOP.",
        )
    law = law or default_law()
    product = training_flops / TRAINING_FLOPS
    scale = (law.alpha * law.a / (law.beta * law.b)) ** (1 / (law.alpha + law.beta))
    params = scale * product ** (law.beta / (law.alpha + law.beta))
    return _optimum(law, params, product / params, served_tokens=0.0)


def lifetime_optimal(loss: float, served_tokens: float, law: ScalingLaw | None = None) -> Optimum:
    """The size that reaches a loss with the least compute over its life: min 6 N D(N) + 2 N T (Sardana et al. 2024).

    D(N) is the data that size needs for the loss, T the tokens it will serve. The more it serves, the smaller and
    longer trained: with T = 0 it is the compute-optimal size of that loss. The fit overstates what extra tokens are
    worth at extreme ratios, so look at `extrapolated`.
    """
    law = law or default_law()
    if served_tokens < 0:
        raise Refusal("Served tokens cannot be negative.", field="served_tokens")
    if loss <= law.e:
        raise Refusal(
            f"No model reaches a loss of {loss:g}: the law's floor is {law.e:g}.",
            field="loss",
            remedy="Ask for a higher loss.",
        )
    smallest = (law.a / (loss - law.e)) ** (1 / law.alpha)

    def cost(log_params: float) -> float:
        params = math.exp(log_params)
        tokens = law.tokens_for(loss, params)
        return math.inf if tokens is None else _lifetime(params, tokens, served_tokens)

    # cost is infinite at the smallest size that can reach the loss and has one minimum above it
    params = math.exp(_golden_minimum(cost, math.log(smallest) + 1e-6, math.log(smallest) + math.log(1e5)))
    tokens = law.tokens_for(loss, params)
    if tokens is None:  # pragma: no cover - the search stays above the smallest size
        raise Refusal(f"No data brings {params:g} parameters to a loss of {loss:g}.", field="loss")
    return _optimum(law, params, tokens, served_tokens)


def _optimum(law: ScalingLaw, params: float, tokens: float, served_tokens: float) -> Optimum:
    return Optimum(
        law=law,
        params=params,
        tokens=tokens,
        loss=law.loss(params, tokens),
        training_flops=TRAINING_FLOPS * params * tokens,
        lifetime_flops=_lifetime(params, tokens, served_tokens),
    )


def _lifetime(params: float, tokens: float, served_tokens: float) -> float:
    return TRAINING_FLOPS * params * tokens + INFERENCE_FLOPS * params * served_tokens


def _golden_minimum(cost: Callable[[float], float], low: float, high: float) -> float:
    """Where a function of one minimum is least, to 1e-9, by golden section."""
    share = (math.sqrt(5) - 1) / 2
    left, right = high - share * (high - low), low + share * (high - low)
    at_left, at_right = cost(left), cost(right)
    while high - low > 1e-9:
        if at_left <= at_right:
            high, right, at_right = right, left, at_left
            left = high - share * (high - low)
            at_left = cost(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + share * (high - low)
            at_right = cost(right)
    return (low + high) / 2


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not (math.isfinite(value) and value > 0):
            raise Refusal(f"{name} must be a positive number, not {value!r}.", field=name)


def _law(name: str, cells: Mapping[str, str]) -> ScalingLaw:
    return ScalingLaw(
        name=name,
        e=float(cells["e"]),
        a=float(cells["a"]),
        b=float(cells["b"]),
        alpha=float(cells["alpha"]),
        beta=float(cells["beta"]),
        note=cells["note"],
        source=cells["source"],
        as_of=cells["as_of"],
    )
