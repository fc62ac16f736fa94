"""T5 and Flan-T5: an encoder, and a decoder that also attends to the encoder's output."""

from __future__ import annotations

from dataclasses import replace

from estimators.architecture.blocks import (
    Body,
    Tensors,
    embeddings,
    gated_mlp,
    grouped_query,
    norm,
    plain_mlp,
    projections,
    repeat,
    vector,
)
from estimators.architecture.fields import MAX_LAYERS, Fields
from estimators.architecture.spec import Attention, AttentionKind, FeedForward, LayerGroup, Role

NAMES = ("q", "k", "v", "o")


def feed_forward(c: Fields, place: int) -> tuple[Tensors, FeedForward]:
    """`feed_forward_proj` "gated-gelu" has three matrices, "relu" two."""
    width, inner, prefix = c.count("d_model"), c.count("d_ff"), f"layer.{place}.DenseReluDense"
    if c.text("feed_forward_proj").startswith("gated-"):
        made = gated_mlp(width, inner, prefix=prefix, names=("wi_0", "wi_1", "wo"))
        return made + norm(f"layer.{place}.layer_norm", width), FeedForward(width=inner)
    made = plain_mlp(width, inner, up=f"{prefix}.wi", down=f"{prefix}.wo")
    return made + norm(f"layer.{place}.layer_norm", width), FeedForward(width=inner, gated=False)


def attend(c: Fields, attention: Attention, name: str, place: int) -> Tensors:
    width = c.count("d_model")
    made = projections(attention, width, prefix=f"layer.{place}.{name}", names=NAMES)
    return made + norm(f"layer.{place}.layer_norm", width)


def relative_bias(c: Fields, attention: Attention) -> Tensors:
    """The table of position biases, stored once, in the first layer of a stack."""
    shape = (c.count("relative_attention_num_buckets"), attention.q_heads)
    return vector("layer.0.SelfAttention.relative_attention_bias", shape, Role.ATTENTION)


def t5(c: Fields) -> Body:
    width, vocab, n = c.count("d_model"), c.count("vocab_size"), c.count("num_heads")
    attention, tied = grouped_query(n, n, c.count("d_kv")), c.flag("tie_word_embeddings")
    crossing = replace(attention, kind=AttentionKind.CROSS)
    layers = c.count("num_layers", high=MAX_LAYERS)

    def encoder(first: bool) -> LayerGroup:
        made, ffn = feed_forward(c, 1)
        tensors = attend(c, attention, "SelfAttention", 0) + made
        tensors += relative_bias(c, attention) if first else ()
        return LayerGroup(
            layers=(), tensors=tensors, attention=attention, ffn=ffn, stack="encoder", prefix="encoder.block.{i}"
        )

    def decoder(first: bool) -> LayerGroup:
        made, ffn = feed_forward(c, 2)
        tensors = attend(c, attention, "SelfAttention", 0) + attend(c, crossing, "EncDecAttention", 1) + made
        tensors += relative_bias(c, attention) if first else ()
        return LayerGroup(
            layers=(),
            tensors=tensors,
            attention=attention,
            cross_attention=crossing,
            ffn=ffn,
            prefix="decoder.block.{i}",
        )

    def firsts(count: int) -> list[bool]:
        return [index == 0 for index in range(count)]

    groups = repeat(firsts(layers), encoder)
    groups += repeat(firsts(c.count("num_decoder_layers", high=MAX_LAYERS, instead=layers)), decoder)
    outside = embeddings(vocab, width, tied=tied, embed="shared")
    outside += norm("encoder.final_layer_norm", width) + norm("decoder.final_layer_norm", width)
    return Body(
        hidden_size=width,
        vocab_size=vocab,
        tied=tied,
        groups=groups,
        tensors=outside,
        max_positions=None,
        notes=("Relative positions: the config states no context limit.",),
    )
