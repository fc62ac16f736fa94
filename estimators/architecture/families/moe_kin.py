"""More mixtures of experts over ordinary or latent attention."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    Tensors,
    buffer,
    decoder_layer,
    gated_experts,
    gated_mlp,
    head_norms,
    norm,
    norms,
    projections,
    router,
)
from estimators.architecture.decoder import FULL, NORMS, SLIDING, decoder, heads, layer_types, uniform, window_of
from estimators.architecture.families.deepseek import (
    latent_layer,
    mixture,
    prediction_layers,
    sparse_from,
)
from estimators.architecture.families.moe import expert_counts
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward, LayerGroup, Role


def glm4_moe_lite(c: Fields, root: str = "model") -> Body:
    """GLM 4.7 Flash: DeepSeek V3's shape; `mlp_layer_types` says which layers are dense."""
    sparse = [index > 0 for index in range(c.layers())]
    if c.has("mlp_layer_types"):
        sparse = [kind == "sparse" for kind in c.texts("mlp_layer_types", length=c.layers())]
    elif c.has("first_k_dense_replace"):
        sparse = sparse_from(c)

    def layer(kind: bool) -> LayerGroup:
        return latent_layer(c, root, kind, balanced=True)

    return decoder(c, root, sparse, layer, mtp=prediction_layers(c, layer(True), copies=False))


def dots1(c: Fields, root: str = "model") -> Body:
    """dots.llm1: head norms over DeepSeek's mixture."""
    width, bias = c.count("hidden_size"), c.flag("attention_bias")

    def layer(kind: tuple[str, bool]) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind[0] == SLIDING else None)
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + head_norms(attention)
        made, ffn = mixture(c, balanced=True) if kind[1] else dense(c)
        return decoder_layer(tensors + made + norms(width, *NORMS), attention, ffn, prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, list(zip(layer_types(c, lambda _: FULL), sparse_from(c), strict=True)), layer)


def dense(c: Fields, *, bias: bool = False) -> tuple[Tensors, FeedForward]:
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    return gated_mlp(width, inner, bias=bias), FeedForward(width=inner)


def solar_open(c: Fields, root: str = "model") -> Body:
    """Solar Open: DeepSeek's mixture on every layer over grouped queries."""
    width, bias = c.count("hidden_size"), c.flag("attention_bias")
    attention = heads(c)
    made, ffn = mixture(c, balanced=True)
    tensors = projections(attention, width, qkv_bias=bias) + made + norms(width, *NORMS)
    return uniform(c, root, decoder_layer(tensors, attention, ffn))


def exaone_moe(c: Fields, root: str = "model") -> Body:
    """K-EXAONE: head norms, windows on three layers of four, one shared expert."""
    width, inner = c.count("hidden_size"), c.count("moe_intermediate_size")
    experts, chosen = expert_counts(c, "num_experts")
    shared = inner * c.count("num_shared_experts")
    period = c.get("sliding_window_pattern")

    def kind_of(index: int) -> str:
        if isinstance(period, str) and period and len(period) <= 64:
            return SLIDING if period[index % len(period)] == "L" else FULL
        every = period if isinstance(period, int) and not isinstance(period, bool) and period > 0 else 4
        return FULL if (index + 1) % every == 0 else SLIDING

    def layer(kind: tuple[str, bool]) -> LayerGroup:
        attention = heads(c, window=window_of(c) if kind[0] == SLIDING else None)
        tensors = projections(attention, width) + head_norms(attention) + norms(width, *NORMS)
        if not kind[1]:
            made, ffn = dense(c)
            return decoder_layer(tensors + made, attention, ffn, prefix=f"{root}.layers.{{i}}")
        tensors += router(experts, width) + gated_experts(experts, width, inner)
        tensors += buffer("mlp.gate.e_score_correction_bias", (experts,), Role.ROUTER, dtype="float32")
        tensors += gated_mlp(width, shared, prefix="mlp.shared_experts", role=Role.SHARED_EXPERT)
        ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen, shared_experts=1, shared_width=shared)
        return decoder_layer(tensors, attention, ffn, prefix=f"{root}.layers.{{i}}")

    first = c.count("first_k_dense_replace", low=0, instead=1)
    types = layer_types(c, kind_of)
    return decoder(c, root, [(kind, index >= first) for index, kind in enumerate(types)], layer)


def ernie4_5_moe(c: Fields, root: str = "model") -> Body:
    """ERNIE 4.5 mixtures: experts between `moe_layer_start_index` and `moe_layer_end_index`."""
    width, inner, bias = c.count("hidden_size"), c.count("moe_intermediate_size"), c.flag("use_bias")
    experts, chosen = expert_counts(c, "moe_num_experts", "moe_k")
    shared = c.count("moe_num_shared_experts", low=0, instead=0)
    count, step = c.layers(), c.count("moe_layer_interval")
    first, last = c.count("moe_layer_start_index", low=0), c.count("moe_layer_end_index", low=-1, instead=-1)
    last = count - 1 if last < 0 else last
    attention = heads(c)

    def layer(sparse: bool) -> LayerGroup:
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + norms(width, *NORMS)
        if not sparse:
            made, ffn = dense(c, bias=bias)
            return decoder_layer(tensors + made, attention, ffn, prefix=f"{root}.layers.{{i}}")
        tensors += router(experts, width) + gated_experts(experts, width, inner)
        name = "mlp.moe_statics.e_score_correction_bias"
        tensors += (replace(norm(name, experts)[0], role=Role.ROUTER, dtype="float32"),)
        if shared:
            prefix = "mlp.shared_experts"
            tensors += gated_mlp(width, inner * shared, prefix=prefix, role=Role.SHARED_EXPERT, bias=bias)
        ffn = FeedForward(
            width=inner, experts=experts, experts_per_token=chosen, shared_experts=shared, shared_width=inner
        )
        return decoder_layer(tensors, attention, ffn, prefix=f"{root}.layers.{{i}}")

    kinds = [(index + 1) % step == 0 and first <= index <= last for index in range(count)]
    return decoder(c, root, kinds, layer, head_bias=bias)


def hunyuan_moe(c: Fields, root: str = "model") -> Body:
    """Hunyuan A13B: head norms, experts as wide as the shared feed-forward; counts may be given per layer."""
    width, inner, bias = c.count("hidden_size"), c.count("intermediate_size"), c.flag("attention_bias")
    experts, chosen = expert_counts(listed(c), "num_experts", "moe_topk")
    expert_inner = c.count("moe_intermediate_size") if isinstance(c.get("moe_intermediate_size"), int) else inner
    attention = heads(c)
    tensors = projections(attention, width, qkv_bias=bias, out_bias=bias)
    tensors += norms(attention.head_dim, "self_attn.query_layernorm", "self_attn.key_layernorm")
    tensors += router(experts, width, name="mlp.gate.wg") + gated_experts(experts, width, expert_inner)
    tensors += gated_mlp(width, inner, prefix="mlp.shared_mlp", role=Role.SHARED_EXPERT) + norms(width, *NORMS)
    ffn = FeedForward(
        width=expert_inner, experts=experts, experts_per_token=chosen, shared_experts=1, shared_width=inner
    )
    return uniform(c, root, decoder_layer(tensors, attention, ffn))


def listed(c: Fields) -> Fields:
    """Counts that some configs repeat once per layer, as one number when all layers agree."""
    made = c
    for name in ("num_experts", "moe_topk"):
        if isinstance(c.get(name), list | tuple):
            numbers = set(c.counts(name, low=1))
            if len(numbers) != 1:
                raise c.error(name, "differs between layers, which is not described here")
            made = made.having(name, numbers.pop())
    return made
