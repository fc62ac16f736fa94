"""The first generation: GPT-2, GPT-J, GPT-NeoX, OPT, BLOOM, Falcon, MPT, StarCoder 1, DBRX."""

from __future__ import annotations

from estimators.architecture.blocks import (
    Body,
    Tensors,
    embeddings,
    fused_projections,
    gated_experts,
    grouped_query,
    linear,
    norm,
    norms,
    plain_mlp,
    projections,
    repeat,
    router,
    vector,
)
from estimators.architecture.families.moe import expert_counts
from estimators.architecture.fields import MAX_LAYERS, MAX_TOKENS, Fields
from estimators.architecture.spec import Attention, FeedForward, LayerGroup, Role, Split


def all_heads(c: Fields, width: str, count: str) -> Attention:
    """Multi-head attention: as many key-value heads as query heads, D / N each."""
    n = c.count(count)
    return grouped_query(n, n, c.shares(width, c.count(width), count, n))


def alike(count: int, tensors: Tensors, attention: Attention, ffn: FeedForward, prefix: str) -> tuple[LayerGroup, ...]:
    layer = LayerGroup(layers=(), tensors=tensors, attention=attention, ffn=ffn, prefix=prefix)
    return repeat([0] * count, lambda _: layer)


def body(
    c: Fields, width: str, groups: tuple[LayerGroup, ...], tensors: Tensors, *, tied: bool, context: str | None
) -> Body:
    return Body(
        hidden_size=c.count(width),
        vocab_size=c.count("vocab_size"),
        tied=tied,
        groups=groups,
        tensors=tensors,
        max_positions=c.optional_count(context, high=MAX_TOKENS) if context else None,
    )


def gpt2(c: Fields) -> Body:
    """Learned positions, biases everywhere."""
    width, vocab, context = c.count("n_embd"), c.count("vocab_size"), c.count("n_positions")
    inner = c.count("n_inner", instead=4 * width)
    attention, tied = all_heads(c, "n_embd", "n_head"), c.flag("tie_word_embeddings")
    tensors = fused_projections(
        attention, width, qkv="attn.c_attn", out="attn.c_proj", qkv_bias=True, out_bias=True
    ) + plain_mlp(width, inner, up="mlp.c_fc", down="mlp.c_proj", bias=True)
    tensors += norms(width, "ln_1", "ln_2", bias=True)
    groups = alike(
        c.count("n_layer", high=MAX_LAYERS),
        tensors,
        attention,
        FeedForward(width=inner, gated=False),
        "transformer.h.{i}",
    )
    outside = embeddings(vocab, width, tied=tied, embed="transformer.wte")
    outside += vector("transformer.wpe", (context, width), Role.EMBEDDING) + norm("transformer.ln_f", width, bias=True)
    return body(c, "n_embd", groups, outside, tied=tied, context="n_positions")


def gpt_bigcode(c: Fields) -> Body:
    """StarCoder 1: GPT-2 with one key-value head."""
    width, vocab, context = c.count("n_embd"), c.count("vocab_size"), c.count("n_positions")
    inner = c.count("n_inner", instead=4 * width)
    n = c.count("n_head")
    attention = grouped_query(n, 1 if c.flag("multi_query") else n, c.shares("n_embd", width, "n_head", n))
    tied = c.flag("tie_word_embeddings")
    tensors = fused_projections(
        attention, width, qkv="attn.c_attn", out="attn.c_proj", qkv_bias=True, out_bias=True
    ) + plain_mlp(width, inner, up="mlp.c_fc", down="mlp.c_proj", bias=True)
    tensors += norms(width, "ln_1", "ln_2", bias=True)
    groups = alike(
        c.count("n_layer", high=MAX_LAYERS),
        tensors,
        attention,
        FeedForward(width=inner, gated=False),
        "transformer.h.{i}",
    )
    outside = embeddings(vocab, width, tied=tied, embed="transformer.wte")
    outside += vector("transformer.wpe", (context, width), Role.EMBEDDING) + norm("transformer.ln_f", width, bias=True)
    return body(c, "n_embd", groups, outside, tied=tied, context="n_positions")


def opt(c: Fields) -> Body:
    """Learned positions two longer than the context; the 350M model projects narrow embeddings up and down."""
    width, inner, bias = c.count("hidden_size"), c.count("ffn_dim"), c.flag("enable_bias")
    affine, before = c.flag("layer_norm_elementwise_affine"), c.flag("do_layer_norm_before")
    attention, tied = all_heads(c, "hidden_size", "num_attention_heads"), c.flag("tie_word_embeddings")
    names = ("q_proj", "k_proj", "v_proj", "out_proj")
    tensors = projections(attention, width, names=names, qkv_bias=bias, out_bias=bias)
    tensors += plain_mlp(width, inner, up="fc1", down="fc2", bias=bias)
    tensors += norms(width, "self_attn_layer_norm", "final_layer_norm", bias=True) if affine else ()
    groups = alike(c.layers(), tensors, attention, FeedForward(width=inner, gated=False), "model.decoder.layers.{i}")
    narrow = c.count("word_embed_proj_dim", instead=width)
    outside = embeddings(c.count("vocab_size"), narrow, tied=tied, embed="model.decoder.embed_tokens")
    positions = c.count("max_position_embeddings") + 2
    outside += vector("model.decoder.embed_positions", (positions, width), Role.EMBEDDING)
    if narrow != width:
        outside += linear("model.decoder.project_in", width, narrow, Role.EMBEDDING, Split.REPLICATED)
        outside += linear("model.decoder.project_out", narrow, width, Role.EMBEDDING, Split.REPLICATED)
    if before and affine and not c.flag("_remove_final_layer_norm", instead=False):
        outside += norm("model.decoder.final_layer_norm", width, bias=True)
    return body(c, "hidden_size", groups, outside, tied=tied, context="max_position_embeddings")


