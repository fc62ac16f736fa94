"""How a layer mixes tokens and what it keeps of them, from the shapes of its tensors and what a config adds."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from estimators.architecture.blocks import grouped_query
from estimators.architecture.fields import MAX_TOKENS, Fields
from estimators.architecture.roles import CROSS
from estimators.architecture.spec import Attention, AttentionKind, FeedForward, RecurrentState, Role, Tensor

QUERY = re.compile(r"(^|\.)(q_proj|to_q|query|wq|q|query_proj|q_b_proj|wq_b|q_lin|q_up_proj|wq_du)(\.dense|\.linear)?$")
INDEXED = re.compile(r"indexer|(^|\.)index_[qk]_")
INDEX_KEY = re.compile(r"(indexer\.(wk|k_proj)|index_k_proj)$")
KEY = re.compile(r"(^|\.)(k_proj|to_k|key|wk|k|key_proj|k_lin|wk_dv)(\.dense|\.linear)?$")
VALUE = re.compile(r"(^|\.)(v_proj|to_v|value|wv|v|value_proj|v_lin|wv_dv)(\.dense|\.linear)?$")
FUSED = re.compile(r"(^|\.)(g?qkv_proj|query_key_value|c_attn|W?_?qkv|in_proj|att_proj|wqkv|Wqkv|qkv_linear)$")
PAIR = re.compile(r"(^|\.)(kv_proj|key_value|kv|wkv)$")
LATENT = re.compile(r"(^|\.)(kv_a_proj_with_mqa|kv_a_proj|kv_a|wkv_a|wkv_a_with_mqa)$")
OUT = re.compile(
    r"(^|\.)(o_proj|out_proj|to_out|dense|c_proj|wo|o|out_lin|proj|output\.dense|linear_proj|wo_ud|attn_out)$"
)
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads", "decoder_attention_heads", "num_decoder_heads")
KV_HEADS = ("num_key_value_heads", "n_head_kv", "num_kv_heads", "multi_query_group_num", "kv_n_heads", "n_kv_heads")
HEAD_SIZES = ("head_dim", "attention_head_dim", "kv_channels", "d_kv", "qk_head_dim")
WINDOWS = ("sliding_window", "sliding_window_size", "attention_window_size", "local_attention_window", "window_size")
CHOSEN = (
    "num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "moe_top_k", "top_k_experts", "top_k",
    "num_selected_experts", "experts_per_token", "num_experts_per_layer", "router_topk", "expert_top_k",
)  # fmt: skip
STATES = ("mamba_d_state", "ssm_state_size", "state_size", "d_state")
MULTI = ("linear_num_key_heads", "num_k_heads", "linear_num_heads")


def first_of(c: Fields, names: Sequence[str], *, high: int = 1 << 24) -> int | None:
    """The first of several names that holds a whole number."""
    for name in names:
        value = c.get(name)
        if type(value) is int and 0 < value <= high:
            return value
    return None


def matching(tensors: Sequence[Tensor], pattern: re.Pattern[str]) -> Tensor | None:
    return next((t for t in tensors if len(t.shape) == 2 and pattern.search(t.name)), None)


def attention(tensors: Sequence[Tensor], c: Fields, *, kind: str, index: int) -> Attention | None:
    """Heads of K x H keys and K x Hv values: the rows of the projections; None where a layer has none."""
    own = [t for t in tensors if t.role in (Role.ATTENTION, Role.FFN) and not CROSS.search(t.name)]
    indexed = [t for t in own if INDEXED.search(t.name)]
    own = [t for t in own if not INDEXED.search(t.name)]
    out = matching(own, OUT)
    latent = matching(own, LATENT)
    q_heads = per_layer(c, HEADS, index) or 1
    if latent is not None:
        return latent_attention(own, c, latent, q_heads, indexed)
    rows = key_value_rows(own, out)
    if rows is None or out is None:
        return None
    keys, values = rows
    into = out.shape[1]
    head_dim = head_size(c, keys, into, q_heads, index)
    kv_heads = max(keys // head_dim, 1)
    q_heads = max(into // max(values // kv_heads, 1), 1)
    c.shares("num_attention_heads", q_heads, "num_key_value_heads", kv_heads)
    window, chunk = window_of(c, kind)
    index_keys = matching(indexed, INDEX_KEY)
    return Attention(
        kind=AttentionKind.SLIDING if window else AttentionKind.CHUNKED if chunk else AttentionKind.FULL,
        q_heads=q_heads,
        kv_heads=kv_heads,
        head_dim=keys // kv_heads,
        value_dim=values // kv_heads,
        window=window or chunk,
        indexer_dim=index_keys.shape[0] if index_keys is not None else 0,
        indexer_topk=chosen_tokens(c) if index_keys is not None else 0,
    )


def chosen_tokens(c: Fields) -> int:
    """Tokens that an index lets attention read: so many, or so many blocks of so many (MiniMax-M3: 16 of 128)."""
    blocks, size = (first_of(c, (name,)) or 0 for name in ("index_topk_blocks", "index_block_size"))
    return first_of(c, ("index_topk",)) or blocks * size


def stated(c: Fields, index: int) -> Attention:
    """Attention as the config's heads say it, where no tensor shows it."""
    q_heads = per_layer(c, HEADS, index)
    if q_heads is None:
        raise c.error("num_attention_heads", "is missing, and no tensor shows what attention caches")
    kv_heads = per_layer(c, KV_HEADS, index) or q_heads
    head_dim = first_of(c, HEAD_SIZES) or max(c.count("hidden_size") // q_heads, 1)
    c.shares("num_attention_heads", q_heads, "num_key_value_heads", kv_heads)
    return grouped_query(q_heads, kv_heads, head_dim)


def key_value_rows(own: Sequence[Tensor], out: Tensor | None) -> tuple[int, int] | None:
    """Rows that make keys and values; in a fused projection what the output does not take as queries."""
    key, value = matching(own, KEY), matching(own, VALUE)
    if key is not None:
        return key.shape[0], value.shape[0] if value is not None else key.shape[0]
    pair = matching(own, PAIR)
    if pair is not None:
        return pair.shape[0] // 2, pair.shape[0] // 2
    fused = matching(own, FUSED)
    if fused is None or out is None:
        return None
    rows = max(fused.shape) if fused.name.endswith("c_attn") else fused.shape[0]
    width = out.shape[1]
    gated = 2 if "gqkv" in fused.name else 1  # a gate of the output, as wide as the queries
    rest = (rows - gated * width) // 2
    return (rest, rest) if rest > 0 else None


def head_size(c: Fields, keys: int, into: int, q_heads: int, index: int) -> int:
    """H: `head_dim` where it divides the rows, else their share per key-value head."""
    stated = first_of(c, HEAD_SIZES)
    kv_heads = per_layer(c, KV_HEADS, index)
    if kv_heads and keys % kv_heads == 0 and (not stated or keys != kv_heads * stated):
        return keys // kv_heads
    if stated and keys % stated == 0:
        return stated
    return max(into // q_heads, 1) if keys % max(into // q_heads, 1) == 0 else keys


def per_layer(c: Fields, names: Sequence[str], index: int) -> int | None:
    """A count that may be stated once per layer."""
    for name in names:
        value = c.get(name)
        if isinstance(value, list | tuple) and index < len(value):
            value = value[index]
        if type(value) is int and value > 0:
            return value
    return None


def latent_attention(
    own: Sequence[Tensor], c: Fields, latent: Tensor, q_heads: int, indexed: Sequence[Tensor]
) -> Attention:
    """MLA: the rows of the down-projection are the latent and the shared rotary key."""
    out, query = matching(own, OUT), matching(own, QUERY)
    rank, rows = first_of(c, ("kv_lora_rank",)), latent.shape[0]
    # Layers without positions have no rotary key in it.
    rope = rows - rank if rank is not None and rank <= rows else first_of(c, ("qk_rope_head_dim",)) or 0
    keys = matching(indexed, INDEX_KEY)
    return Attention(
        kind=AttentionKind.MLA,
        q_heads=q_heads,
        kv_heads=1,
        head_dim=max(query.shape[0] // q_heads, 1) if query is not None else rope + 1,
        value_dim=max(out.shape[1] // q_heads, 1) if out is not None else 1,
        latent_dim=rows - rope,
        rope_dim=rope,
        indexer_dim=keys.shape[0] if keys is not None else 0,
        indexer_topk=first_of(c, ("index_topk",)) or 0 if indexed else 0,
    )


def window_of(c: Fields, kind: str) -> tuple[int | None, int | None]:
    """(sliding window, chunk) of a layer of this kind. One that covers the whole context is none."""
    window = first_of(c, WINDOWS, high=MAX_TOKENS)
    context = first_of(c, ("max_position_embeddings",), high=MAX_TOKENS)
    if "chunk" in kind:
        return None, first_of(c, ("attention_chunk_size",), high=MAX_TOKENS)
    if "slid" in kind or "local" in kind or kind == "swa":
        return (None if window is None or (context is not None and window >= context) else window), None
    return None, None


def state(tensors: Sequence[Tensor], c: Fields, dtype: str, *, linear: bool) -> RecurrentState | None:
    """The state that a recurrence keeps, by what its layer stores; None where it stores none."""
    named = {t.name: t for t in tensors}
    decay = next((t for n, t in named.items() if n.endswith("A_log") and "indexer" not in n), None)
    convs = [
        t for n, t in named.items() if re.search(r"conv(1d)?$|conv1d", n) and len(t.shape) == 3 and t.shape[1] == 1
    ]
    kept = sum(t.shape[0] * (t.shape[-1] - 1) for t in convs)
    if decay is not None and len(decay.shape) == 2:
        return RecurrentState(
            kind="mamba1", conv_elements=kept, recurrent_elements=decay.elements, recurrent_dtype=dtype,
            heads=decay.shape[0],
        )  # fmt: skip
    if decay is not None and convs:
        return matrix_state(named, convs, decay, kept, c, dtype)
    if convs and not linear:
        width = max(t.shape[0] for t in convs)
        lru = any("rg_lru" in n for n in named)
        return RecurrentState(
            kind="rg_lru" if lru else "short_conv", conv_elements=kept, recurrent_elements=width if lru else 0,
            heads=width,
        )  # fmt: skip
    if linear:
        heads = first_of(c, ("linear_num_heads", *HEADS)) or 1
        out = matching(list(named.values()), OUT)
        rows = out.shape[1] if out is not None else first_of(c, ("hidden_size",)) or 1
        return RecurrentState(
            kind="linear", conv_elements=kept, recurrent_elements=rows * max(rows // heads, 1), heads=heads
        )
    return None


def matrix_state(
    named: Mapping[str, Tensor], convs: Sequence[Tensor], decay: Tensor, kept: int, c: Fields, dtype: str
) -> RecurrentState:
    """N heads of a matrix each: Mamba 2 keeps P x S, a delta rule Hk x Hv."""
    heads = decay.elements
    if len(convs) >= 3:  # q, k and v convolved apart
        keys, values = convs[0].shape[0], convs[-1].shape[0]
        kind = "kimi_delta" if any("f_a_proj" in name for name in named) else "gated_delta_net"
        return RecurrentState(
            kind=kind, conv_elements=kept, recurrent_elements=keys * values // heads, recurrent_dtype=dtype, heads=heads
        )
    key_heads, key_dim = first_of(c, MULTI), first_of(c, ("linear_key_head_dim", "head_k_dim"))
    channels = convs[0].shape[0]
    out = next((t for n, t in named.items() if re.search(r"out_proj$|o_proj$", n)), None)
    inner = out.shape[1] if out is not None else channels
    if key_heads and key_dim and "dt_bias" in " ".join(named) and channels == inner + 2 * key_heads * key_dim:
        return RecurrentState(
            kind="gated_delta_net", conv_elements=kept, recurrent_elements=inner * key_dim, recurrent_dtype=dtype,
            heads=heads,
        )  # fmt: skip
    size = first_of(c, STATES) or max(channels - inner, 2) // 2
    return RecurrentState(
        kind="mamba2", conv_elements=kept, recurrent_elements=inner * size, recurrent_dtype=dtype, heads=heads
    )


def feed_forward(tensors: Sequence[Tensor], c: Fields) -> FeedForward | None:
    """Width, gate, experts and the shared ones, from the matrices; how many a token takes, from the config."""
    routed = [t for t in tensors if t.role is Role.EXPERT and t.linear]
    shared = [t for t in tensors if t.role is Role.SHARED_EXPERT and t.linear]
    plain = [t for t in tensors if t.role is Role.FFN and t.linear]
    if routed:
        experts = max(t.copies for t in routed)
        width, gated = width_of(routed)
        beside = width_of(shared)[0] if shared else 0
        takes = chosen(c)
        if takes is not None and takes > experts:
            raise c.error("num_experts_per_tok", f"({takes}) is more than the experts ({experts})")
        number = first_of(c, ("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")) or 1
        share = number if beside and beside % number == 0 else 1
        return FeedForward(
            width=width,
            gated=gated,
            experts=experts,
            experts_per_token=takes or experts,
            shared_experts=share if shared else 0,
            shared_width=beside // share if shared else 0,
        )
    own = plain or shared
    if not own:
        return None
    width, gated = width_of(own)
    return FeedForward(width=width, gated=gated)


def chosen(c: Fields) -> int | None:
    """k, stated once or once per layer alike."""
    for name in CHOSEN:
        value = c.get(name)
        value = value[0] if isinstance(value, list | tuple) and value else value
        if type(value) is int and value > 0:
            return value
    return None


def width_of(matrices: Sequence[Tensor]) -> tuple[int, bool]:
    """(F, gated): what the last matrix reads; gated where the others write twice as much."""
    down = next(
        (t for t in matrices if t.split.value == "row" or re.search(r"down|w2|fc2|output", t.name)), matrices[-1]
    )
    width = down.shape[1]
    written = sum(t.shape[0] for t in matrices if t is not down and t.shape[1] == down.shape[0])
    return width, written >= 2 * width
