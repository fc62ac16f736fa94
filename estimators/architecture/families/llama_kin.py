"""Close relatives of Llama that differ in a bias, a norm or the feed-forward."""

from __future__ import annotations

from estimators.architecture.blocks import (
    Body,
    decoder_layer,
    gated_mlp,
    norms,
    plain_mlp,
    projections,
    vector,
)
from estimators.architecture.decoder import FULL, SLIDING, decoder, heads, layer_types, uniform, window_of
from estimators.architecture.families.llama import NORMS
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward, LayerGroup, Role


def smollm3(c: Fields, root: str = "model") -> Body:
    """SmolLM 3: Llama's tensors; windows only when asked for."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    sliding = c.flag("use_sliding_window", instead=False)

    def layer(kind: str) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind == SLIDING and sliding else None)
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
        tensors += gated_mlp(width, inner, bias=c.flag("mlp_bias")) + norms(width, *NORMS)
        return decoder_layer(tensors, attention, FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, layer_types(c, lambda _: FULL), layer)


def seed_oss(c: Fields, root: str = "model") -> Body:
    """Seed-OSS: biases on q, k, v and, apart, on o."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=c.flag("attention_bias"), out_bias=c.flag("attention_out_bias"))
    tensors += gated_mlp(width, inner, bias=c.flag("mlp_bias")) + norms(width, *NORMS)
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner)))


def ernie4_5(c: Fields, root: str = "model") -> Body:
    """ERNIE 4.5 dense: one `use_bias` for everything."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("use_bias")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
    tensors += gated_mlp(width, inner, bias=bias) + norms(width, *NORMS)
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner)))


def arcee(c: Fields, root: str = "model") -> Body:
    """AFM: two-matrix squared-ReLU feed-forward."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + norms(width, *NORMS)
    tensors += plain_mlp(width, inner, up="mlp.up_proj", down="mlp.down_proj", bias=c.flag("mlp_bias"))
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner, gated=False)))


def apertus(c: Fields, root: str = "model") -> Body:
    """Apertus: head norms, two matrices and an activation with two parameters of its own."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
    tensors += norms(attention.head_dim, "self_attn.q_norm", "self_attn.k_norm")
    tensors += plain_mlp(width, inner, up="mlp.up_proj", down="mlp.down_proj")
    tensors += norms(width, "attention_layernorm", "feedforward_layernorm")
    for name in ("alpha_p", "alpha_n"):
        tensors += vector(f"mlp.act_fn.{name}", (1,), Role.FFN)
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner, gated=False)))


def hunyuan(c: Fields, root: str = "model") -> Body:
    """Hunyuan dense: head norms under names of its own."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
    tensors += norms(attention.head_dim, "self_attn.query_layernorm", "self_attn.key_layernorm")
    tensors += gated_mlp(width, inner) + norms(width, *NORMS)
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner)))


def ministral(c: Fields, root: str = "model") -> Body:
    """Ministral 8B: Mistral with windows on the layers that `layer_types` names."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")

    def layer(kind: str) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind == SLIDING else None)
        tensors = projections(attention, width) + gated_mlp(width, inner) + norms(width, *NORMS)
        return decoder_layer(tensors, attention, FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, layer_types(c, lambda _: SLIDING), layer)
