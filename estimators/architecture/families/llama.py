"""Dense decoders in Llama's mould: RMS norms, grouped queries, gated feed-forward."""

from __future__ import annotations

from estimators.architecture.blocks import (
    Body,
    decoder_layer,
    fused_projections,
    gated_mlp,
    head_norms,
    linear,
    norms,
    projections,
)
from estimators.architecture.decoder import FULL, SLIDING, decoder, heads, layer_types, window_of
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward, LayerGroup, Role, Split

NORMS = ("input_layernorm", "post_attention_layernorm")


def llama(c: Fields, root: str = "model") -> Body:
    """Llama 1 to 3 and everything that took its shape (Yi, TinyLlama, SmolLM, Granite 3)."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
    tensors += gated_mlp(width, inner, bias=c.flag("mlp_bias")) + norms(width, *NORMS)
    layer = decoder_layer(tensors, attention, FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")
    return decoder(c, root, [FULL] * c.layers(), lambda _: layer)


def mistral(c: Fields, root: str = "model") -> Body:
    """Llama's shape with one sliding window on every layer, where the config still has one."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    attention = heads(c, window=window_of(c))
    tensors = projections(attention, width) + gated_mlp(width, inner) + norms(width, *NORMS)
    layer = decoder_layer(tensors, attention, FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")
    return decoder(c, root, [FULL] * c.layers(), lambda _: layer)


def qwen_windows(c: Fields) -> list[str]:
    """Qwen 2 and 3 slide only when `use_sliding_window`, and then from layer `max_window_layers` on."""
    if not c.flag("use_sliding_window", instead=False):
        return [FULL] * c.layers()
    first = c.count("max_window_layers", low=0)
    return layer_types(c, lambda index: SLIDING if index >= first else FULL)


def qwen2(c: Fields, root: str = "model") -> Body:
    """Biases on q, k and v and nowhere else."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")

    def layer(kind: str) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind == SLIDING else None)
        tensors = projections(attention, width, qkv_bias=True) + gated_mlp(width, inner) + norms(width, *NORMS)
        return decoder_layer(tensors, attention, FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, qwen_windows(c), layer)


def qwen3(c: Fields, root: str = "model") -> Body:
    """RMS norms on the heads of q and k."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")

    def layer(kind: str) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind == SLIDING else None)
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + head_norms(attention)
        tensors += gated_mlp(width, inner) + norms(width, *NORMS)
        return decoder_layer(tensors, attention, FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, qwen_windows(c), layer)


def phi3(c: Fields, root: str = "model") -> Body:
    """Phi 3 and 4: q, k, v in one matrix, gate and up in another."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    attention = heads(c, window=window_of(c))
    tensors = fused_projections(attention, width, qkv="self_attn.qkv_proj", out="self_attn.o_proj")
    tensors += linear("mlp.gate_up_proj", 2 * inner, width, Role.FFN, Split.COLUMN)
    tensors += linear("mlp.down_proj", width, inner, Role.FFN, Split.ROW) + norms(width, *NORMS)
    layer = decoder_layer(tensors, attention, FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")
    return decoder(c, root, [FULL] * c.layers(), lambda _: layer)
