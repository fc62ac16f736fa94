"""How vLLM lays out the cache of layers that keep a window in full and the context compressed (DeepSeek V4).

Each layer has up to four parts with blocks of their own: the compressed entries, the window, and what the compressor
(and the indexer's) is still working on, in float32. All share one pool whose block is as wide as the widest group of
layers, so that a request pays whole blocks even for a few tokens: while its prompt is written, its windows and the
compressors hold the chunk too, and that is 3 to 4 GiB whatever the request's length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from estimators.architecture.spec import Attention
from estimators.precision import KvPrecision, Precision

_FP8_ROW = 584  # vllm/v1/attention/backends/mla/sparse_swa.py: 448 in FP8, 64 rotary in 16 bits, 8 of scales
_FP8_ALIGNMENT, _WIDE_ALIGNMENT = 576, 512  # vllm/models/deepseek_v4/attention.py, bytes
_INDEX_SCALES = 4  # one float32 for the 128 elements of an index key
_STATE_BYTES = 4  # float32
_INDEXED_BELOW = 128  # finer compression overlaps, and an indexer searches it


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTable:
    """Layers whose blocks are handed out together: tokens in one, and how many tokens back they are needed."""

    block_tokens: int
    window: int | None = None

    def blocks(self, tokens: int, chunk: int) -> int:
        """As vLLM's sliding window: ceil((window - 1 + chunk) / block) + 1, at most what the context has."""
        if self.window is None:
            return math.ceil(tokens / self.block_tokens)
        return math.ceil(min(self.window - 1 + max(chunk, 1), tokens) / self.block_tokens) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedPages:
    """The pool's block in bytes, over all layers of a stage, and the tables that draw from it."""

    page_bytes: int
    tables: tuple[BlockTable, ...]
    beside: float = 0.0  # bytes a token of a draft costs

    def served_bytes(self, tokens: int, chunk: int) -> int:
        """DeepSeek-V4-Flash, 30,000 tokens written in chunks of 16,384: 6,800 blocks of 1,051,776 bytes, 6.66 GiB."""
        pages = self.page_bytes * sum(table.blocks(tokens, chunk) for table in self.tables)
        return pages + math.ceil(self.beside * tokens)


def compressed_pages(
    precision: Precision, layers: Sequence[tuple[Attention, int]], block_tokens: int
) -> CompressedPages | None:
    """Of the layers of one stage, each kind with its count; None where none compresses.

    DeepSeek-V4-Flash has 43 windows in two tables, 21 layers of ratio 4 with an indexer and 20 of ratio 128: 22 times a
    page of each size, 37,440 + 8,640 + 1,728 bytes.
    """
    ratios = {attention.compression: attention for attention, _ in layers if attention.compression}
    if not ratios:
        return None
    counts = {ratio: sum(n for attention, n in layers if attention.compression == ratio) for ratio in ratios}
    windows, finest = sum(count for _, count in layers), min(ratios)
    window_tables = max(1, round(windows / max(counts.values())))
    deepest = max(math.ceil(windows / window_tables), *counts.values())
    narrow = precision.kv is KvPrecision.FP8
    row = _FP8_ROW if narrow else ratios[finest].head_dim * precision.kv_bytes_per_element
    step = _FP8_ALIGNMENT if narrow else _WIDE_ALIGNMENT

    def page(size: float) -> int:
        return math.ceil(size / step) * step

    sizes = {page(block_tokens // ratio * row) for ratio in ratios}
    widest = max(sizes)
    indexed = max(attention.indexer_dim for attention in ratios.values())
    if indexed:
        sizes.add(page(block_tokens // finest * (indexed + _INDEX_SCALES)))
    window = next(attention.window for attention in ratios.values())
    tables = [BlockTable(block_tokens=block_tokens)]
    tables += [BlockTable(block_tokens=block_tokens // finest, window=window)] * window_tables
    tables += [_compressor(attention, widest) for attention in ratios.values()]
    return CompressedPages(page_bytes=deepest * sum(sizes), tables=tuple(tables))


def _compressor(attention: Attention, page_bytes: int) -> BlockTable:
    """Keys and scores in float32 of the entries being made, two at a time where they overlap: blocks of the largest
    power of two that fits the page. Ratio 4: 2 x 2 x 512 x 4 B a token, 4 to a block; ratio 128: 4,096 B, 8."""
    overlap = 2 if attention.compression < _INDEXED_BELOW else 1
    token = 2 * overlap * attention.head_dim * _STATE_BYTES
    return BlockTable(
        block_tokens=2 ** int(math.log2(max(1, page_bytes // token))), window=overlap * attention.compression
    )
