"""Gemma: norms before and after every block, windows on most layers, a large tied vocabulary."""

from __future__ import annotations

from estimators.architecture.blocks import Body, decoder_layer, gated_mlp, norms, projections
from estimators.architecture.decoder import FULL, SLIDING, decoder, heads, layer_types, window_of
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward, LayerGroup

FOUR_NORMS = (
    "input_layernorm",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "post_feedforward_layernorm",
)


def gemma2(c: Fields, root: str = "model") -> Body:
    """Every other layer slides, the first among them."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")

    def layer(kind: str) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind == SLIDING else None)
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
        tensors += gated_mlp(width, inner) + norms(width, *FOUR_NORMS)
        return decoder_layer(tensors, attention, FeedForward(width=inner), prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, layer_types(c, lambda index: FULL if index % 2 else SLIDING), layer)
