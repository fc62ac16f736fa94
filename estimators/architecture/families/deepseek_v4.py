"""DeepSeek V4: a window of one shared key-value head, beside it the whole context compressed; hyper-connections.

Tensors are named as in DeepSeek's own files ("layers.3.attn.wq_a"). https://huggingface.co/deepseek-ai/DeepSeek-V4-Pro
"""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    Tensors,
    buffer,
    embeddings,
    gated_experts,
    gated_mlp,
    linear,
    norm,
    norms,
    repeat,
    router,
    vector,
)
from estimators.architecture.families.moe import expert_counts
from estimators.architecture.fields import MAX_TOKENS, Fields
from estimators.architecture.spec import Attention, AttentionKind, FeedForward, LayerGroup, Role, Split

Kind = tuple[int, bool]  # tokens per compressed entry (0 for none), routed by a hash of the token
# `layer_types` of configs saved by transformers, as ratios.
RATIOS = {"sliding_attention": 0, "compressed_sparse_attention": 4, "heavily_compressed_attention": 128}
INDEXED_BELOW = 128  # the finer compression is searched by an indexer; the coarser is read whole


def ratios(c: Fields) -> list[int]:
    """Tokens per compressed entry of each layer; the list may go on with the prediction layers'."""
    count = c.layers()
    if c.has("layer_types"):
        names = c.texts("layer_types", length=count)
        for name in names:
            if name not in RATIOS:
                raise c.error("layer_types", f"holds {name[:40]!r}; known are {', '.join(RATIOS)}")
        return [RATIOS[name] for name in names]
    stated = c.counts("compress_ratios", high=1 << 20)
    if len(stated) < count:
        raise c.error("compress_ratios", f"should have at least {count} entries and has {len(stated)}")
    return list(stated[:count])


def attention_of(c: Fields, ratio: int) -> Attention:
    dim, indexed = c.count("head_dim"), 0 < ratio < INDEXED_BELOW
    return Attention(
        kind=AttentionKind.SLIDING,
        q_heads=c.count("num_attention_heads"),
        kv_heads=1,
        head_dim=dim,
        value_dim=dim,
        window=c.count("sliding_window", high=MAX_TOKENS),
        keys_are_values=True,
        compression=ratio,
        indexer_dim=c.count("index_head_dim") if indexed else 0,
        indexer_topk=c.count("index_topk") if indexed else 0,
    )


def projected(c: Fields, attention: Attention) -> Tensors:
    """Low-rank queries, one key-value head, and an output in two steps: by groups, then across them."""
    width, n, dim, role = c.count("hidden_size"), attention.q_heads, attention.head_dim, Role.ATTENTION
    rank, groups, out_rank = c.count("q_lora_rank"), c.count("o_groups"), c.count("o_lora_rank")
    per_group = c.shares("num_attention_heads x head_dim", n * dim, "o_groups", groups)
    made = linear("attn.wq_a", rank, width, role, Split.REPLICATED) + norm("attn.q_norm", rank)
    made += linear("attn.wq_b", n * dim, rank, role, Split.COLUMN)
    made += linear("attn.wkv", dim, width, role, Split.REPLICATED) + norm("attn.kv_norm", dim)
    made += linear("attn.wo_a", groups * out_rank, per_group, role, Split.COLUMN)
    made += linear("attn.wo_b", width, groups * out_rank, role, Split.ROW)
    return made + vector("attn.attn_sink", (n,), role, Split.COLUMN, dtype="float32")


def compressor(width: int, dim: int, ratio: int, prefix: str) -> Tensors:
    """Entries of `dim` made from `ratio` tokens; fine ones overlap, which doubles the projections."""
    wide = 2 * dim if ratio < INDEXED_BELOW else dim
    made = vector(f"{prefix}.ape", (ratio, wide), Role.ATTENTION, dtype="float32")
    for name in ("wkv", "wgate"):
        made += linear(f"{prefix}.{name}", wide, width, Role.ATTENTION, Split.REPLICATED)
    return made + norm(f"{prefix}.norm", dim)


def compressing(c: Fields, attention: Attention) -> Tensors:
    width, ratio = c.count("hidden_size"), attention.compression
    if not ratio:
        return ()
    made = compressor(width, attention.head_dim, ratio, "attn.compressor")
    if attention.indexer_dim:
        n, rank, prefix = c.count("index_n_heads"), c.count("q_lora_rank"), "attn.indexer"
        made += compressor(width, attention.indexer_dim, ratio, f"{prefix}.compressor")
        made += linear(f"{prefix}.wq_b", n * attention.indexer_dim, rank, Role.ATTENTION, Split.REPLICATED)
        made += linear(f"{prefix}.weights_proj", n, width, Role.ATTENTION, Split.REPLICATED)
    return made


