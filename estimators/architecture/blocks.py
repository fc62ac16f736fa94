"""The parts that families share: projections, norms, attention, feed-forward networks, embeddings.

A block returns the tensors of one layer, named relative to it, as the checkpoint names them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from estimators.architecture.spec import (
    Attention,
    AttentionKind,
    FeedForward,
    LayerGroup,
    Reading,
    Role,
    Split,
    Tensor,
)

Tensors = tuple[Tensor, ...]
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a family function reads out of a config; `parse_config` adds the rest of a `ModelSpec`."""

    hidden_size: int
    vocab_size: int
    tied: bool
    groups: tuple[LayerGroup, ...]
    tensors: Tensors
    max_positions: int | None
    dtype: str | None = None  # when the family, not the config, knows
    notes: tuple[str, ...] = ()
    reading: Reading = Reading.DESCRIBED
    relative_range: float = 0.0


def repeat(kinds: Sequence[Key], build: Callable[[Key], LayerGroup], *, start: int = 0) -> tuple[LayerGroup, ...]:
    """One group per distinct kind of layer, in order of first appearance; `build` makes one layer of a kind."""
    indices: dict[Key, list[int]] = {}
    for index, kind in enumerate(kinds, start):
        indices.setdefault(kind, []).append(index)
    return tuple(replace(build(kind), layers=tuple(layers)) for kind, layers in indices.items())


def linear(
    name: str,
    out: int,
    into: int,
    role: Role,
    split: Split,
    *,
    bias: bool = False,
    copies: int = 1,
    dtype: str | None = None,
) -> Tensors:
    """A linear module: weight (out, in) and, with `bias`, its bias. The bias of a ROW split stays whole."""
    weight = Tensor(name=name, shape=(out, into), role=role, copies=copies, linear=True, split=split, dtype=dtype)
    if not bias:
        return (weight,)
    split_bias = Split.REPLICATED if split is Split.ROW else split
    return (weight, Tensor(name=f"{name}.bias", shape=(out,), role=role, copies=copies, split=split_bias, dtype=dtype))


def norm(name: str, width: int, *, bias: bool = False, role: Role = Role.NORM) -> Tensors:
    weight = Tensor(name=name, shape=(width,), role=role)
    return (weight, Tensor(name=f"{name}.bias", shape=(width,), role=role)) if bias else (weight,)


def norms(width: int, *names: str, bias: bool = False) -> Tensors:
    return tuple(tensor for name in names for tensor in norm(name, width, bias=bias))


def vector(name: str, shape: tuple[int, ...], role: Role, split: Split = Split.REPLICATED, **extra: str) -> Tensors:
    """A parameter of its own that is no linear module (decay, convolution, gate)."""
    return (Tensor(name=name, shape=shape, role=role, split=split, dtype=extra.get("dtype")),)


def buffer(name: str, shape: tuple[int, ...], role: Role, dtype: str | None = None) -> Tensors:
    """Stored with the parameters but no parameter (the bias that balances a router)."""
    return (Tensor(name=name, shape=shape, role=role, dtype=dtype, buffer=True),)


def projections(
    attention: Attention,
    width: int,
    *,
    prefix: str = "self_attn",
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "o_proj"),
    qkv_bias: bool = False,
    out_bias: bool = False,
    query_factor: int = 1,
    value: bool = True,
) -> Tensors:
    """Separate q, k, v and o. `query_factor` 2 where the query projection also makes an output gate.

    Without `value` there is no v: values are made from the output of k. A layer that reuses an earlier cache
    stores neither k nor v.
    """
    q, k, v, o = (f"{prefix}.{name}" for name in names)
    query = attention.q_heads * attention.head_dim
    keys, values = attention.kv_heads * attention.head_dim, attention.kv_heads * attention.value_dim
    role = Role.ATTENTION
    made = linear(q, query * query_factor, width, role, Split.COLUMN, bias=qkv_bias)
    if not attention.reuses_earlier_cache:
        made += linear(k, keys, width, role, Split.KV_COLUMN, bias=qkv_bias)
        if value:
            made += linear(v, values, width, role, Split.KV_COLUMN, bias=qkv_bias)
    return made + linear(o, width, attention.q_heads * attention.value_dim, role, Split.ROW, bias=out_bias)


