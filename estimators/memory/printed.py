"""What vLLM prints at start-up for a replica: the two lines that say how much its cache holds."""

from __future__ import annotations

import math
from collections.abc import Sequence

from estimators.memory.engine import Running
from estimators.memory.footprint import Replica, Share
from estimators.memory.kv_cache import Cache


def blocks(shares: Sequence[Share], budget: int) -> int:
    """Pages of every stage's pool, the smallest deciding."""
    return min(_blocks(budget - share.fixed, share.cache) for share in shares)


def kv_cache_tokens(replica: Replica, running: Running, model_len: int) -> int:
    """The N of "GPU KV cache size: N tokens": blocks / groups x block, which for mixed kinds is no capacity; from 0.21
    on the concurrency below times M.

    Qwen3.5-27B, vLLM 0.19: 1,484 blocks / 4 groups x 784 = 290,864.
    """
    if running.value("prints_request_pool"):
        return int(max_concurrency(replica, model_len) * model_len)
    share = replica.shares[0]
    return blocks(replica.shares, replica.budget) // tables(share.cache) * block_tokens(share.cache)


def max_concurrency(replica: Replica, model_len: int) -> float:
    """The x of "Maximum concurrency for M tokens per request": blocks over those one request of M tokens may need.

    gpt-oss-20b logged 1,211,392 tokens at M = 131,072: 151,424 blocks / (8,192 + 521) = 17.38.
    """
    share = replica.shares[0]
    page = _page(share.cache)
    each = math.ceil(share.cache.served_bytes(model_len, writing=True) / page) if page else 0
    return blocks(replica.shares, replica.budget) / each if each else 0.0


def token_bytes(share: Share, running: Running, model_len: int) -> float:
    """Bytes of the pool behind each printed token, padding layers included."""
    cache = share.cache
    if running.value("prints_request_pool"):
        return cache.served_bytes(model_len, writing=True) / model_len
    return _page(cache) * tables(cache) / block_tokens(cache)


def _blocks(room: int, cache: Cache) -> int:
    page = _page(cache)
    return max(0, math.floor(room / page)) if page else 0


def _page(cache: Cache) -> float:
    """One block of one page table over all its layers."""
    if cache.compressed is not None and cache.capped:
        return cache.compressed.page_bytes
    if cache.uniform or not cache.capped:
        return cache.token_bytes * cache.block_tokens
    return cache.page_bytes * cache.group_layers


def tables(cache: Cache) -> int:
    if cache.compressed is not None and cache.capped:
        return len(cache.compressed.tables)
    return 1 if cache.uniform or not cache.capped else cache.groups


def block_tokens(cache: Cache) -> int:
    """Tokens in the smallest kind's block."""
    if cache.compressed is not None and cache.capped:
        return min(table.block_tokens for table in cache.compressed.tables)
    if cache.uniform or not cache.capped:
        return cache.block_tokens
    widest = max(kind.bytes_per_token for kind in cache.kinds)
    return round(cache.page_bytes / widest) if widest else cache.block_tokens
