"""Gemma: norms before and after every block, windows on most layers, a large tied vocabulary."""

from __future__ import annotations

from dataclasses import dataclass, replace

from estimators.architecture.blocks import (
    Body,
    Tensors,
    decoder_layer,
    gated_experts,
    gated_mlp,
    grouped_query,
    head_norms,
    linear,
    norm,
    norms,
    projections,
    router,
    vector,
)
from estimators.architecture.decoder import FULL, SLIDING, decoder, heads, layer_types, window_of
from estimators.architecture.families.moe import expert_counts
from estimators.architecture.fields import MAX_LAYERS, Fields
from estimators.architecture.spec import Attention, FeedForward, LayerGroup, Role, Split

FOUR_NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)


def windowed(c: Fields, period: int) -> list[str]:
    """Every `period`-th layer is full; older configs give the period instead of `layer_types`."""
    name = "sliding_window_pattern" if c.has("sliding_window_pattern") else "_sliding_window_pattern"
    period = c.count(name, high=MAX_LAYERS, instead=period)
    return layer_types(c, lambda index: FULL if (index + 1) % period == 0 else SLIDING)


def reusing(c: Fields) -> list[bool]:
    """The last `num_kv_shared_layers` read the cache of an earlier layer and store none."""
    count = c.layers()
    shared = c.count("num_kv_shared_layers", low=0, high=count, instead=0)
    return [index >= count - shared for index in range(count)]


def per_layer_inputs(c: Fields, root: str, wide: int) -> Tensors:
    """A second embedding table with a slice for every layer, and its projection."""
    width, total = c.count("hidden_size"), wide * c.layers()
    table = vector(
        f"{root}.embed_tokens_per_layer", (c.count("vocab_size_per_layer_input"), total), Role.EMBEDDING, Split.VOCAB
    )
    project = linear(f"{root}.per_layer_model_projection", total, width, Role.FFN, Split.REPLICATED)
    return table + project + norm(f"{root}.per_layer_projection_norm", wide)


def per_layer_gate(width: int, wide: int) -> Tensors:
    made = linear("per_layer_input_gate", wide, width, Role.FFN, Split.REPLICATED)
    made += linear("per_layer_projection", width, wide, Role.FFN, Split.REPLICATED)
    return made + norm("post_per_layer_input_norm", width)


def alternating_update(c: Fields) -> Tensors:
    """Gemma 3n's AltUp and low-rank residual of one layer."""
    width, inputs, rank = c.count("hidden_size"), c.count("altup_num_inputs", high=64), c.count("laurel_rank")
    made = vector("altup.correct_output_scale", (width,), Role.NORM)
    for name, out, into in (
        ("altup.correction_coefs", inputs, inputs),
        ("altup.prediction_coefs", inputs**2, inputs),
        ("altup.modality_router", inputs, width),
    ):
        made += linear(name, out, into, Role.ROUTER, Split.REPLICATED)
    made += norms(width, "altup.router_norm", "laurel.post_laurel_norm")
    made += linear("laurel.linear_left", rank, width, Role.FFN, Split.REPLICATED)
    return made + linear("laurel.linear_right", width, rank, Role.FFN, Split.REPLICATED)