def mixture(c: Fields, *, hashed: bool) -> tuple[Tensors, FeedForward]:
    """Experts and one shared; the first layers choose by a table from token to experts."""
    width, inner = c.count("hidden_size"), c.count("moe_intermediate_size")
    experts, chosen = expert_counts(c, "n_routed_experts")
    shared = c.count("n_shared_experts", low=0, instead=0)
    names = ("w1", "w3", "w2")
    made = router(experts, width, name="ffn.gate")
    if hashed:
        made += buffer("ffn.gate.tid2eid", (c.count("vocab_size"), chosen), Role.ROUTER, dtype="float32")
    else:
        made += buffer("ffn.gate.bias", (experts,), Role.ROUTER, dtype="float32")
    made += gated_experts(experts, width, inner, prefix="ffn.experts.{e}", names=names)
    if shared:
        prefix = "ffn.shared_experts"
        bias = c.flag("mlp_bias", instead=False)
        made += gated_mlp(width, inner * shared, prefix=prefix, names=names, role=Role.SHARED_EXPERT, bias=bias)
    ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen, shared_experts=shared, shared_width=inner)
    return made, ffn


def hyper_connection(c: Fields, name: str) -> Tensors:
    """Mixing weights of m residual streams around a block: (2 + m) m outputs from m D inputs."""
    m, width = c.count("hc_mult", high=64), c.count("hidden_size")
    made = vector(f"{name}_fn", ((2 + m) * m, m * width), Role.NORM, dtype="float32")
    made += vector(f"{name}_base", ((2 + m) * m,), Role.NORM, dtype="float32")
    return made + vector(f"{name}_scale", (3,), Role.NORM, dtype="float32")


def head_connection(c: Fields, prefix: str) -> Tensors:
    m, width = c.count("hc_mult", high=64), c.count("hidden_size")
    made = vector(f"{prefix}hc_head_fn", (m, m * width), Role.NORM, dtype="float32")
    made += vector(f"{prefix}hc_head_base", (m,), Role.NORM, dtype="float32")
    return made + vector(f"{prefix}hc_head_scale", (1,), Role.NORM, dtype="float32")


def layer(c: Fields, kind: Kind) -> LayerGroup:
    ratio, hashed = kind
    attention = attention_of(c, ratio)
    made, ffn = mixture(c, hashed=hashed)
    tensors = projected(c, attention) + compressing(c, attention) + made
    tensors += norms(c.count("hidden_size"), "attn_norm", "ffn_norm")
    tensors += hyper_connection(c, "hc_attn") + hyper_connection(c, "hc_ffn")
    return LayerGroup(layers=(), tensors=tensors, attention=attention, ffn=ffn, prefix="layers.{i}")


def prediction(c: Fields) -> tuple[LayerGroup, ...]:
    """Prediction layers: a window only, projections of both inputs, a connection to the head."""
    if c.has("dspark_target_layer_ids"):
        return dspark(c)
    count = c.count("num_nextn_predict_layers", low=0, high=64, instead=0)
    if not count:
        return ()
    width, base = c.count("hidden_size"), layer(c, (0, False))
    extra = norms(width, "enorm", "hnorm", "norm") + head_connection(c, "")
    for name in ("e_proj", "h_proj"):
        extra += linear(name, width, width, Role.FFN, Split.REPLICATED)
    group = replace(base, layers=tuple(range(count)), tensors=base.tensors + extra, stack="mtp", prefix="mtp.{i}")
    return (group,)


def dspark(c: Fields) -> tuple[LayerGroup, ...]:
    """A DSpark drafter: three layers with a window over a projection of some layers' outputs, and a Markov head.

    vLLM models/deepseek_v4/amd/dspark.py and models/qwen3_dspark.py: `main_proj` is D x nD for n tapped layers, the
    head two tables of V x r. DeepSeek-V4-Flash-0731: n = 3, r = 256, V = 129,280.
    """
    width, base = c.count("hidden_size"), layer(c, (0, False))
    count, tapped = c.count("n_mtp_layers", high=64, instead=3), len(c.counts("dspark_target_layer_ids", limit=64))
    rank, vocab = c.count("dspark_markov_rank"), c.count("vocab_size")
    extra = norms(width, "main_norm", "norm") + head_connection(c, "")
    extra += linear("main_proj", width, tapped * width, Role.FFN, Split.REPLICATED)
    for name in ("markov_w1", "markov_w2"):
        extra += linear(f"markov_head.{name}", vocab, rank, Role.FFN, Split.REPLICATED)
    first = replace(base, layers=tuple(range(count - 1)), stack="mtp", prefix="mtp.{i}")
    last = replace(base, layers=(count - 1,), tensors=base.tensors + extra, stack="mtp", prefix="mtp.{i}")
    return (first, last) if count > 1 else (last,)


def deepseek_v4(c: Fields) -> Body:
    width, vocab, tied = c.count("hidden_size"), c.count("vocab_size"), c.flag("tie_word_embeddings")
    hashed = c.count("num_hash_layers", low=0, instead=3)
    kinds = [(ratio, index < hashed) for index, ratio in enumerate(ratios(c))]
    outside = embeddings(vocab, width, tied=tied, embed="embed", head="head") + norm("norm", width)
    return Body(
        hidden_size=width,
        vocab_size=vocab,
        tied=tied,
        groups=repeat(kinds, lambda kind: layer(c, kind)) + prediction(c),
        tensors=outside + head_connection(c, ""),
        max_positions=c.optional_count("max_position_embeddings", high=MAX_TOKENS),
    )
