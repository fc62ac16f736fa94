"""DeepSeek and its kin: multi-head latent attention, many small experts, multi-token-prediction layers."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    Tensors,
    buffer,
    decoder_layer,
    gated_experts,
    gated_mlp,
    linear,
    norm,
    norms,
    projections,
    router,
    vector,
)
from estimators.architecture.decoder import NORMS, decoder, heads
from estimators.architecture.families.moe import expert_counts
from estimators.architecture.fields import Fields
from estimators.architecture.spec import Attention, AttentionKind, FeedForward, LayerGroup, Role, Split


def latent_attention(c: Fields) -> Attention:
    """MLA: what is cached is one latent of R = kv_lora_rank and one rotary key, whatever the heads."""
    q_heads = c.count("num_attention_heads")
    rope = c.count("qk_rope_head_dim")
    return Attention(
        kind=AttentionKind.MLA,
        q_heads=q_heads,
        kv_heads=1,
        head_dim=c.count("qk_nope_head_dim") + rope,
        value_dim=c.count("v_head_dim"),
        latent_dim=c.count("kv_lora_rank"),
        rope_dim=rope,
    )


def latent_projections(c: Fields, attention: Attention, *, bias: bool = False) -> Tensors:
    """q direct or through q_lora_rank; kv down to the latent, then up to all heads; o."""
    width, n, role = c.count("hidden_size"), attention.q_heads, Role.ATTENTION
    rank = c.optional_count("q_lora_rank", low=0)
    if rank:
        tensors = linear("self_attn.q_a_proj", rank, width, role, Split.REPLICATED, bias=bias)
        tensors += norm("self_attn.q_a_layernorm", rank)
        tensors += linear("self_attn.q_b_proj", n * attention.head_dim, rank, role, Split.COLUMN)
    else:
        tensors = linear("self_attn.q_proj", n * attention.head_dim, width, role, Split.COLUMN)
    latent, nope = attention.latent_dim, attention.head_dim - attention.rope_dim
    tensors += linear(
        "self_attn.kv_a_proj_with_mqa", latent + attention.rope_dim, width, role, Split.REPLICATED, bias=bias
    )
    tensors += norm("self_attn.kv_a_layernorm", latent)
    tensors += linear("self_attn.kv_b_proj", n * (nope + attention.value_dim), latent, role, Split.COLUMN)
    return tensors + linear("self_attn.o_proj", width, n * attention.value_dim, role, Split.ROW, bias=bias)


def mixture(c: Fields, *, balanced: bool) -> tuple[Tensors, FeedForward]:
    """Routed experts beside `n_shared_experts` always taken; `balanced` adds the router's correction bias."""
    width, inner = c.count("hidden_size"), c.count("moe_intermediate_size")
    experts, chosen = expert_counts(c, "n_routed_experts")
    shared = c.count("n_shared_experts", low=0, instead=0)
    tensors = router(experts, width)
    if balanced:
        tensors += buffer("mlp.gate.e_score_correction_bias", (experts,), Role.ROUTER, dtype="float32")
    tensors += gated_experts(experts, width, inner)
    if shared:
        tensors += gated_mlp(width, inner * shared, prefix="mlp.shared_experts", role=Role.SHARED_EXPERT)
    return tensors, FeedForward(
        width=inner, experts=experts, experts_per_token=chosen, shared_experts=shared, shared_width=inner
    )


def sparse_from(c: Fields) -> list[bool]:
    """Layers before `first_k_dense_replace` are dense, later ones a mixture every `moe_layer_freq`."""
    first, every = c.count("first_k_dense_replace", low=0), c.count("moe_layer_freq", instead=1)
    return [index >= first and index % every == 0 for index in range(c.layers())]


