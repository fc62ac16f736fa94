"""Dense decoders that leave Llama's mould: other norms, biases, parallel blocks, two-matrix feed-forward."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    decoder_layer,
    gated_mlp,
    linear,
    norms,
    projections,
)
from estimators.architecture.decoder import FULL, NORMS, decoder, heads
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward, Role, Split


def mimo(c: Fields, root: str = "model") -> Body:
    """MiMo 7B: Qwen 2's shape with stored prediction layers."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=c.flag("attention_bias")) + gated_mlp(width, inner)
    tensors += norms(width, *NORMS)
    layer = decoder_layer(tensors, attention, FeedForward(width=inner))
    extra = norms(width, "token_layernorm", "hidden_layernorm", "final_layernorm")
    extra += linear("input_proj", width, 2 * width, Role.MTP, Split.REPLICATED)
    count = c.count("num_nextn_predict_layers", low=0, high=64, instead=0)
    mtp = replace(
        layer, layers=tuple(range(count)), tensors=tensors + extra, stack="mtp", prefix=f"{root}.mtp_layers.{{i}}"
    )
    return decoder(c, root, [FULL] * c.layers(), lambda _: layer, mtp=(mtp,) if count else ())


def phi3small(c: Fields, root: str = "model") -> Body:
    """Phi 3 small: layer norms with biases, one matrix for q, k, v, one for both halves of the gated unit.

    Its block-sparse layers cache every token all the same.
    """
    width, inner = c.count("hidden_size"), c.count("ff_intermediate_size")
    attention = heads(c)
    rows = (attention.q_heads + 2 * attention.kv_heads) * attention.head_dim
    tensors = linear("self_attn.query_key_value", rows, width, Role.ATTENTION, Split.COLUMN, bias=True)
    tensors += linear("self_attn.dense", width, width, Role.ATTENTION, Split.ROW, bias=True)
    tensors += linear("mlp.up_proj", 2 * inner, width, Role.FFN, Split.COLUMN, bias=True)
    tensors += linear("mlp.down_proj", width, inner, Role.FFN, Split.ROW, bias=True)
    tensors += norms(width, *NORMS, bias=True)
    layer = decoder_layer(tensors, attention, FeedForward(width=inner))
    return decoder(
        c, root, [FULL] * c.layers(), lambda _: layer, final_norm="final_layernorm", norm_bias=True, tied=True
    )
