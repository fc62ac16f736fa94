"""Many servers as arrays: a dataclass of numbers becomes one of arrays, an element per server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.planning.budget import checkpoint
from estimators.latency.numeric import Arrays
from estimators.latency.plan import ReplicaPlan
from estimators.latency.serving import Server
from estimators.latency.sharding import Product, Shard
from estimators.remembered import Remembered

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
ARRAY_LENGTH = 2048  # below this, numpy spends its time on calls rather than on numbers
STACKS_KEPT = 16  # of up to ARRAY_LENGTH servers each
ARRAYS = Arrays(checkpoint)


def is_kept(items: Sequence[Any]) -> bool:
    """Whether what is made of these alone is remembered by their identity: they cannot change, and are not too many."""
    return isinstance(items, tuple) and len(items) <= ARRAY_LENGTH


def stacked(items: Sequence[Any]) -> Any:
    """The dataclass whose numbers are arrays over `items`; names and flags, which no formula reads, are the first's."""
    checkpoint()
    first = items[0]
    if is_dataclass(first) and not isinstance(first, type):
        return replace(first, **{f.name: stacked([getattr(item, f.name) for item in items]) for f in fields(first)})
    if isinstance(first, (int, float)) and not isinstance(first, bool):
        return np.array(items, dtype=np.float64)
    return first


def taken(stack: Any, which: Ints) -> Any:
    """The elements `which` of every array of a stack."""
    if is_dataclass(stack) and not isinstance(stack, type):
        return replace(stack, **{f.name: taken(getattr(stack, f.name), which) for f in fields(stack)})
    return stack[which] if isinstance(stack, np.ndarray) else stack


class Stack:
    """The numbers of many servers as arrays, and, where none drafts, the server they make."""

    def __init__(self, plans: Sequence[ReplicaPlan]) -> None:
        self.shard = stacked([plan.shard for plan in plans])
        self.rates = stacked([plan.server.rates for plan in plans])
        self.scheduler = stacked([plan.scheduler for plan in plans])
        self.request = stacked([plan.request for plan in plans])
        self.draft = _drafts(plans, self.rates) if any(plan.draft for plan in plans) else None

    @cached_property
    def server(self) -> Server:
        return Server(self.shard, self.rates, self.scheduler, self.request, ARRAYS)


_STACKS: Remembered[Stack] = Remembered(STACKS_KEPT)


def stack_of(plans: Sequence[ReplicaPlan]) -> Stack:
    """The stack of these servers, which another load, limit or price does not change."""
    if len(plans) > ARRAY_LENGTH:
        return Stack(plans)
    return _STACKS.of(tuple(plans), None, lambda: Stack(plans))


def _drafts(plans: Sequence[ReplicaPlan], rates: Any) -> Any:
    """What drafts, over all plans: one without drafting drafts no token, in no time, and gains one a step."""
    first = next(plan.draft for plan in plans if plan.draft is not None)
    nothing = Product()
    empty = Shard(linear=nothing, wide=nothing, expert=nothing, head=nothing)
    none = replace(first, tokens=0, acceptance=0.0, gained=1.0, shard=empty, host_s=0.0)
    drafts = [plan.draft or none for plan in plans]
    shards = stacked([draft.shard or empty for draft in drafts])
    numbers: dict[str, Any] = {
        name: np.array([getattr(draft, name) for draft in drafts], dtype=np.float64)
        for name in ("tokens", "acceptance", "gained", "host_s")
    }
    return replace(first, shard=shards, rates=rates, **numbers)
