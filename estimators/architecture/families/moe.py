"""Mixtures of experts over ordinary attention."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    buffer,
    decoder_layer,
    fused_experts,
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
from estimators.architecture.decoder import FULL, NORMS, SLIDING, decoder, heads, layer_types, uniform, window_of
from estimators.architecture.fields import Fields
from estimators.architecture.spec import Attention, FeedForward, LayerGroup, Role, Split

MAX_EXPERTS = 1 << 16


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


def minimax_m2(c: Fields, root: str = "model") -> Body:
    """MiniMax M2: norms of q and k across heads, a balanced router, up to three prediction layers not stored."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    experts, chosen = expert_counts(c, "num_local_experts")
    attention = heads(c)
    tensors = projections(attention, width)
    if c.flag("use_qk_norm", instead=True):
        tensors += norm("self_attn.q_norm", attention.q_heads * attention.head_dim)
        tensors += norm("self_attn.k_norm", attention.kv_heads * attention.head_dim)
    prefix = "block_sparse_moe"
    tensors += router(experts, width, name=f"{prefix}.gate")
    tensors += buffer(f"{prefix}.e_score_correction_bias", (experts,), Role.ROUTER, dtype="float32")
    tensors += gated_experts(experts, width, inner, prefix=f"{prefix}.experts.{{e}}", names=("w1", "w3", "w2"))
    tensors += norms(width, *NORMS)
    ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen)
    return uniform(c, root, decoder_layer(tensors, attention, ffn, prefix=f"{root}.layers.{{i}}"))


def mimo_v2(c: Fields, root: str = "model") -> Body:
    """MiMo V2 Flash: sliding layers have more key-value heads and a sink; values narrower than keys."""
    count = c.layers()
    sliding = c.counts("hybrid_layer_pattern", high=1)
    sparse = c.counts("moe_layer_freq", high=1)
    for name, marks in (("hybrid_layer_pattern", sliding), ("moe_layer_freq", sparse)):
        if not marks:
            raise c.error(name, "is missing")
        if len(marks) != count:
            raise c.error(name, f"should have {count} entries, one per layer, and has {len(marks)}")
    width, inner, dense_inner = c.count("hidden_size"), c.count("moe_intermediate_size"), c.count("intermediate_size")
    experts, chosen = expert_counts(c, "n_routed_experts")

    def layer(kind: tuple[int, int]) -> LayerGroup:
        attention = mimo_heads(c, sliding=bool(kind[0]))
        tensors = projections(attention, width, qkv_bias=c.flag("attention_bias")) + norms(width, *NORMS)
        if c.flag("add_swa_attention_sink_bias" if kind[0] else "add_full_attention_sink_bias", instead=False):
            tensors += vector("self_attn.attention_sink_bias", (attention.q_heads,), Role.ATTENTION, Split.COLUMN)
        if kind[1]:
            tensors += router(experts, width) + gated_experts(experts, width, inner)
            tensors += buffer("mlp.gate.e_score_correction_bias", (experts,), Role.ROUTER, dtype="float32")
            ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen)
        else:
            tensors += gated_mlp(width, dense_inner)
            ffn = FeedForward(width=dense_inner)
        return decoder_layer(tensors, attention, ffn, prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, list(zip(sliding, sparse, strict=True)), layer)


def mimo_heads(c: Fields, *, sliding: bool) -> Attention:
    """The sliding layers' sizes carry the prefix "swa_"."""
    prefix = "swa_" if sliding else ""
    q_heads, kv_heads = c.count(f"{prefix}num_attention_heads"), c.count(f"{prefix}num_key_value_heads")
    c.shares(f"{prefix}num_attention_heads", q_heads, f"{prefix}num_key_value_heads", kv_heads)
    window = window_of(c) if sliding else None
    attention = grouped_query(q_heads, kv_heads, c.count(f"{prefix}head_dim"), window=window)
    return replace(attention, value_dim=c.count(f"{prefix}v_head_dim"))


def step3(c: Fields, root: str = "model") -> Body:
    """Step 3.5 Flash: a gate per head, windows on three layers of four, one shared expert beside 288."""
    width, dense_inner, inner = c.count("hidden_size"), c.count("intermediate_size"), c.count("moe_intermediate_size")
    field = next((name for name in ("num_experts", "moe_num_experts") if c.has(name)), "n_routed_experts")
    experts, chosen = expert_counts(c, field)
    shared, first = c.count("share_expert_dim"), c.count("first_k_dense_replace", low=0, instead=3)
    bias, mlp_bias = c.flag("attention_bias", instead=False), c.flag("mlp_bias", instead=False)

    def layer(kind: tuple[str, bool]) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind[0] == SLIDING else None)
        tensors = (
            projections(attention, width, qkv_bias=bias, out_bias=bias) + head_norms(attention) + norms(width, *NORMS)
        )
        tensors += linear("self_attn.g_proj", attention.q_heads, width, Role.ATTENTION, Split.COLUMN)
        if kind[1]:
            tensors += router(experts, width, name="moe.gate")
            tensors += buffer("moe.router_bias", (experts,), Role.ROUTER, dtype="float32")
            tensors += gated_experts(experts, width, inner, prefix="moe.{e}")
            tensors += gated_mlp(width, shared, prefix="share_expert", role=Role.SHARED_EXPERT, bias=mlp_bias)
            ffn = FeedForward(
                width=inner, experts=experts, experts_per_token=chosen, shared_experts=1, shared_width=shared
            )
        else:
            tensors += gated_mlp(width, dense_inner, bias=mlp_bias)
            ffn = FeedForward(width=dense_inner)
        return decoder_layer(tensors, attention, ffn, prefix=f"{root}.layers.{{i}}")

    types = layer_types(c, lambda index: SLIDING if index % 4 else FULL)
    return decoder(c, root, [(kind, index >= first) for index, kind in enumerate(types)], layer)
