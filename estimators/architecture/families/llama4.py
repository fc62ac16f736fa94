"""Llama 4: attention in fixed chunks on three layers of four, experts beside one shared on some or all layers."""

from __future__ import annotations

from estimators.architecture.blocks import Body, decoder_layer, gated_experts, gated_mlp, norms, projections, router
from estimators.architecture.decoder import FULL, NORMS, decoder, heads, layer_types, window_of
from estimators.architecture.families.moe import expert_counts
from estimators.architecture.fields import Fields
from estimators.architecture.spec import FeedForward, LayerGroup, Role

CHUNKED = "chunked_attention"


def chunked(c: Fields) -> list[str]:
    """Layers without rotary positions, every fourth, attend to everything; `no_rope_layers` marks them with 0."""
    count = c.layers()
    marks = c.counts("no_rope_layers", high=1)
    if marks and len(marks) != count:
        raise c.error("no_rope_layers", f"should have {count} entries, one per layer, and has {len(marks)}")
    period = c.count("no_rope_layer_interval", instead=4)
    rotary = [bool(mark) for mark in marks] or [(index + 1) % period != 0 for index in range(count)]
    return layer_types(c, lambda index: CHUNKED if rotary[index] else FULL, allowed=(CHUNKED, FULL))


def sparse(c: Fields) -> list[bool]:
    count = c.layers()
    if c.has("moe_layers"):
        listed = set(c.counts("moe_layers", high=count - 1))
        return [index in listed for index in range(count)]
    step = c.count("interleave_moe_layer_step")
    return [(index + 1) % step == 0 for index in range(count)]


def llama4(c: Fields, root: str = "model") -> Body:
    width, bias = c.count("hidden_size"), c.flag("attention_bias")
    inner, dense_inner = c.count("intermediate_size"), c.count("intermediate_size_mlp")
    experts, chosen = expert_counts(c, "num_local_experts")

    def layer(kind: tuple[str, bool]) -> LayerGroup:
        chunk = window_of(c, "attention_chunk_size") if kind[0] == CHUNKED else None
        attention = heads(c, chunk=chunk)
        tensors = projections(attention, width, qkv_bias=bias, out_bias=bias) + norms(width, *NORMS)
        if kind[1]:
            prefix = "feed_forward"
            tensors += router(experts, width, name=f"{prefix}.router")
            tensors += gated_experts(experts, width, inner, prefix=f"{prefix}.experts.{{e}}")
            tensors += gated_mlp(width, inner, prefix=f"{prefix}.shared_expert", role=Role.SHARED_EXPERT)
            ffn = FeedForward(
                width=inner, experts=experts, experts_per_token=chosen, shared_experts=1, shared_width=inner
            )
        else:
            tensors += gated_mlp(width, dense_inner, prefix="feed_forward")
            ffn = FeedForward(width=dense_inner)
        return decoder_layer(tensors, attention, ffn, prefix=f"{root}.layers.{{i}}")

    return decoder(c, root, list(zip(chunked(c), sparse(c), strict=True)), layer)
