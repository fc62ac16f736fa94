"""KV cache and recurrent state: what one request costs on one GPU, at least, as served and at most."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

from estimators.architecture.spec import Attention, AttentionKind, LayerGroup, RecurrentState
from estimators.formats import DTYPE_BYTES
from estimators.memory.compressed_cache import CompressedPages, compressed_pages
from estimators.memory.weights import Stage
from estimators.precision import KvPrecision, Precision

_SPARSE_FP8_ROW_BYTES = 656  # vLLM flashmla_sparse.py: 512 FP8 latent + 16 of scales + 64 rotary in 16 bits
_INDEXER_SCALE_ELEMENTS = 128  # one float32 scale per 128 FP8 index elements (DeepSeek V3.2)
_UNEQUAL = 1.5  # vLLM kv_cache_utils.py: kinds of layers within this ratio share the larger group size


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheKind:
    """Layers of one stage that cache alike: keys and values per token, or a state of fixed size."""

    layers: int
    bytes_per_token: float = 0.0  # of ONE layer on one GPU
    state_bytes: int = 0  # of ONE layer and request, on one GPU
    window: int | None = None
    chunked: bool = False
    share: float = 1.0  # of the context that these layers see: encoder and decoder see different parts

    def needed_bytes(self, tokens: int) -> float:
        """What attention still needs of a context of `tokens`, in one layer."""
        seen = tokens * self.share
        return self.state_bytes + self.bytes_per_token * (seen if self.window is None else min(seen, self.window))


@dataclass(frozen=True, kw_only=True)
class Cache:
    """The cache of one GPU of one stage. `tokens` arguments are the context of one request."""

    kinds: tuple[CacheKind, ...]
    capped: bool  # the engine frees what a window no longer needs
    block_tokens: int  # 1 for an engine without pages
    chunk_tokens: int = 0  # prefill chunk: while a prompt is written, its windows hold the chunk too
    state_blocks: int = 1  # pages of state per request: 2 where one is kept aligned for the prefix cache
    compressed: CompressedPages | None = None  # where layers keep their context so

    @cached_property
    def uniform(self) -> bool:
        """Every layer keeps every token: one page table serves all."""
        return all(kind.window is None and kind.bytes_per_token and kind.share == 1.0 for kind in self.kinds)

    @cached_property
    def token_bytes(self) -> float:
        """Bytes a token costs where no window is full."""
        return sum(kind.layers * kind.bytes_per_token * kind.share for kind in self.kinds)

    @cached_property
    def state_bytes(self) -> int:
        return sum(kind.layers * kind.state_bytes for kind in self.kinds)

    def marginal_bytes(self, tokens: int) -> float:
        """Bytes the next token adds at this context: layers whose window is full add none."""
        return sum(
            kind.layers * kind.bytes_per_token * kind.share
            for kind in self.kinds
            if not self.capped or kind.window is None or tokens < kind.window
        )

    def floor_bytes(self, tokens: int) -> int:
        """Exactly what attention needs: windows capped, no pages."""
        return math.ceil(sum(kind.layers * kind.needed_bytes(tokens) for kind in self.kinds))

    def full_bytes(self, tokens: int) -> int:
        """Every layer keeps every page, as with vLLM's --disable-hybrid-kv-cache-manager."""
        kept = math.ceil(tokens / self.block_tokens) * self.block_tokens
        per_layer = ((kind.layers, kind.state_bytes + kept * kind.share * kind.bytes_per_token) for kind in self.kinds)
        return math.ceil(sum(layers * size for layers, size in per_layer))

    def served_bytes(self, tokens: int, *, writing: bool = False) -> int:
        """As the engine allocates it: whole pages, and for mixed kinds vLLM's groups of equal pages.

        `writing` is a request whose prompt is being processed: its windows also hold the chunk.
        gpt-oss-20b at 131,072 tokens: 8,192 full blocks and ceil((127 + 8,192) / 16) + 1 = 521 sliding ones.
        """
        if self.uniform or not self.capped:
            return self.full_bytes(tokens)
        if self.compressed is not None:
            return self.compressed.served_bytes(tokens, self.chunk_tokens if writing else 0)
        if self.block_tokens == 1:
            return self.floor_bytes(tokens)
        blocks = sum(self._groups(kind) * self._blocks(kind, tokens, writing) for kind in self.kinds)
        return math.ceil(self.group_layers * self.page_bytes * blocks)

    def ceiling_bytes(self, tokens: int) -> int:
        return max(self.full_bytes(tokens), self.served_bytes(tokens))

    @cached_property
    def page_bytes(self) -> float:
        """One block of one layer, the same for all kinds: narrow kinds get more tokens in theirs, and where there is
        state the block grows until the state fits.

        Qwen3.5-35B-A3B with an FP8 cache: a state of 2,146,304 bytes needs 2,096 tokens of 1,024 bytes, as vLLM logs.
        """
        row = max((kind.bytes_per_token for kind in self.kinds), default=0.0)
        state = max((kind.state_bytes for kind in self.kinds), default=0)
        if not row:
            return float(state)
        step = row * self.block_tokens
        return step * max(1, math.ceil(state / step))

    @cached_property
    def group_layers(self) -> int:
        """Layers that share a page table: the count of the rarest kind, or of the commonest when they are close."""
        counts = [kind.layers for kind in self.kinds]
        return max(counts) if max(counts) < _UNEQUAL * min(counts) else min(counts)

    @property
    def groups(self) -> int:
        return sum(self._groups(kind) for kind in self.kinds)

    def _groups(self, kind: CacheKind) -> int:
        return math.ceil(kind.layers / self.group_layers)

    def _blocks(self, kind: CacheKind, tokens: int, writing: bool) -> int:
        if not kind.bytes_per_token:
            return self.state_blocks
        size = self.page_bytes / kind.bytes_per_token
        seen = tokens * kind.share
        if kind.window is None:
            return math.ceil(seen / size)
        chunk = self.chunk_tokens if writing else 0
        if kind.chunked:
            return math.ceil(min(kind.window + chunk, seen) / size)
        return math.ceil(min(kind.window - 1 + max(chunk, 1), seen) / size) + 1


