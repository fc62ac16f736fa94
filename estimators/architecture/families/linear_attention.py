"""Linear attention in place of most softmax layers: MiniMax Text and M1, Kimi Linear."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    Tensors,
    gated_experts,
    linear,
    norm,
    norms,
    projections,
    router,
    vector,
)
from estimators.architecture.decoder import FULL, NORMS, decoder, heads, layer_types
from estimators.architecture.families.deepseek import latent_attention, latent_projections, mixture
from estimators.architecture.families.hybrid import state_dtype
from estimators.architecture.families.moe import expert_counts
from estimators.architecture.families.moe_kin import dense
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward, LayerGroup, RecurrentState, Role, Split

LINEAR = "linear_attention"


def minimax(c: Fields, root: str = "model") -> Body:
    """MiniMax Text 01 in its transformers form: lightning attention keeps N matrices of H by H."""
    width, inner = c.count("hidden_size"), c.count("intermediate_size")
    experts, chosen = expert_counts(c, "num_local_experts")
    prefix = "block_sparse_moe"
    shared = router(experts, width, name=f"{prefix}.gate") + norms(width, *NORMS)
    shared += gated_experts(experts, width, inner, prefix=f"{prefix}.experts.{{e}}", names=("w1", "w3", "w2"))
    ffn = FeedForward(width=inner, experts=experts, experts_per_token=chosen)

    def layer(kind: str) -> LayerGroup:
        base = LayerGroup(layers=(), tensors=shared, ffn=ffn, prefix=f"{root}.layers.{{i}}")
        attention = heads(c)
        if kind == FULL:
            return replace(base, tensors=projections(attention, width) + shared, attention=attention)
        rows, role = attention.q_heads * attention.head_dim, Role.STATE
        made = linear("self_attn.qkv_proj", 3 * rows, width, role, Split.COLUMN) + norm("self_attn.norm", rows)
        made += linear("self_attn.out_proj", width, rows, role, Split.ROW)
        made += linear("self_attn.output_gate", rows, width, role, Split.COLUMN)
        state = RecurrentState(
            kind="lightning",
            conv_elements=0,
            recurrent_elements=rows * attention.head_dim,
            heads=attention.q_heads,
        )
        return replace(base, tensors=made + shared, state=state)

    return decoder(c, root, layer_types(c, lambda i: LINEAR if i % 2 else FULL, allowed=(LINEAR, FULL)), layer)


def kimi_types(c: Fields) -> list[str]:
    """Kimi's own configs list layers from 1 under `linear_attn_config`; saved ones carry `layer_types`."""
    if not c.has("linear_attn_config"):
        return layer_types(c, lambda i: LINEAR if (i + 1) % 4 else FULL, allowed=(LINEAR, FULL))
    full = set(c.section("linear_attn_config").counts("full_attn_layers", low=1))
    return [FULL if index + 1 in full else LINEAR for index in range(c.layers())]


def delta_attention(c: Fields) -> tuple[Tensors, RecurrentState]:
    """Kimi delta attention: q, k, v convolved, a low-rank forget gate per channel, a low-rank output gate."""
    width, section = c.count("hidden_size"), c.section("linear_attn_config") if c.has("linear_attn_config") else c
    own = c.has("linear_attn_config")
    n = section.count("num_heads" if own else "linear_num_heads")
    dim = section.count("head_dim" if own else "linear_head_dim")
    taps = section.count("short_conv_kernel_size" if own else "linear_conv_kernel_dim", high=1024)
    rows, role, prefix = n * dim, Role.STATE, "self_attn"
    made: Tensors = ()
    for name in ("q", "k", "v"):
        made += linear(f"{prefix}.{name}_proj", rows, width, role, Split.COLUMN)
        made += vector(f"{prefix}.{name}_conv1d", (rows, 1, taps), role, Split.COLUMN)
    made += vector(f"{prefix}.dt_bias", (rows,), role, Split.COLUMN, dtype="float32")
    made += vector(f"{prefix}.A_log", (n,), role, Split.COLUMN, dtype="float32")
    for name in ("f", "g"):
        made += linear(f"{prefix}.{name}_a_proj", dim, width, role, Split.REPLICATED)
        made += linear(f"{prefix}.{name}_b_proj", rows, dim, role, Split.COLUMN)
    made += linear(f"{prefix}.b_proj", n, width, role, Split.COLUMN) + norm(f"{prefix}.o_norm", dim)
    made += linear(f"{prefix}.o_proj", width, rows, role, Split.ROW)
    state = RecurrentState(
        kind="kimi_delta",
        conv_elements=3 * rows * (taps - 1),
        recurrent_elements=n * dim * dim,
        recurrent_dtype=state_dtype(c),
        heads=n,
    )
    return made, state


def kimi_linear(c: Fields, root: str = "model") -> Body:
    """Kimi Linear: three delta layers to one of latent attention, DeepSeek's mixture."""
    width = c.count("hidden_size")
    first, bias = c.count("first_k_dense_replace", low=0, instead=1), c.flag("attention_bias", instead=False)
    named = renamed(c)

    def layer(kind: tuple[str, bool]) -> LayerGroup:
        made, ffn = mixture(named, balanced=True) if kind[1] else dense(c)
        base = LayerGroup(layers=(), tensors=made + norms(width, *NORMS), ffn=ffn, prefix=f"{root}.layers.{{i}}")
        if kind[0] == FULL:
            attention = latent_attention(c)
            return replace(
                base, tensors=latent_projections(c, attention, bias=bias) + base.tensors, attention=attention
            )
        tensors, state = delta_attention(c)
        return replace(base, tensors=tensors + base.tensors, state=state)

    return decoder(c, root, [(kind, index >= first) for index, kind in enumerate(kimi_types(c))], layer)


def renamed(c: Fields) -> Fields:
    """DeepSeek's names for what Kimi Linear calls num_experts, num_experts_per_token and num_shared_experts."""
    names = {
        "n_routed_experts": ("num_experts", "num_local_experts"),
        "num_experts_per_tok": ("num_experts_per_token",),
        "n_shared_experts": ("num_shared_experts",),
    }
    made = c
    for name, others in names.items():
        stated = next((other for other in others if c.has(other)), None)
        if stated is not None and not c.has(name):
            made = made.having(name, c.get(stated))
    return made