def prediction_layers(c: Fields, layer: LayerGroup, *, copies: bool = True) -> tuple[LayerGroup, ...]:
    """Multi-token-prediction layers, numbered after the last: a whole layer, two norms, a projection of both inputs.

    With `copies` each also stores its own embedding table and head, as DeepSeek V3's files do.
    """
    count = c.count("num_nextn_predict_layers", low=0, high=64, instead=0)
    if not count:
        return ()
    width, vocab, first = c.count("hidden_size"), c.count("vocab_size"), c.layers()
    extra = norms(width, "enorm", "hnorm") + linear("eh_proj", width, 2 * width, Role.MTP, Split.REPLICATED)
    extra += norms(width, "shared_head.norm")
    if copies:
        extra += vector("embed_tokens", (vocab, width), Role.MTP, Split.VOCAB)
        extra += linear("shared_head.head", vocab, width, Role.MTP, Split.VOCAB)
    return (replace(layer, layers=tuple(range(first, first + count)), tensors=layer.tensors + extra, stack="mtp"),)


def latent_layer(c: Fields, root: str, sparse: bool, *, balanced: bool, indexer: Tensors = ()) -> LayerGroup:
    width = c.count("hidden_size")
    attention = latent_attention(c)
    tensors = latent_projections(c, attention, bias=c.flag("attention_bias", instead=False)) + indexer
    tensors += norms(width, *NORMS)
    if sparse:
        made, ffn = mixture(c, balanced=balanced)
    else:
        inner = c.count("intermediate_size")
        made, ffn = gated_mlp(width, inner), FeedForward(width=inner)
    return decoder_layer(tensors + made, attention, ffn, prefix=f"{root}.layers.{{i}}")


def indexer(c: Fields) -> Tensors:
    """The lightning indexer: scores all earlier tokens with narrow heads and keeps the best `index_topk`."""
    width, n, dim = c.count("hidden_size"), c.count("index_n_heads"), c.count("index_head_dim")
    rank, role, prefix = c.count("q_lora_rank"), Role.ATTENTION, "self_attn.indexer"
    tensors = linear(f"{prefix}.wq_b", n * dim, rank, role, Split.REPLICATED)
    tensors += linear(f"{prefix}.wk", dim, width, role, Split.REPLICATED)
    tensors += norm(f"{prefix}.k_norm", dim, bias=True)
    return tensors + vector(f"{prefix}.weights_proj", (n, width), role)  # wide in every published file


def indexed_layer(c: Fields, root: str, *, sparse: bool, indexed: bool) -> LayerGroup:
    """Latent attention to the tokens an indexer chose. A layer that reuses an earlier choice caches no index keys."""
    made = latent_layer(c, root, sparse, balanced=True, indexer=indexer(c) if indexed else ())
    attention = latent_attention(c)
    chosen = replace(
        attention,
        indexer_dim=c.count("index_head_dim") if indexed else 0,
        indexer_topk=c.count("index_topk"),
    )
    return replace(made, attention=chosen)


def deepseek_v1(c: Fields, root: str = "model") -> Body:
    """DeepSeek-MoE 16B: ordinary heads over fine-grained experts."""
    width, bias = c.count("hidden_size"), c.flag("attention_bias", instead=False)
    attention = heads(c)

    def layer(sparse: bool) -> LayerGroup:
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + norms(width, *NORMS)
        if sparse:
            made, ffn = mixture(c, balanced=False)
        else:
            inner = c.count("intermediate_size")
            made, ffn = gated_mlp(width, inner), FeedForward(width=inner)
        return decoder_layer(tensors + made, attention, ffn, prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, sparse_from(c), layer)


def deepseek_v3(c: Fields, root: str = "model") -> Body:
    """V3, R1, Kimi K2: sigmoid routing balanced by a bias, one layer predicting a token further."""

    def layer(sparse: bool) -> LayerGroup:
        return latent_layer(c, root, sparse, balanced=True)

    return decoder(c, root, sparse_from(c), layer, mtp=prediction_layers(c, layer(True)))


def deepseek_v32(c: Fields, root: str = "model") -> Body:
    """V3 with a sparse-attention indexer on every layer."""

    def layer(sparse: bool) -> LayerGroup:
        return indexed_layer(c, root, sparse=sparse, indexed=True)

    return decoder(c, root, sparse_from(c), layer, mtp=prediction_layers(c, layer(True)))
