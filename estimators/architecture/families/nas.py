"""Nemotron-NAS (DeciLM): Llama's shape with attention and feed-forward chosen layer by layer."""

from __future__ import annotations

from collections.abc import Mapping

from estimators.architecture.blocks import Body, Tensors, gated_mlp, grouped_query, linear, norm, projections
from estimators.architecture.decoder import decoder
from estimators.architecture.fields import Fields
from estimators.architecture.spec import Attention, FeedForward, LayerGroup, Role, Split

Kind = tuple[int, int]  # key-value heads (0 none, -1 a linear map), feed-forward width (0 none, -1 a linear map)


def rounded(width: int) -> int:
    """Up to a multiple of 256, as the model's own code does."""
    return -(-width // 256) * 256


def kind_of(c: Fields, block: Fields) -> Kind:
    attention, ffn = block.section("attention"), block.section("ffn")
    kv = 0
    if attention.flag("replace_with_linear", instead=False):
        kv = -1
    elif not attention.flag("no_op", instead=False):
        per_group, q_heads = attention.count("n_heads_in_group"), c.count("num_attention_heads")
        kv = c.shares("num_attention_heads", q_heads, "n_heads_in_group", per_group)
    inner = 0
    if ffn.flag("replace_with_linear", instead=False):
        inner = -1
    elif not ffn.flag("no_op", instead=False):
        multiple = ffn.number("ffn_mult", low=1e-3, high=1e3)
        inner = rounded(int(2 * multiple * c.count("hidden_size") / 3))
    return kv, inner


def kinds(c: Fields) -> list[Kind]:
    blocks, count = c.optional_items("block_configs"), c.layers()
    if blocks is None or len(blocks) != count:
        raise c.error("block_configs", f"should have {count} entries, one per layer")
    made = []
    for block in blocks:
        if not isinstance(block, Mapping):
            raise c.error("block_configs", "should hold one section per layer")
        made.append(kind_of(c, Fields(block, path="block_configs.")))
    return made


def layer(c: Fields, kind: Kind) -> LayerGroup:
    kv, inner = kind
    width, bias = c.count("hidden_size"), c.flag("attention_bias", instead=False)
    q_heads = c.count("num_attention_heads")
    attention: Attention | None = None
    tensors: Tensors = ()
    if kv > 0:
        head_dim = c.shares("hidden_size", width, "num_attention_heads", q_heads)
        attention = grouped_query(q_heads, kv, head_dim)
        tensors += projections(attention, width, qkv_bias=bias, out_bias=bias)
    elif kv < 0:
        tensors += linear("self_attn.linear_attn", width, width, Role.ATTENTION, Split.REPLICATED)
    tensors += norm("input_layernorm", width) if kv else ()
    if inner > 0:
        tensors += gated_mlp(width, inner, bias=c.flag("mlp_bias", instead=False))
    elif inner < 0:
        tensors += linear("mlp.linear_mlp", width, width, Role.FFN, Split.REPLICATED)
    tensors += norm("post_attention_layernorm", width) if inner else ()
    ffn = FeedForward(width=inner) if inner > 0 else None
    return LayerGroup(layers=(), tensors=tensors, attention=attention, ffn=ffn, prefix="model.layers.{i}")


def nemotron_nas(c: Fields) -> Body:
    """`block_configs` says of each layer how many heads share a key-value head and how wide its feed-forward is."""
    return decoder(c, "model", kinds(c), lambda kind: layer(c, kind))
