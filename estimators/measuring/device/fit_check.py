"""Whether a case can be held at all, before anything is built."""

from __future__ import annotations

from collections.abc import Mapping

from estimators.architecture.parse import parse_config
from estimators.architecture.spec import SpecSource
from estimators.measuring.jobs.job_request import DeviceJob, total_layers
from estimators.precision import KV_BYTES, Precision, resolve_precision
from estimators.provenance import Refusal


def needed_bytes(job: DeviceJob) -> int | None:
    """Weights and cache of a case at the depth it runs: B (P + O) cached elements x their size beside the weights.

    None for an architecture nobody has described here: then the device itself has the last word. Llama-3.1-8B in
    bf16 with 1,024 tokens: 16.06 GB + 1,024 x 131,072 B = 16.19 GB.
    """
    try:
        precision = _precision(job.model, job.config, job)
        draft = 0 if job.draft_config is None else _precision(job.draft, job.draft_config, job).weights_bytes
    except Refusal:
        return None
    groups = precision.spec.groups
    cached = sum(g.count * g.attention.cached_elements_per_token for g in groups if g.attention is not None)
    total = total_layers(job.config)
    share = min(1.0, job.layers / total) if job.layers and total else 1.0
    inside = sum(precision.group_bytes(group) for group in groups if group.stack != "mtp")
    tokens = job.batch * (job.prompt_tokens + job.output_tokens)
    cache_bytes = tokens * cached * KV_BYTES[precision.kv]
    return round(precision.weights_bytes - inside + share * (inside + cache_bytes)) + draft


def _precision(model: str, config: Mapping[str, object], job: DeviceJob) -> Precision:
    spec = parse_config(config, model_id=model, source=SpecSource.FILE, source_note="config of the job")
    return resolve_precision(spec, job.weights)


def refuse_too_big(needed: int | None, free: int | None, layers: int | None) -> None:
    """Raises `Refusal` for a case that the device cannot hold."""
    if needed is None or free is None or needed <= free:
        return
    remedy = "Use fewer layers still." if layers else "Run fewer layers and scale, or choose a smaller precision."
    raise Refusal(
        f"The case needs {needed / 2**30:.1f} GiB and the device has {free / 2**30:.1f} GiB free.",
        field="device",
        remedy=remedy,
    )
