"""What plain transformers should take on a device whose micro-benchmark is known: estimates for `engine=transformers`.

A step is the sum over matrix products of their measured time at that size, plus attention over the pairs of tokens,
the growing cache, the element-wise work, and the launches of every layer.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from estimators.architecture.spec import LayerGroup, ModelSpec, Role, Tensor
from estimators.measuring.device.device_profile import (
    CACHE_BYTES,
    MOST_ELEMENTWISE,
    REFERENCE_CONTEXT,
    REFERENCE_TOKENS,
    DeviceProfile,
    TimedProduct,
)
from estimators.provenance import Refusal, Term


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceEstimate:
    """Seconds of one batch run to its end, as `Way.ATTACHED` measures it."""

    ttft_s: float
    itl_s: float
    e2e_s: float
    output_tok_per_s: float
    terms: tuple[Term, ...]


def estimate_from_device(
    profile: DeviceProfile, spec: ModelSpec, *, prompt_tokens: int, output_tokens: int, batch: int = 1
) -> DeviceEstimate:
    """Prefill and decode step of a 16- or 32-bit model on the device that was benchmarked.

    Raises `Refusal` (field "model") for layers the benchmark does not time: recurrent state and MLA.
    """
    _check(spec)
    context = prompt_tokens + output_tokens / 2
    prefill = step_seconds(profile, spec, batch=batch, tokens=prompt_tokens, context=float(prompt_tokens))
    step = step_seconds(profile, spec, batch=batch, tokens=1, context=context)
    ttft, itl = sum(prefill.values()), sum(step.values())
    end = ttft + (output_tokens - 1) * itl
    source = f"micro-benchmark of {profile.device}, {profile.dtype}, {profile.threads} threads"
    terms = [
        Term(
            label="Achieved bandwidth",
            value=profile.bandwidth_bytes_per_s,
            unit="byte/second",
            formula="bytes of a matrix / time of one token through it",
            source=source,
        ),
        Term(
            label="Achieved FLOP/s",
            value=profile.flops,
            unit="FLOP/second",
            formula="2 tokens elements / time of a matrix product",
            source=source,
        ),
    ]
    for label, parts in (("Prefill", prefill), ("Decode step", step)):
        said = " + ".join(f"{name} {seconds * 1e3:.3g} ms" for name, seconds in parts.items())
        terms.append(Term(label=label, value=sum(parts.values()), unit="second", formula=said, source=source))
    return DeviceEstimate(
        ttft_s=ttft, itl_s=itl, e2e_s=end, output_tok_per_s=batch * output_tokens / end, terms=tuple(terms)
    )


def _check(spec: ModelSpec) -> None:
    for group in spec.groups:
        if group.stack == "decoder" and (group.state is not None or (group.attention and group.attention.latent_dim)):
            raise Refusal(
                "The micro-benchmark times no recurrent layers and no latent attention.",
                field="model",
                remedy="Measure the model itself.",
            )
    if not spec.groups:
        raise Refusal("The layers of this model are not known.", field="model", remedy="Measure the model itself.")


def step_seconds(
    profile: DeviceProfile, spec: ModelSpec, *, batch: int, tokens: int, context: float
) -> dict[str, float]:
    """Seconds of one forward pass by part: `tokens` new tokens in each of `batch` sequences that hold `context`."""
    rows = batch * tokens
    fits_cache = spec.resident_params * profile.element_bytes <= CACHE_BYTES
    launch_s = profile.layer_alone_s if fits_cache else profile.layer_s
    parts = {
        "products": 0.0,
        "head": 0.0,
        "attention": 0.0,
        "cache": 0.0,
        "element-wise": 0.0,
        "launches": profile.step_s,
    }
    for group in spec.groups:
        if group.stack != "decoder":
            continue
        parts["products"] += group.count * sum(
            _tensor_seconds(profile, group, t, rows) for t in (*group.tensors, *group.again)
        )
        parts["element-wise"] += group.count * _elementwise_seconds(profile, spec, group, rows)
        parts["launches"] += group.count * launch_s
        attended, cached = _attention_seconds(profile, group, batch, tokens, context)
        parts["attention"] += group.count * attended
        parts["cache"] += group.count * cached
    # Only the last position of each sequence is asked for; an embedding used as head is multiplied all the same.
    parts["head"] = product_seconds(profile.products, batch, spec.vocab_size * spec.hidden_size)
    return parts


def calibrated(profile: DeviceProfile, layer: ModelSpec, decode_s: float, prompt_s: float) -> DeviceProfile:
    """The profile with launches and element-wise work as they cost among large weights.

    `decode_s` and `prompt_s` are measured times of one layer of a real size, shape `layer`, for one token and for a
    prompt. What products and attention leave of them is launches, then element-wise work; alone and in warm caches
    both cost less, so neither falls below that.
    """
    one = step_seconds(profile, layer, batch=1, tokens=1, context=REFERENCE_CONTEXT)
    beside = one["products"] + one["attention"] + one["cache"] + one["element-wise"]
    launches = max(profile.layer_alone_s, decode_s - beside)
    prompt = step_seconds(profile, layer, batch=1, tokens=REFERENCE_TOKENS, context=REFERENCE_TOKENS)
    left = prompt_s - prompt["products"] - prompt["attention"] - launches
    factor = min(MOST_ELEMENTWISE, max(1.0, left / prompt["element-wise"])) if prompt["element-wise"] else 1.0
    return replace(
        profile,
        layer_s=launches,
        norm_s_per_element=profile.norm_s_per_element * factor,
        gate_s_per_element=profile.gate_s_per_element * factor,
    )


def _tensor_seconds(profile: DeviceProfile, group: LayerGroup, tensor: Tensor, rows: int) -> float:
    if not tensor.linear:
        return 0.0
    elements = math.prod(tensor.shape)
    if tensor.role is not Role.EXPERT or group.ffn is None or not group.ffn.experts:
        return tensor.copies * product_seconds(profile.products, rows, elements)
    # Experts touched by `rows` tokens: n (1 - (1 - k/n)^rows), each with its share of the rows.
    n, k = group.ffn.experts, group.ffn.experts_per_token
    touched = n * (1.0 - (1.0 - k / n) ** rows)
    each = tensor.copies / n * touched
    return each * product_seconds(profile.products, max(1.0, rows * k / touched), elements)


def _elementwise_seconds(profile: DeviceProfile, spec: ModelSpec, group: LayerGroup, rows: int) -> float:
    """Two norms and residuals of width D, rotary embedding of queries and keys, the gate of width F."""
    attention, ffn = group.attention, group.ffn
    rotated = (attention.q_heads + attention.kv_heads) * attention.head_dim if attention else 0
    width = ffn.width * max(1, ffn.experts_per_token) if ffn else 0
    return rows * ((2 * spec.hidden_size + rotated) * profile.norm_s_per_element + width * profile.gate_s_per_element)


def _attention_seconds(
    profile: DeviceProfile, group: LayerGroup, batch: int, tokens: int, context: float
) -> tuple[float, float]:
    """Attention over the pairs of queries and keys; in decode, copying the cache to append to it as well."""
    attention = group.attention
    if attention is None:
        return 0.0, 0.0
    seen = min(context, float(attention.window)) if attention.window else context
    pairs = batch * tokens * seen * attention.q_heads * attention.head_dim
    if tokens > 1:
        return pairs * profile.attention_s_per_pair, 0.0
    cached = batch * seen * attention.kv_heads * (attention.head_dim + attention.value_dim)
    return pairs * profile.decode_s_per_pair, cached * profile.cache_s_per_element


def product_seconds(products: Sequence[TimedProduct], tokens: float, elements: float) -> float:
    """Time of `tokens` rows through a matrix of `elements` weights, between the measured ones on logarithmic axes.

    Beyond the largest matrix time grows with the elements, beyond the most tokens with the tokens.
    """
    sizes = sorted({p.elements for p in products})
    table = {size: sorted((p.tokens, p.seconds) for p in products if p.elements == size) for size in sizes}
    points = [(float(size), _along([(float(m), s) for m, s in table[size]], tokens)) for size in sizes]
    return _along(points, elements)


def _along(points: Sequence[tuple[float, float]], x: float) -> float:
    """Log-log interpolation; proportional beyond the last point, the first point's value below it."""
    xs = [point[0] for point in points]
    if x <= xs[0]:
        return points[0][1]
    if x >= xs[-1]:
        return points[-1][1] * x / xs[-1]
    right = bisect_left(xs, x)
    (x0, y0), (x1, y1) = points[right - 1], points[right]
    share = math.log(x / x0) / math.log(x1 / x0)
    return math.exp(math.log(y0) * (1 - share) + math.log(y1) * share)
