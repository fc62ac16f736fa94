"""Close relatives of Llama that differ in a bias, a norm or the feed-forward."""

from __future__ import annotations

from estimators.architecture.blocks import (
    Body,
    decoder_layer,
    gated_mlp,
    norms,
    projections,
)
from estimators.architecture.decoder import NORMS, heads, uniform
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward


def hunyuan(c: Fields, root: str = "model") -> Body:
    """Hunyuan dense: head norms under names of its own."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
    tensors += norms(attention.head_dim, "self_attn.query_layernorm", "self_attn.key_layernorm")
    tensors += gated_mlp(width, inner) + norms(width, *NORMS)
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner)))