def bloom(c: Fields) -> Body:
    """ALiBi instead of positions, a norm on the embeddings; its configs say n_embed, n_layer, n_head or the like."""
    width_name = "n_embed" if c.has("n_embed") else "hidden_size"
    heads_name = "num_attention_heads" if c.has("num_attention_heads") else "n_head"
    layers_name = "num_hidden_layers" if c.has("num_hidden_layers") else "n_layer"
    width, tied = c.count(width_name), c.flag("tie_word_embeddings")
    attention = all_heads(c, width_name, heads_name)
    tensors = fused_projections(
        attention, width, qkv="self_attention.query_key_value", out="self_attention.dense", qkv_bias=True, out_bias=True
    ) + plain_mlp(width, 4 * width, up="mlp.dense_h_to_4h", down="mlp.dense_4h_to_h", bias=True)
    tensors += norms(width, "input_layernorm", "post_attention_layernorm", bias=True)
    ffn = FeedForward(width=4 * width, gated=False)
    groups = alike(c.count(layers_name, high=MAX_LAYERS), tensors, attention, ffn, "transformer.h.{i}")
    outside = embeddings(c.count("vocab_size"), width, tied=tied, embed="transformer.word_embeddings")
    outside += norm("transformer.word_embeddings_layernorm", width, bias=True)
    outside += norm("transformer.ln_f", width, bias=True)
    return body(c, width_name, groups, outside, tied=tied, context="seq_length")


def falcon(c: Fields) -> Body:
    """7B: one key-value head. 40B on (`new_decoder_architecture`): groups and two norms. 1B: multi-head or neither."""
    heads_name = "num_attention_heads" if c.has("num_attention_heads") else "n_head"
    layers_name = "num_hidden_layers" if c.has("num_hidden_layers") else "n_layer"
    width, bias, grouped = c.count("hidden_size"), c.flag("bias"), c.flag("new_decoder_architecture")
    n, tied = c.count(heads_name), c.flag("tie_word_embeddings")
    kv_name = "num_kv_heads" if c.has("num_kv_heads") else "n_head_kv"
    kv = c.count(kv_name, instead=n) if grouped else 1 if c.flag("multi_query") else n
    c.shares(heads_name, n, kv_name, kv)
    attention = grouped_query(n, kv, c.shares("hidden_size", width, heads_name, n))
    inner = c.count("ffn_hidden_size", instead=4 * width)
    tensors = fused_projections(
        attention, width, qkv="self_attention.query_key_value", out="self_attention.dense", qkv_bias=bias, out_bias=bias
    ) + plain_mlp(width, inner, up="mlp.dense_h_to_4h", down="mlp.dense_4h_to_h", bias=bias)
    tensors += norms(width, *falcon_norms(c, grouped=grouped), bias=True)
    ffn = FeedForward(width=inner, gated=False)
    groups = alike(c.count(layers_name, high=MAX_LAYERS), tensors, attention, ffn, "transformer.h.{i}")
    outside = embeddings(c.count("vocab_size"), width, tied=tied, embed="transformer.word_embeddings")
    outside += norm("transformer.ln_f", width, bias=True)
    return body(c, "hidden_size", groups, outside, tied=tied, context="max_position_embeddings")


def falcon_norms(c: Fields, *, grouped: bool) -> tuple[str, ...]:
    if grouped and c.count("num_ln_in_parallel_attn", high=2, instead=2) == 2:
        return ("ln_attn", "ln_mlp")
    return ("input_layernorm",) if c.flag("parallel_attn") else ("input_layernorm", "post_attention_layernorm")


def dbrx(c: Fields) -> Body:
    """Sixteen fine-grained experts, sizes in sections of their own."""
    width, n, tied = c.count("d_model"), c.count("n_heads"), c.flag("tie_word_embeddings")
    attn, ffn_section = c.section("attn_config"), c.section("ffn_config")
    kv = attn.count("kv_n_heads", instead=1)
    c.shares("n_heads", n, "kv_n_heads", kv)
    attention = grouped_query(n, kv, c.shares("d_model", width, "n_heads", n))
    inner = ffn_section.count("ffn_hidden_size")
    experts, chosen = expert_counts(ffn_section, "moe_num_experts", "moe_top_k")
    block = "norm_attn_norm"
    tensors = fused_projections(attention, width, qkv=f"{block}.attn.Wqkv", out=f"{block}.attn.out_proj")
    tensors += router(experts, width, name="ffn.router.layer")
    tensors += gated_experts(experts, width, inner, prefix="ffn.experts.mlp.{e}", names=("w1", "v1", "w2"))
    tensors += norms(width, f"{block}.norm_1", f"{block}.norm_2")
    ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen)
    groups = alike(c.count("n_layers", high=MAX_LAYERS), tensors, attention, ffn, "transformer.blocks.{i}")
    outside = embeddings(c.count("vocab_size"), width, tied=tied, embed="transformer.wte")
    return body(c, "d_model", groups, outside + norm("transformer.norm_f", width), tied=tied, context="max_seq_len")