def cache_kinds(
    precision: Precision,
    tp: int,
    stage: Stage | None = None,
    *,
    prompt_share: float = 1.0,
    mla_multiple: int = 1,
    mtp: bool = False,
    state_float32: bool = False,
) -> tuple[CacheKind, ...]:
    """The kinds of cache on one GPU of `stage`, or of the whole model.

    `mla_multiple` is the number of elements MLA rows are padded to; `prompt_share` the encoder's part of a context.
    """
    counts: dict[CacheKind, int] = {}
    encoder = any(group.stack == "encoder" for group in precision.spec.groups)
    for group in precision.spec.groups:
        count = _layers_here(group, stage, mtp)
        if not count:
            continue
        for kind in _kinds_of_layer(
            precision, tp, group, mla_multiple, prompt_share if encoder else None, state_float32
        ):
            counts[kind] = counts.get(kind, 0) + count
    return tuple(_times(kind, count) for kind, count in counts.items())


def pages_of_stage(precision: Precision, stage: Stage | None, mtp: bool, block_tokens: int) -> CompressedPages | None:
    """The layout of a stage whose layers compress their context, in blocks of `block_tokens`."""
    groups = [(group.attention, _layers_here(group, stage, mtp)) for group in precision.spec.groups]
    here = [(attention, count) for attention, count in groups if attention is not None and count]
    return compressed_pages(precision, here, block_tokens) if block_tokens else None


def _layers_here(group: LayerGroup, stage: Stage | None, mtp: bool) -> int:
    if group.stack == "mtp":
        return group.count if mtp and (stage is None or stage.last) else 0
    if group.stack != "decoder":
        return 0
    if stage is None:
        return group.count
    return sum(stage.first_layer <= layer < stage.end_layer for layer in group.layers)


