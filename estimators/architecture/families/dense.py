"""Dense decoders that leave Llama's mould: other norms, biases, parallel blocks, two-matrix feed-forward."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    Tensors,
    decoder_layer,
    gated_mlp,
    head_norms,
    linear,
    norm,
    norms,
    plain_mlp,
    projections,
)
from estimators.architecture.decoder import FULL, SLIDING, decoder, heads, layer_types, uniform, window_of
from estimators.architecture.families.llama import NORMS
from estimators.architecture.fields import Fields
from estimators.architecture.spec import Attention, FeedForward, LayerGroup, Role, Split


def every(period: int) -> list[str]:
    """One full layer closes each period of sliding ones."""
    return [SLIDING] * (period - 1) + [FULL]


def wide_norms(attention: Attention) -> Tensors:
    """OLMo 2's norms of q and k, across all heads at once."""
    return norm("self_attn.q_norm", attention.q_heads * attention.head_dim) + norm(
        "self_attn.k_norm", attention.kv_heads * attention.head_dim
    )


def olmo2(c: Fields, root: str = "model") -> Body:
    """Norms after the blocks instead of before."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + wide_norms(attention)
    tensors += gated_mlp(width, inner) + norms(width, "post_attention_layernorm", "post_feedforward_layernorm")
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner)))


def olmo3(c: Fields, root: str = "model") -> Body:
    """OLMo 2 with windows on three layers of four."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")

    def layer(kind: str) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind == SLIDING else None)
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + wide_norms(attention)
        tensors += gated_mlp(width, inner) + norms(width, "post_attention_layernorm", "post_feedforward_layernorm")
        return decoder_layer(tensors, attention, FeedForward(width=inner))

    return decoder(c, root, layer_types(c, lambda index: every(4)[index % 4]), layer)


def olmo(c: Fields, root: str = "model") -> Body:
    """OLMo 1: norms without parameters."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + gated_mlp(width, inner)
    body = uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner)))
    return replace(body, tensors=tuple(tensor for tensor in body.tensors if tensor.role is not Role.NORM))


def exaone4(c: Fields, root: str = "model") -> Body:
    """Norms after the blocks, norms on heads, windows by a pattern of letters (L local, G global)."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    pattern = c.get("sliding_window_pattern")

    def kind_of(index: int) -> str:
        if isinstance(pattern, str) and pattern and len(pattern) <= 64:
            return SLIDING if pattern[index % len(pattern)] == "L" else FULL
        if isinstance(pattern, int) and not isinstance(pattern, bool) and pattern > 0:
            return FULL if (index + 1) % pattern == 0 else SLIDING
        return FULL

    def layer(kind: str) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind == SLIDING else None)
        tensors = projections(attention, width) + head_norms(attention) + gated_mlp(width, inner)
        tensors += norms(width, "post_attention_layernorm", "post_feedforward_layernorm")
        return decoder_layer(tensors, attention, FeedForward(width=inner))

    return decoder(c, root, layer_types(c, kind_of), layer)


def cohere(c: Fields, root: str = "model") -> Body:
    """Command: attention and feed-forward side by side under one norm, norms per head where asked."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
    if c.flag("use_qk_norm"):
        tensors += wide_norms(attention)
    tensors += gated_mlp(width, inner) + norm("input_layernorm", width)
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner)))


def cohere2(c: Fields, root: str = "model") -> Body:
    """Command R7B and A: windows on three layers of four."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    period = c.count("sliding_window_pattern", instead=4)

    def layer(kind: str) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind == SLIDING else None)
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + gated_mlp(width, inner)
        return decoder_layer(tensors + norm("input_layernorm", width), attention, FeedForward(width=inner))

    return decoder(c, root, layer_types(c, lambda index: FULL if (index + 1) % period == 0 else SLIDING), layer)


def stablelm(c: Fields, root: str = "model") -> Body:
    """Layer norms with biases, biases on q, k and v where asked, no second norm in parallel blocks."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=c.flag("use_qkv_bias")) + gated_mlp(width, inner)
    if c.flag("qk_layernorm"):
        for name, count in (("q", attention.q_heads), ("k", attention.kv_heads)):
            tensors += tuple(
                replace(tensor, copies=count)
                for tensor in norm(f"self_attn.{name}_layernorm.norms.{{e}}", attention.head_dim)
            )
    names = NORMS[:1] if c.flag("use_parallel_residual") else NORMS
    tensors += norms(width, *names, bias=True)
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner)), norm_bias=True)


def phi(c: Fields, root: str = "model") -> Body:
    """Phi 1 and 2: parallel block under one layer norm, two-matrix feed-forward, biases everywhere, the head too."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    attention = heads(c)
    names = ("q_proj", "k_proj", "v_proj", "dense")
    tensors = projections(attention, width, names=names, qkv_bias=True, out_bias=True)
    if c.flag("qk_layernorm"):
        tensors += norms(attention.head_dim, "self_attn.q_layernorm", "self_attn.k_layernorm", bias=True)
    tensors += plain_mlp(width, inner, up="mlp.fc1", down="mlp.fc2", bias=True)
    tensors += norm("input_layernorm", width, bias=True)
    layer = decoder_layer(tensors, attention, FeedForward(width=inner, gated=False))
    return decoder(
        c, root, [FULL] * c.layers(), lambda _: layer, final_norm="final_layernorm", norm_bias=True, head_bias=True
    )


def starcoder2(c: Fields, root: str = "model") -> Body:
    """Layer norms, two-matrix feed-forward, biases where `use_bias`."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("use_bias")
    attention = heads(c, window=window_of(c))
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
    tensors += plain_mlp(width, inner, up="mlp.c_fc", down="mlp.c_proj", bias=bias) + norms(width, *NORMS, bias=True)
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner, gated=False)), norm_bias=True)


def nemotron(c: Fields, root: str = "model") -> Body:
    """Nemotron 4 and Minitron: layer norms with biases, two-matrix squared-ReLU feed-forward."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
    tensors += plain_mlp(width, inner, up="mlp.up_proj", down="mlp.down_proj", bias=c.flag("mlp_bias"))
    tensors += norms(width, *NORMS, bias=True)
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner, gated=False)), norm_bias=True)


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


def glm4(c: Fields, root: str = "model") -> Body:
    """GLM 4 dense: four norms, gate and up in one matrix."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=c.flag("attention_bias"))
    tensors += linear("mlp.gate_up_proj", 2 * inner, width, Role.FFN, Split.COLUMN)
    tensors += linear("mlp.down_proj", width, inner, Role.FFN, Split.ROW)
    tensors += norms(width, *NORMS, "post_self_attn_layernorm", "post_mlp_layernorm")
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner)))


def glm(c: Fields, root: str = "model") -> Body:
    """GLM 4 of 2024 in its transformers form: two norms, gate and up in one matrix."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=c.flag("attention_bias"))
    tensors += linear("mlp.gate_up_proj", 2 * inner, width, Role.FFN, Split.COLUMN)
    tensors += linear("mlp.down_proj", width, inner, Role.FFN, Split.ROW) + norms(width, *NORMS)
    return uniform(c, root, decoder_layer(tensors, attention, FeedForward(width=inner)))


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
