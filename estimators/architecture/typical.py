"""A bare parameter count to a typical architecture, interpolated from real models and labelled as such.

Shapes are interpolated in the logarithm of the parameter count; the feed-forward width is then solved for, so that
the parameters come out as asked. Letters: L layers, D width, F feed-forward width, N query heads, K key-value heads,
H head dimension, V vocabulary, n experts, k of them per token.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from estimators.architecture.parse import parse_config
from estimators.architecture.spec import ModelSpec, Reading, SpecSource
from estimators.provenance import Refusal, read_table

SMALLEST, LARGEST = 1e7, 5e12  # parameters
AS_GOOD_AS_SAME = 0.02  # a count this close to a real model's, in the logarithm, takes its shape
SAME = 0.01  # active counts this close to the total mean a dense model
CLOSE_TOTAL, CLOSE_ACTIVE, FAR_ACTIVE = 0.002, 0.01, 0.05  # relative errors aimed at, and the most accepted
EXPERT_COUNTS = (2, 3, 4, 5, 6, 7, *range(8, 1025, 8))
CHOSEN_COUNTS = range(1, 33)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """The numbers that make a decoder: a row of the table, or what is interpolated from rows."""

    model: str
    params: int
    active: int
    layers: int
    hidden: int
    ffn: int  # of one expert in a mixture
    q_heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    tied: bool
    experts: int = 0
    experts_per_token: int = 0

    @property
    def ffn_ratio(self) -> float:
        return self.ffn / self.hidden

    @property
    def embedding_params(self) -> int:
        return self.vocab * self.hidden * (1 if self.tied else 2)

    @property
    def layer_params(self) -> int:
        """One layer without its feed-forward: q, k, v, o, two norms and the router, 2 D H (N + K) + 2 D + n D."""
        heads = 2 * self.hidden * self.head_dim * (self.q_heads + self.kv_heads)
        return heads + 2 * self.hidden + self.experts * self.hidden

    @property
    def backbone_params(self) -> int:
        """Everything but the feed-forward matrices."""
        return self.embedding_params + self.layers * self.layer_params + self.hidden

    @property
    def ffn_params_per_width(self) -> int:
        """Parameters that one more unit of F adds: 3 L D, times n experts."""
        return 3 * self.layers * self.hidden * max(1, self.experts)


@cache
def shapes(mixtures: bool = False) -> tuple[Shape, ...]:
    """The real models of the table, dense or mixtures of experts, smallest first."""
    rows = read_table(Path(__file__).parent / "data" / "typical.csv", key=("model",))
    made = (
        Shape(
            model=row["model"],
            tied=row["tied"] == "true",
            **{name: int(row[name]) for name in NUMBERS},
        )
        for row in rows
    )
    return tuple(sorted((s for s in made if bool(s.experts) is mixtures), key=lambda s: s.params))


NUMBERS = (
    "params",
    "active",
    "layers",
    "hidden",
    "ffn",
    "q_heads",
    "kv_heads",
    "head_dim",
    "vocab",
    "experts",
    "experts_per_token",
)


def spec_from_parameter_count(params: float, active: float | None = None) -> ModelSpec:
    """A typical model of `params` parameters, a mixture of experts when `active` says that a token touches fewer.

    Resident parameters come out within 0.5 % of the count, active ones within 5 %. 8.03e9 gives the shape of
    Llama-3.1-8B: 32 layers of width 4096, 8 key-value heads of 128.
    """
    _check(params, "params", SMALLEST, LARGEST)
    if active is not None:
        _check(active, "active", SMALLEST / 10, LARGEST)
        if active > params:
            raise Refusal(
                f"active ({active / 1e9:g} B) is more than params ({params / 1e9:g} B).",
                field="active",
                remedy="Give the parameters that one token touches, at most all of them.",
            )
        if active >= params * (1 - SAME):
            active = None
    return _spec(float(params), None if active is None else float(active))


def _check(value: float, field: str, low: float, high: float) -> None:
    if isinstance(value, bool) or not low <= value <= high:  # NaN compares false
        raise Refusal(
            f"{field} must be between {low / 1e9:g} and {high / 1e9:g} billion.",
            field=field,
            remedy="Give it in billions, as in 8 or 70.",
        )


@lru_cache(maxsize=256)
def _spec(params: float, active: float | None) -> ModelSpec:
    shape, made_from = _dense(params) if active is None else _mixture(params, active)
    name = f"{params / 1e9:.6g}B parameters" + (f", {active / 1e9:.6g}B active" if active else "")
    spec = parse_config(
        _config(shape),
        model_id=name,
        source=SpecSource.PARAMETER_COUNT,
        source_note=f"typical architecture for {name}, {made_from} (data/typical.csv)",
    )
    cache_note = (
        f"Taken as {shape.layers} layers of width {shape.hidden} with {shape.kv_heads} key-value heads of "
        f"{shape.head_dim}, {made_from}: a real model of this size may cache several times more or less per token."
    )
    return replace(spec, approximate=True, reading=Reading.COUNT, max_positions=None, notes=(*spec.notes, cache_note))


# ---------------------------------------------------------------------- dense


def _dense(params: float) -> tuple[Shape, str]:
    """L and F are chosen for the D, N, K that real models of this size have."""
    rows = shapes()
    for row in rows:
        if _distance(row, params, params) <= AS_GOOD_AS_SAME**2:
            return _with_width(row, params), f"with the shape of {row.model}"
    above = next((i for i, row in enumerate(rows) if row.params >= params), len(rows))
    low = min(max(above - 1, 0), len(rows) - 2)
    pair = rows[low], rows[low + 1]
    span = math.log(pair[1].params / pair[0].params)
    position = math.log(params / pair[0].params) / span

    def along(value: Callable[[Shape], float]) -> float:
        first, second = (math.log(value(row)) for row in pair)
        return math.exp(first + position * (second - first))

    nearest = pair[position > 0.5]
    kv_heads = _power_of_two(along(lambda s: s.kv_heads))
    hidden = _multiple(along(lambda s: s.hidden), 128 if params > 1e9 else 64)
    vocab = nearest.vocab
    if params < rows[0].params:  # below the smallest, the vocabulary keeps its share of the parameters
        share = rows[0].embedding_params / rows[0].params
        vocab = _multiple(share * params / hidden, 64)
    shape = Shape(
        model="",
        params=round(params),
        active=round(params),
        layers=1,
        hidden=hidden,
        ffn=1,
        q_heads=_multiple(along(lambda s: s.q_heads * s.head_dim) / nearest.head_dim, kv_heads),
        kv_heads=kv_heads,
        head_dim=nearest.head_dim,
        vocab=vocab,
        tied=nearest.tied,
    )
    per_layer = shape.layer_params + 3 * hidden * hidden * along(lambda s: s.ffn_ratio)
    layers = max(1, round((params - shape.embedding_params) / per_layer))
    shape = _with_width(replace(shape, layers=layers), params)
    return shape, _between(pair, position)


def _between(pair: Sequence[Shape], position: float) -> str:
    first, second = pair[0].model, pair[1].model
    if position < 0:
        return f"extrapolated below {first}"
    if position > 1:
        return f"extrapolated beyond {second}"
    return f"interpolated between {first} and {second}"


def _with_width(shape: Shape, params: float) -> Shape:
    """F such that the total is `params`, rounded as coarsely as 0.2 % allows: F = (P - backbone) / (3 L D n)."""
    exact = (params - shape.backbone_params) / shape.ffn_params_per_width
    for step in (256, 128, 64, 32, 16, 8, 4, 2, 1):
        width = max(step, round(exact / step) * step)
        if abs(width - exact) * shape.ffn_params_per_width <= CLOSE_TOTAL * params:
            break
    return replace(shape, ffn=width)


# ---------------------------------------------------------------------- mixtures of experts


def _mixture(params: float, active: float) -> tuple[Shape, str]:
    """Backbone from the mixtures nearest in total and active size; n and k from the share of experts touched."""
    rows = sorted(shapes(mixtures=True), key=lambda row: _distance(row, params, active))[:3]
    weights = [1 / (_distance(row, params, active) + 1e-6) for row in rows]
    nearest = rows[0]
    if _distance(nearest, params, active) <= AS_GOOD_AS_SAME**2:
        return _with_width(nearest, params), f"with the shape of {nearest.model}"

    def blended(value: Callable[[Shape], float]) -> float:
        logs = (weight * math.log(value(row)) for weight, row in zip(weights, rows, strict=True))
        return math.exp(sum(logs) / sum(weights))

    kv_heads = _power_of_two(blended(lambda s: s.kv_heads))
    head_dim = nearest.head_dim
    backbone = Shape(
        model="",
        params=round(params),
        active=round(active),
        layers=round(blended(lambda s: s.layers)),
        hidden=_multiple(blended(lambda s: s.hidden), 128),
        ffn=1,
        q_heads=_multiple(blended(lambda s: s.q_heads * s.head_dim) / head_dim, kv_heads),
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocab=nearest.vocab,
        tied=False,
    )
    backbone = _shrunk(backbone, active)
    shape = _with_experts(backbone, params, active, wanted=blended(lambda s: s.experts))
    return shape, "interpolated between " + ", ".join(row.model for row in rows)


def _distance(row: Shape, params: float, active: float) -> float:
    """Squared distance in the logarithms of total and active parameters."""
    return math.log(row.params / params) ** 2 + math.log(row.active / active) ** 2


def _shrunk(shape: Shape, active: float) -> Shape:
    """Narrow a backbone until it leaves 40 % of the active parameters to the experts."""
    while shape.backbone_params > 0.6 * active and shape.hidden > 64:
        hidden = _multiple(shape.hidden * 0.85, 64, down=True)
        shape = replace(
            shape,
            hidden=hidden,
            q_heads=_multiple(shape.q_heads * 0.85, shape.kv_heads, down=True),
            layers=max(4, round(shape.layers * 0.95)),
            vocab=min(shape.vocab, _multiple(0.3 * active / (2 * hidden), 64)),
        )
    return shape


def _with_experts(backbone: Shape, params: float, active: float, wanted: float) -> Shape:
    """n and k with k/n = (A - S) / (P - S), S the backbone; the n nearest to `wanted` that gets A within 1 %."""
    best: tuple[float, float, Shape] | None = None
    for experts in EXPERT_COUNTS:
        shape = replace(backbone, experts=experts)
        rest = shape.backbone_params
        too_coarse = shape.ffn_params_per_width > 2 * CLOSE_TOTAL * params  # one step of F would miss the total
        if rest >= active or too_coarse:
            break
        share = (active - rest) / (params - rest)
        chosen = min(max(round(share * experts), CHOSEN_COUNTS[0]), CHOSEN_COUNTS[-1], experts)
        error = abs(rest + (params - rest) * chosen / experts - active) / active
        rank = (max(error, CLOSE_ACTIVE), abs(math.log(experts / wanted)))
        if best is None or rank < best[:2]:
            best = (*rank, replace(shape, experts_per_token=chosen))
    if best is None or best[0] > FAR_ACTIVE:
        raise Refusal(
            f"No usual mixture of experts has {params / 1e9:g} B parameters with {active / 1e9:g} B active.",
            field="active",
            remedy="Published ones have 1 B or more and touch 3 % to 30 % of it; leave active out for a dense model.",
        )
    return _with_width(best[2], params)


# ---------------------------------------------------------------------- to a spec


def _config(shape: Shape) -> dict[str, object]:
    """The shape as a config of the Llama family, or of Mixtral for a mixture: the plainest that have it."""
    config: dict[str, object] = {
        "model_type": "mixtral" if shape.experts else "llama",
        "architectures": ["MixtralForCausalLM" if shape.experts else "LlamaForCausalLM"],
        "num_hidden_layers": shape.layers,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.ffn,
        "num_attention_heads": shape.q_heads,
        "num_key_value_heads": shape.kv_heads,
        "head_dim": shape.head_dim,
        "vocab_size": shape.vocab,
        "tie_word_embeddings": shape.tied,
        "attention_bias": False,
        "mlp_bias": False,
        "max_position_embeddings": 131072,
        "dtype": "bfloat16",
    }
    if shape.experts:
        config |= {
            "num_local_experts": shape.experts,
            "num_experts_per_tok": shape.experts_per_token,
            "sliding_window": None,
        }
    return config


def _multiple(value: float, step: int, *, down: bool = False) -> int:
    rounded = math.floor(value / step) if down else round(value / step)
    return max(1, rounded) * step


def _power_of_two(value: float) -> int:
    return 1 << max(0, round(math.log2(value)))
