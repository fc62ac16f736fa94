"""Qwen3-Next and Qwen 3.5: gated DeltaNet on three layers of four, gated attention on the fourth."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    Tensors,
    gated_experts,
    gated_mlp,
    head_norms,
    linear,
    norms,
    projections,
    router,
)
from estimators.architecture.decoder import FULL, NORMS, decoder, heads, layer_types
from estimators.architecture.families.hybrid import state_dtype
from estimators.architecture.families.moe import expert_counts, sparse_layers
from estimators.architecture.families.recurrent import DeltaNet, delta_net, delta_state
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward, LayerGroup, Role, Split

LINEAR = "linear_attention"


def mixer(c: Fields) -> DeltaNet:
    return DeltaNet(
        width=c.count("hidden_size"),
        key_heads=c.count("linear_num_key_heads"),
        value_heads=c.count("linear_num_value_heads"),
        key_dim=c.count("linear_key_head_dim"),
        value_dim=c.count("linear_value_head_dim"),
        window=c.count("linear_conv_kernel_dim"),
    )


def kinds(c: Fields) -> list[str]:
    period = c.count("full_attention_interval", instead=4)
    return layer_types(c, lambda index: LINEAR if (index + 1) % period else FULL, allowed=(LINEAR, FULL))


def attending(c: Fields, kind: str, *, fused: bool) -> LayerGroup:
    """The mixing half of a layer. The query projection also makes the gate of the output: twice as wide."""
    width = c.count("hidden_size")
    if kind == LINEAR:
        m = mixer(c)
        return LayerGroup(layers=(), tensors=delta_net(m, fused=fused), state=delta_state(m, state_dtype(c)))
    attention, bias = heads(c), c.flag("attention_bias", instead=False)
    gate = 2 if c.flag("attn_output_gate", instead=True) else 1
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias, query_factor=gate) + head_norms(attention)
    return LayerGroup(layers=(), tensors=tensors, attention=attention)


def dense(c: Fields) -> tuple[Tensors, FeedForward]:
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    return gated_mlp(width, inner), FeedForward(width=inner)


def mixture(c: Fields) -> tuple[Tensors, FeedForward]:
    """Routed experts and one shared expert behind a gate of its own."""
    width, inner = c.count("hidden_size"), c.count("moe_intermediate_size")
    shared = c.count("shared_expert_intermediate_size")
    experts, chosen = expert_counts(c, "num_experts")
    tensors = router(experts, width) + gated_experts(experts, width, inner)
    tensors += gated_mlp(width, shared, prefix="mlp.shared_expert", role=Role.SHARED_EXPERT)
    tensors += linear("mlp.shared_expert_gate", 1, width, Role.ROUTER, Split.REPLICATED)
    ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen, shared_experts=1, shared_width=shared)
    return tensors, ffn


def layer(c: Fields, root: str, kind: str, *, sparse: bool, fused: bool) -> LayerGroup:
    base = attending(c, kind, fused=fused)
    made, ffn = mixture(c) if sparse else dense(c)
    tensors = base.tensors + made + norms(c.count("hidden_size"), *NORMS)
    return replace(base, tensors=tensors, ffn=ffn, prefix=f"{root}.layers.{{i}}")


def prediction(c: Fields, count: int, *, sparse: bool) -> tuple[LayerGroup, ...]:
    """Attention layers under "mtp", with one projection of both inputs and three norms for all of them."""
    if not count:
        return ()
    width = c.count("hidden_size")
    base = layer(c, "mtp", FULL, sparse=sparse, fused=False)
    extra = linear("fc", width, 2 * width, Role.MTP, Split.REPLICATED)
    extra += norms(
        width,
        "pre_fc_norm_embedding",
        "pre_fc_norm_hidden",
        "norm",
    )
    group = replace(base, layers=tuple(range(count)), stack="mtp")
    shared = LayerGroup(layers=(0,), tensors=extra, stack="mtp", prefix="mtp")
    return group, shared


def qwen3_next(c: Fields, root: str = "model") -> Body:
    """Experts on every layer; q, k, v, z in one matrix."""
    each = list(zip(kinds(c), sparse_layers(c), strict=True))
    return decoder(
        c,
        root,
        each,
        lambda kind: layer(c, root, kind[0], sparse=kind[1], fused=True),
        mtp=prediction(c, c.count("num_nextn_predict_layers", low=0, high=64, instead=1), sparse=True),
    )


def qwen3_5(c: Fields, root: str = "model") -> Body:
    """Qwen 3.5 and 3.6 dense, text part."""
    count = c.count("mtp_num_hidden_layers", low=0, high=64, instead=0)
    return decoder(
        c,
        root,
        kinds(c),
        lambda kind: layer(c, root, kind, sparse=False, fused=False),
        mtp=prediction(c, count, sparse=False),
    )


def qwen3_5_moe(c: Fields, root: str = "model") -> Body:
    """Qwen 3.5 mixtures, text part."""
    count = c.count("mtp_num_hidden_layers", low=0, high=64, instead=0)
    return decoder(
        c,
        root,
        kinds(c),
        lambda kind: layer(c, root, kind, sparse=True, fused=False),
        mtp=prediction(c, count, sparse=True),
    )