def fused_projections(
    attention: Attention, width: int, *, qkv: str, out: str, qkv_bias: bool = False, out_bias: bool = False
) -> Tensors:
    """One matrix for q, k and v."""
    rows = attention.q_heads * attention.head_dim + attention.kv_heads * (attention.head_dim + attention.value_dim)
    made = linear(qkv, rows, width, Role.ATTENTION, Split.COLUMN, bias=qkv_bias)
    return made + linear(out, width, attention.q_heads * attention.value_dim, Role.ATTENTION, Split.ROW, bias=out_bias)


def head_norms(attention: Attention, prefix: str = "self_attn") -> Tensors:
    """RMS norms of query and key, one per head dimension and shared by the heads (Qwen 3, Gemma 3)."""
    query = norm(f"{prefix}.q_norm", attention.head_dim)
    return query if attention.reuses_earlier_cache else query + norm(f"{prefix}.k_norm", attention.head_dim)


def gated_mlp(
    width: int,
    inner: int,
    *,
    prefix: str = "mlp",
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
    role: Role = Role.FFN,
    bias: bool = False,
) -> Tensors:
    """Three matrices, 3 D F (SwiGLU and kin). D 4096, F 14336: 176,160,768."""
    gate, up, down = (f"{prefix}.{name}" if prefix else name for name in names)
    return (
        linear(gate, inner, width, role, Split.COLUMN, bias=bias)
        + linear(up, inner, width, role, Split.COLUMN, bias=bias)
        + linear(down, width, inner, role, Split.ROW, bias=bias)
    )


def plain_mlp(width: int, inner: int, *, up: str, down: str, bias: bool = False, role: Role = Role.FFN) -> Tensors:
    """Two matrices, 2 D F."""
    return linear(up, inner, width, role, Split.COLUMN, bias=bias) + linear(
        down, width, inner, role, Split.ROW, bias=bias
    )


def gated_experts(
    experts: int,
    width: int,
    inner: int,
    *,
    prefix: str = "mlp.experts.{e}",
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
) -> Tensors:
    """n routed experts of three matrices each: 3 n D F."""
    gate, up, down = (f"{prefix}.{name}" for name in names)

    def expert(name: str, out: int, into: int) -> Tensors:
        return linear(name, out, into, Role.EXPERT, Split.EXPERT, copies=experts)

    return expert(gate, inner, width) + expert(up, inner, width) + expert(down, width, inner)


def fused_experts(experts: int, width: int, inner: int, *, prefix: str = "mlp.experts", bias: bool = False) -> Tensors:
    """n experts kept as two stacked parameters, gate and up in one."""
    role, split = Role.EXPERT, Split.EXPERT
    return linear(f"{prefix}.gate_up_proj", 2 * inner, width, role, split, copies=experts, bias=bias) + linear(
        f"{prefix}.down_proj", width, inner, role, split, copies=experts, bias=bias
    )


def router(
    experts: int, width: int, *, name: str = "mlp.gate", bias: bool = False, dtype: str | None = None
) -> Tensors:
    return linear(name, experts, width, Role.ROUTER, Split.REPLICATED, bias=bias, dtype=dtype)


def embeddings(
    vocab: int,
    width: int,
    *,
    tied: bool,
    embed: str = "model.embed_tokens",
    head: str = "lm_head",
    head_bias: bool = False,
) -> Tensors:
    """The table, and the LM head when it is a matrix of its own."""
    made: Tensors = (Tensor(name=embed, shape=(vocab, width), role=Role.EMBEDDING, split=Split.VOCAB),)
    if not tied:
        made += linear(head, vocab, width, Role.LM_HEAD, Split.VOCAB, bias=head_bias)
    elif head_bias:
        made += (Tensor(name=f"{head}.bias", shape=(vocab,), role=Role.LM_HEAD, split=Split.VOCAB),)
    return made


def grouped_query(
    q_heads: int, kv_heads: int, head_dim: int, *, window: int | None = None, chunk: int | None = None
) -> Attention:
    """Multi-head, grouped-query or multi-query attention, sliding with `window`, in blocks with `chunk`."""
    kind = AttentionKind.SLIDING if window else AttentionKind.CHUNKED if chunk else AttentionKind.FULL
    return Attention(
        kind=kind, q_heads=q_heads, kv_heads=kv_heads, head_dim=head_dim, value_dim=head_dim, window=window or chunk
    )


def decoder_layer(
    tensors: Tensors, attention: Attention | None, ffn: FeedForward | None, *, prefix: str = "model.layers.{i}"
) -> LayerGroup:
    """One layer, to be repeated."""
    return LayerGroup(layers=(), tensors=tensors, attention=attention, ffn=ffn, prefix=prefix)
