"""Molmo 1: Qwen 2's or OLMo's decoder under names of its own, and CLIP's encoder, whose sizes the code fixes.

The config says nothing of the encoder; its sizes are those of allenai/Molmo-7B-D-0924 (modeling_molmo.py), which
come to the published 8,021,025,280 parameters.
"""

from __future__ import annotations

from estimators.architecture.blocks import (
    Body,
    Tensors,
    decoder_layer,
    embeddings,
    fused_projections,
    linear,
    norm,
    norms,
    repeat,
    vector,
)
from estimators.architecture.decoder import heads
from estimators.architecture.families import towers
from estimators.architecture.fields import MAX_TOKENS, Fields
from estimators.architecture.spec import FeedForward, Role, Split

NEW_TOKENS = 128  # image tokens kept in a table of their own
VISION_LAYERS, VISION_WIDTH, VISION_INNER, PATCHES, PATCH = 23, 1024, 4096, 577, 14
POOLED_LAYERS = 2  # layers of the encoder whose outputs are pooled side by side


def molmo(c: Fields) -> Body:
    width, inner = c.count("hidden_size"), c.shares("intermediate_size", c.count("intermediate_size"), "2 halves", 2)
    vocab = c.count("embedding_size", instead=c.count("vocab_size"))
    attention, root, tied = heads(c), "model.transformer", c.flag("weight_tying", instead=False)
    tensors = fused_projections(
        attention, width, qkv="att_proj", out="attn_out", qkv_bias=c.flag("qkv_bias", instead=False)
    )
    if c.flag("attention_layer_norm", instead=False):
        tensors += norm("q_norm", attention.q_heads * attention.head_dim)
        tensors += norm("k_norm", attention.kv_heads * attention.head_dim)
    tensors += linear("ff_proj", 2 * inner, width, Role.FFN, Split.COLUMN)
    tensors += linear("ff_out", width, inner, Role.FFN, Split.ROW) + norms(width, "attn_norm", "ff_norm")
    layer = decoder_layer(tensors, attention, FeedForward(width=inner), prefix=f"{root}.blocks.{{i}}")
    outside = embeddings(vocab, width, tied=tied, embed=f"{root}.wte.embedding", head=f"{root}.ff_out")
    outside += vector(f"{root}.wte.new_embedding", (NEW_TOKENS, width), Role.EMBEDDING) + norm(f"{root}.ln_f", width)
    return Body(
        hidden_size=width,
        vocab_size=vocab,
        tied=tied,
        groups=repeat([0] * c.layers(), lambda _: layer),
        tensors=outside + backbone(width, inner),
        max_positions=c.optional_count("max_position_embeddings", high=MAX_TOKENS),
        notes=("The config leaves out its encoder; that of Molmo 7B is counted.",),
    )


def backbone(text_width: int, text_inner: int) -> Tensors:
    """CLIP ViT-L/14 at 336 pixels without its last layer, attention pooling, a gated projector."""
    width, root = VISION_WIDTH, "model.vision_backbone"
    vit = f"{root}.image_vit"
    made = towers.plain(f"{vit}.class_embedding", (width,))
    made += towers.plain(f"{vit}.positional_embedding", (PATCHES, width))
    made += towers.dense(f"{vit}.patch_embedding", width, 3 * PATCH**2, bias=False)
    made += towers.normed(f"{vit}.pre_ln", width)
    block, copies = f"{vit}.transformer.resblocks.{{e}}", VISION_LAYERS
    made += towers.square(f"{block}.attention", width, ("wq", "wk", "wv", "wo"), copies=copies, bias=True)
    made += towers.two(f"{block}.feed_forward", width, VISION_INNER, ("w1", "w2"), copies=copies)
    for name in ("attention_norm", "ffn_norm"):
        made += towers.normed(f"{block}.{name}", width, copies=copies)
    pooled = POOLED_LAYERS * width
    for name in ("wq", "wk", "wv"):
        made += towers.dense(f"{root}.image_pooling_2d.{name}", width, pooled)
    made += towers.dense(f"{root}.image_pooling_2d.wo", width, width, split=Split.ROW)
    for name, out, into in (("w1", text_inner, width), ("w3", text_inner, width), ("w2", text_width, text_inner)):
        made += towers.dense(f"{root}.image_projector.{name}", out, into, bias=False)
    return made + towers.plain(f"{root}.pad_embed", (2, pooled))