def _kinds_of_layer(
    precision: Precision,
    tp: int,
    group: LayerGroup,
    mla_multiple: int,
    prompt_share: float | None,
    state_float32: bool,
) -> list[CacheKind]:
    made = []
    if group.attention is not None and group.attention.kind is not AttentionKind.CROSS:
        share = 1.0 if prompt_share is None else 1.0 - prompt_share
        made.append(_attention_kind(precision, tp, group.attention, mla_multiple, share))
        made.append(_compressed_kind(precision, group.attention))
    if group.cross_attention is not None and prompt_share is not None:
        made.append(_attention_kind(precision, tp, group.cross_attention, mla_multiple, prompt_share))
    if group.state is not None:
        made.append(CacheKind(layers=1, state_bytes=state_bytes(precision, group.state, tp, float32=state_float32)))
    return [kind for kind in made if kind.bytes_per_token or kind.state_bytes]


def _attention_kind(precision: Precision, tp: int, attention: Attention, mla_multiple: int, share: float) -> CacheKind:
    window = attention.window if attention.kind in (AttentionKind.SLIDING, AttentionKind.CHUNKED) else None
    return CacheKind(
        layers=1,
        bytes_per_token=row_bytes(precision, attention, tp, mla_multiple),
        window=window,
        chunked=attention.kind is AttentionKind.CHUNKED,
        share=share,
    )


def _compressed_kind(precision: Precision, attention: Attention) -> CacheKind:
    """DeepSeek V4: what stands for the context beyond the window, in every layer, whole on every rank."""
    row = attention.compressed_elements_per_token * precision.kv_bytes_per_element
    return CacheKind(layers=1, bytes_per_token=row)


def row_bytes(precision: Precision, attention: Attention, tp: int, mla_multiple: int = 1) -> float:
    """Bytes one token costs in one layer on one GPU.

    K/T heads of (H + Hv) elements, at least one head; MLA keeps its latent whole on every rank.
    Llama-3.1-8B: 8 x 256 x 2 = 4,096; on 16 GPUs 1 x 256 x 2 = 512. DeepSeek-V3: 576 x 2 = 1,152 on any number.
    """
    if attention.reuses_earlier_cache:
        return 0.0
    size = precision.kv_bytes_per_element
    if attention.kind is AttentionKind.MLA:
        return _latent_bytes(precision, attention, mla_multiple) + _index_bytes(attention)
    share = math.ceil(attention.kv_heads / tp) / attention.kv_heads
    return attention.cached_elements_per_token * share * size + _index_bytes(attention)


def _latent_bytes(precision: Precision, attention: Attention, multiple: int) -> float:
    """GLM-5 picks tokens with the index of an earlier layer in most of its layers: their rows are sparse ones too."""
    if (attention.indexer_dim or attention.indexer_topk) and precision.kv is KvPrecision.FP8:
        return _SPARSE_FP8_ROW_BYTES
    elements = attention.cached_elements_per_token
    return math.ceil(elements / multiple) * multiple * precision.kv_bytes_per_element


def _index_bytes(attention: Attention) -> int:
    """Keys of the sparse-attention indexer, in FP8 with float32 scales beside a latent, else in 16 bits.

    DeepSeek V3.2: 128 + 4; MiniMax-M3: 2 x 128 (vLLM minimax_m3/common/indexer.py).
    """
    if not attention.indexer_dim or attention.compression:  # the compressed entries hold their own index
        return 0
    if attention.kind is not AttentionKind.MLA:
        return 2 * attention.indexer_dim
    return attention.indexer_dim + 4 * math.ceil(attention.indexer_dim / _INDEXER_SCALE_ELEMENTS)


def state_bytes(precision: Precision, state: RecurrentState, tp: int, *, float32: bool = False) -> int:
    """Convolution window in the model's dtype and state matrix in its own (`float32` in an engine that
    keeps every state so), divided by heads over T.

    Qwen3.5-35B-A3B: 3 x 8,192 x 2 + 32 x 128 x 128 x 4 = 2,146,304 a layer.
    """
    convolution = state.conv_elements * DTYPE_BYTES[precision.compute_dtype]
    recurrent = state.recurrent_elements * DTYPE_BYTES["float32" if float32 else state.recurrent_dtype]
    return math.ceil((convolution + recurrent) / min(tp, state.heads))


def _times(kind: CacheKind, layers: int) -> CacheKind:
    return CacheKind(
        layers=layers,
        bytes_per_token=kind.bytes_per_token,
        state_bytes=kind.state_bytes,
        window=kind.window,
        chunked=kind.chunked,
        share=kind.share,
    )
