"""Mixtures of experts over ordinary attention."""

from __future__ import annotations

from estimators.architecture.blocks import (
    Body,
    decoder_layer,
    fused_experts,
    gated_experts,
    gated_mlp,
    head_norms,
    norms,
    projections,
    router,
    vector,
)
from estimators.architecture.decoder import FULL, SLIDING, decoder, heads, layer_types, window_of
from estimators.architecture.families.llama import NORMS
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward, LayerGroup, Role, Split

MAX_EXPERTS = 1 << 16


def mixtral(c: Fields, root: str = "model") -> Body:
    """Every feed-forward a mixture, experts named w1, w2, w3."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    experts, chosen = expert_counts(c, "num_local_experts")
    attention = heads(c, window=window_of(c))
    tensors = projections(attention, width) + router(experts, width, name="block_sparse_moe.gate")
    tensors += gated_experts(
        experts, width, inner, prefix="block_sparse_moe.experts.{e}", names=("w1", "w3", "w2")
    ) + norms(width, *NORMS)
    ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen)
    layer = decoder_layer(tensors, attention, ffn, prefix=f"{root}.layers.{{i}}")
    return decoder(c, root, [FULL] * c.layers(), lambda _: layer)


def expert_counts(c: Fields, experts_field: str, chosen_field: str = "num_experts_per_tok") -> tuple[int, int]:
    """n routed experts and the k of them a token takes."""
    experts = c.count(experts_field, high=MAX_EXPERTS)
    chosen = c.count(chosen_field, high=MAX_EXPERTS)
    if chosen > experts:
        raise c.error(chosen_field, f"({chosen}) is more than {experts_field} ({experts})")
    return experts, chosen


def sparse_layers(c: Fields) -> list[bool]:
    """Qwen's rule: layer i is a mixture unless listed in `mlp_only_layers` or skipped by `decoder_sparse_step`."""
    dense = set(c.counts("mlp_only_layers"))
    step = c.count("decoder_sparse_step")
    return [index not in dense and (index + 1) % step == 0 for index in range(c.layers())]


def qwen3_moe(c: Fields, root: str = "model") -> Body:
    """Qwen 3 attention over a mixture without shared experts."""
    width, bias = c.count("hidden_size"), c.flag("attention_bias")
    dense_inner, inner = c.count("intermediate_size"), c.count("moe_intermediate_size")
    experts, chosen = expert_counts(c, "num_experts")
    attention = heads(c, window=window_of(c) if c.flag("use_sliding_window", instead=False) else None)

    def layer(sparse: bool) -> LayerGroup:
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + head_norms(attention)
        tensors += norms(width, *NORMS)
        if sparse:
            tensors += router(experts, width) + gated_experts(experts, width, inner)
            ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen)
        else:
            tensors += gated_mlp(width, dense_inner)
            ffn = FeedForward(width=dense_inner)
        return decoder_layer(tensors, attention, ffn, prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, sparse_layers(c), layer)


def gpt_oss(c: Fields, root: str = "model") -> Body:
    """Biases throughout, an attention sink per head, experts in two stacked parameters, every other layer sliding."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    experts, chosen = expert_counts(c, "num_local_experts")

    def layer(kind: str) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind == SLIDING else None)
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
        tensors += vector("self_attn.sinks", (attention.q_heads,), Role.ATTENTION, Split.COLUMN)
        tensors += router(experts, width, name="mlp.router", bias=True)
        tensors += fused_experts(experts, width, inner, bias=True) + norms(width, *NORMS)
        ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen)
        return decoder_layer(tensors, attention, ffn, prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, layer_types(c, lambda index: FULL if index % 2 else SLIDING), layer)
