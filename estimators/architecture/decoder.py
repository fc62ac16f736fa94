"""What nearly every decoder's config says in the same words: heads, windows, embeddings, the final norm."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from estimators.architecture.blocks import Body, Key, Tensors, embeddings, grouped_query, norm, repeat
from estimators.architecture.fields import MAX_TOKENS, Fields
from estimators.architecture.spec import Attention, LayerGroup

FULL = "full_attention"
SLIDING = "sliding_attention"
NORMS = ("input_layernorm", "post_attention_layernorm")


def heads(c: Fields, *, window: int | None = None, chunk: int | None = None, uneven: bool = False) -> Attention:
    """N query heads, K key-value heads (N when unstated) of H = head_dim (D / N when unstated).

    `uneven` where the class rounds D / N down rather than ask that it divides.
    """
    q_heads = c.count("num_attention_heads")
    kv_heads = c.count("num_key_value_heads", instead=q_heads)
    c.shares("num_attention_heads", q_heads, "num_key_value_heads", kv_heads)
    head_dim = c.optional_count("head_dim")
    if head_dim is None and uneven:
        head_dim = max(c.count("hidden_size") // q_heads, 1)
    elif head_dim is None:
        head_dim = c.shares("hidden_size", c.count("hidden_size"), "num_attention_heads", q_heads)
    return grouped_query(q_heads, kv_heads, head_dim, window=window, chunk=chunk)


def window_of(c: Fields, name: str = "sliding_window") -> int | None:
    """The sliding window in tokens; None when there is none or it covers the whole context anyway."""
    window = c.optional_count(name, low=0, high=MAX_TOKENS)
    context = c.optional_count("max_position_embeddings", high=MAX_TOKENS)
    return None if not window or (context is not None and window >= context) else window


def layer_types(c: Fields, otherwise: Callable[[int], str], allowed: Sequence[str] = (FULL, SLIDING)) -> list[str]:
    """`layer_types` as stated, one per layer; `otherwise` gives that of layer i in configs older than the field."""
    count = c.layers()
    if not c.has("layer_types"):
        return [otherwise(index) for index in range(count)]
    stated = c.texts("layer_types", length=count)
    for kind in stated:
        if kind not in allowed:
            raise c.error("layer_types", f"holds {kind[:40]!r}; known are {', '.join(allowed)}")
    return list(stated)


def head_path(root: str) -> str:
    """The LM head stands beside the decoder stack: "language_model.model" has "language_model.lm_head"."""
    return "language_model.lm_head" if root == "language_model.model" else "lm_head"


def uniform(c: Fields, root: str, layer: LayerGroup, *, norm_bias: bool = False) -> Body:
    """A decoder whose layers are all alike."""
    return decoder(c, root, [FULL] * c.layers(), lambda _: layer, norm_bias=norm_bias)


def decoder(
    c: Fields,
    root: str,
    kinds: Sequence[Key],
    build: Callable[[Key], LayerGroup],
    *,
    extra: Tensors = (),
    mtp: tuple[LayerGroup, ...] = (),
    tied: bool | None = None,
    final_norm: str = "norm",
    norm_bias: bool = False,
    head_bias: bool = False,
    embed: str = "embed_tokens",
) -> Body:
    """Embeddings, the layers of each kind, the final norm and the LM head."""
    if not c.has("hidden_size"):
        raise c.error("hidden_size", "is missing")  # whatever a class would fill in, this describes no model
    width, vocab = c.count("hidden_size"), c.count("vocab_size")
    tied = c.flag("tie_word_embeddings") if tied is None else tied
    outside = embeddings(vocab, width, tied=tied, embed=f"{root}.{embed}", head=head_path(root), head_bias=head_bias)
    return Body(
        hidden_size=width,
        vocab_size=vocab,
        tied=tied,
        groups=repeat(kinds, build) + mtp,
        tensors=outside + norm(f"{root}.{final_norm}", width, bias=norm_bias) + extra,
        max_positions=context_of(c),
    )


def context_of(c: Fields) -> int | None:
    """The context limit, under either of its names."""
    name = "max_position_embeddings" if c.has("max_position_embeddings") else "model_max_length"
    return c.optional_count(name if c.has(name) else "max_position_embeddings", high=MAX_TOKENS)
