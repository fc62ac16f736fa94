"""LFM 2: short convolutions on most layers, grouped queries on the rest, experts in the larger ones."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    Tensors,
    buffer,
    gated_experts,
    gated_mlp,
    linear,
    norms,
    projections,
    router,
    vector,
)
from estimators.architecture.decoder import FULL, decoder, heads, layer_types
from estimators.architecture.families.moe import expert_counts
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward, LayerGroup, RecurrentState, Role, Split

CONV = "conv"


def adjusted(c: Fields) -> int:
    """Feed-forward width as the model's own code rounds it: two thirds, up to a multiple."""
    inner = c.count("intermediate_size")
    if not c.flag("block_auto_adjust_ff_dim", instead=True):
        return inner
    inner = int(2 * inner / 3)
    factor = c.get("block_ffn_dim_multiplier")
    if factor is not None:
        inner = int(c.number("block_ffn_dim_multiplier", low=0.01, high=100) * inner)
    multiple = c.count("block_multiple_of")
    return -(-inner // multiple) * multiple


def mixing(c: Fields, kind: str) -> LayerGroup:
    """A gated convolution of W taps, keeping W inputs, or attention with head norms."""
    width = c.count("hidden_size")
    if kind == CONV:
        taps, bias = c.count("conv_L_cache", high=1024), c.flag("conv_bias")
        tensors = linear("conv.in_proj", 3 * width, width, Role.STATE, Split.COLUMN, bias=bias)
        tensors += vector("conv.conv", (width, 1, taps), Role.STATE, Split.COLUMN)
        tensors += vector("conv.conv.bias", (width,), Role.STATE, Split.COLUMN) if bias else ()
        tensors += linear("conv.out_proj", width, width, Role.STATE, Split.ROW, bias=bias)
        state = RecurrentState(kind="short_conv", conv_elements=width * (taps - 1), recurrent_elements=0, heads=width)
        return LayerGroup(layers=(), tensors=tensors, state=state)
    attention = heads(c)
    tensors = projections(attention, width, names=("q_proj", "k_proj", "v_proj", "out_proj"))
    tensors += norms(attention.head_dim, "self_attn.q_layernorm", "self_attn.k_layernorm")
    return LayerGroup(layers=(), tensors=tensors, attention=attention)


def layer(c: Fields, root: str, kind: str, made: Tensors, ffn: FeedForward) -> LayerGroup:
    base = mixing(c, kind)
    tensors = base.tensors + made + norms(c.count("hidden_size"), "operator_norm", "ffn_norm")
    return replace(base, tensors=tensors, ffn=ffn, prefix=f"{root}.layers.{{i}}")


def feed_forward(width: int, inner: int) -> tuple[Tensors, FeedForward]:
    return gated_mlp(width, inner, prefix="feed_forward", names=("w1", "w3", "w2")), FeedForward(width=inner)


def kinds(c: Fields) -> list[str]:
    """`layer_types`, or the older list of full-attention layers."""
    full = set(c.counts("full_attn_idxs"))
    return layer_types(c, lambda index: FULL if not full or index in full else CONV, allowed=(CONV, FULL))


def lfm2(c: Fields, root: str = "model") -> Body:
    made, ffn = feed_forward(c.count("hidden_size"), adjusted(c))
    return decoder(c, root, kinds(c), lambda kind: layer(c, root, kind, made, ffn), final_norm="embedding_norm")


def lfm2_moe(c: Fields, root: str = "model") -> Body:
    """The first `num_dense_layers` are dense."""
    width, inner = c.count("hidden_size"), c.count("moe_intermediate_size")
    experts, chosen = expert_counts(c, "num_experts")
    first = c.count("num_dense_layers", low=0)
    dense, dense_ffn = feed_forward(width, c.count("intermediate_size"))
    prefix = "feed_forward"
    sparse = router(experts, width, name=f"{prefix}.gate")
    sparse += gated_experts(experts, width, inner, prefix=f"{prefix}.experts.{{e}}", names=("w1", "w3", "w2"))
    if c.flag("use_expert_bias", instead=False):
        sparse += buffer(f"{prefix}.expert_bias", (experts,), Role.ROUTER, dtype="float32")
    sparse_ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen)

    def build(kind: tuple[str, bool]) -> LayerGroup:
        made, ffn = (sparse, sparse_ffn) if kind[1] else (dense, dense_ffn)
        return layer(c, root, kind[0], made, ffn)

    each = [(kind, index >= first) for index, kind in enumerate(kinds(c))]
    return decoder(c, root, each, build, final_norm="embedding_norm")
