"""vLLM on the chips of AWS: what its Neuron plug-in (NxD Inference) compiles, and the arguments it wants.

It keeps one contiguous block of the longest context per request, so the number of blocks is stated: exactly the
requests at once; with prefix caching those times the pages of one (vLLM User Guide for NxD Inference, plug-in 0.5.0).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from estimators.provenance import read_table

_TABLE = Path(__file__).with_name("data") / "neuron.csv"
PLUGIN, VLLM = "0.5.0", "0.16.0"  # of the guide the table was read from
PAGE_TOKENS = 32  # of the guide's examples


def cores(accelerator: str) -> int | None:
    """NeuronCores one chip shows to an engine: an Inferentia2 two, a Trainium2 four; None for one not served on."""
    known = _rows("cores").get(accelerator)
    return int(known) if known else None


def compiles(architecture: str) -> bool:
    """Whether the plug-in has this class of models."""
    return architecture in _rows("architecture")


def arguments(longest: int, requests: int, *, prefix_cached: bool) -> list[str]:
    """The arguments that only these chips want: 4 requests of up to 2,048 tokens are 4 blocks of one request each, or
    with prefix caching 4 x 64 pages of 32 tokens."""
    if not prefix_cached:
        return ["--block-size", str(longest), "--num-gpu-blocks-override", str(requests), "--no-enable-prefix-caching"]
    pages = math.ceil(longest / PAGE_TOKENS) * requests
    layout = {
        "is_prefix_caching": True,
        "is_block_kv_layout": True,
        "pa_num_blocks": pages,
        "pa_block_size": PAGE_TOKENS,
    }
    return [
        *("--block-size", str(PAGE_TOKENS), "--num-gpu-blocks-override", str(pages), "--enable-prefix-caching"),
        *("--additional-config", json.dumps({"override_neuron_config": layout})),
    ]


@cache
def _rows(kind: str) -> Mapping[str, str]:
    return {row["name"]: row["value"] for row in read_table(_TABLE, key=("kind", "name")) if row["kind"] == kind}