def gemma3n(c: Fields, root: str = "model") -> Body:
    """Gemma 3n: per-layer embeddings, four residual streams, late layers without a cache of their own."""
    width, count, wide = c.count("hidden_size"), c.layers(), c.count("hidden_size_per_layer_input")
    stated = c.get("intermediate_size")
    inners = c.counts("intermediate_size", low=1) if isinstance(stated, list | tuple) else ()
    inners = inners or (c.count("intermediate_size"),) * count
    if len(inners) != count:
        raise c.error("intermediate_size", f"should have {count} entries, one per layer, and has {len(inners)}")

    def layer(kind: tuple[str, bool, int]) -> LayerGroup:
        sliding, reuses, inner = kind
        attention = heads(c, window=window_of(c) if sliding == SLIDING else None)
        attention = replace(attention, reuses_earlier_cache=reuses)
        tensors = projections(attention, width) + head_norms(attention) + gated_mlp(width, inner)
        tensors += norms(width, *FOUR_NORMS) + alternating_update(c) + per_layer_gate(width, wide)
        return decoder_layer(tensors, attention, FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")

    streams = c.count("altup_num_inputs", high=64) - 1
    extra = per_layer_inputs(c, root, wide)
    for name in ("altup_projections", "altup_unembed_projections"):
        extra += linear(f"{root}.{name}.{{e}}", width, width, Role.FFN, Split.REPLICATED, copies=streams)
    kinds = list(zip(windowed(c, 5), reusing(c), inners, strict=True))
    body = decoder(c, root, kinds, layer, extra=extra)
    unused = "The file also holds key and value projections of layers that reuse a cache; engines drop them."
    return replace(body, notes=(*body.notes, unused) if any(reusing(c)) else body.notes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gemma4Layer:
    """What tells one layer of Gemma 4 from another."""

    sliding: bool
    reuses: bool


def gemma4_heads(c: Fields, kind: Gemma4Layer) -> Attention:
    """Full layers have wider heads, and fewer key-value heads where keys serve as values."""
    q_heads, kv_heads = c.count("num_attention_heads"), c.count("num_key_value_heads")
    head_dim, window = c.count("head_dim"), window_of(c) if kind.sliding else None
    if not kind.sliding:
        head_dim = c.count("global_head_dim", instead=head_dim)
        if c.flag("attention_k_eq_v"):
            kv_heads = c.count("num_global_key_value_heads", instead=kv_heads)
    c.shares("num_attention_heads", q_heads, "num_key_value_heads", kv_heads)
    attention = grouped_query(q_heads, kv_heads, head_dim, window=window)
    return replace(attention, reuses_earlier_cache=kind.reuses)


def gemma4_mixture(c: Fields) -> tuple[Tensors, FeedForward]:
    """Experts beside the dense feed-forward, with norms of their own."""
    width, inner, dense = c.count("hidden_size"), c.count("moe_intermediate_size"), c.count("intermediate_size")
    experts, chosen = expert_counts(c, "num_experts", "top_k_experts")
    made = router(experts, width, name="router.proj")
    made += vector("router.scale", (width,), Role.ROUTER) + vector("router.per_expert_scale", (experts,), Role.ROUTER)
    made += gated_experts(experts, width, inner, prefix="experts.{e}")
    names = ("pre_feedforward_layernorm_2", "post_feedforward_layernorm_1", "post_feedforward_layernorm_2")
    ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen, shared_experts=1, shared_width=dense)
    return made + norms(width, *names), ffn


def gemma4(c: Fields, root: str = "model") -> Body:
    """Gemma 4: values made from keys on full layers, shared caches, experts, per-layer embeddings, as the size has."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    wide = c.count("hidden_size_per_layer_input", low=0, instead=0)
    doubled, from_keys = c.flag("use_double_wide_mlp"), c.flag("attention_k_eq_v")

    def layer(kind: Gemma4Layer) -> LayerGroup:
        attention = gemma4_heads(c, kind)
        value = kind.sliding or not from_keys
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias, value=value) + head_norms(attention)
        own = inner * 2 if doubled and kind.reuses else inner
        tensors += gated_mlp(width, own) + norms(width, *FOUR_NORMS)
        tensors += per_layer_gate(width, wide) if wide else ()
        ffn = FeedForward(width=own)
        if c.flag("enable_moe_block", instead=False):
            made, ffn = gemma4_mixture(c)
            tensors += made
        return decoder_layer(tensors, attention, ffn, prefix=f"{root}.layers.{{i}}")

    types = windowed(c, 6)
    types[-1] = FULL
    kinds = [Gemma4Layer(sliding=t == SLIDING, reuses=r) for t, r in zip(types, reusing(c), strict=True)]
    return decoder(c, root, kinds, layer, extra=per_layer_inputs(c, root, wide) if wide else ())
