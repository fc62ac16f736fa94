"""Ask NVIDIA's aiconfigurator for every published run that our own estimates are judged on, and keep what it answers.

It needs an environment of its own, outside `.venv`, and takes a quarter of an hour of one core:

    python3 -m venv .venv-aiconfigurator
    .venv-aiconfigurator/bin/pip install aiconfigurator==0.12.0 regex
    .venv-aiconfigurator/bin/python -m tools.compare_aiconfigurator

It writes app/measuring/data/aiconfigurator.csv, one row a run; `make accuracy` then compares on the rows answered.

Each run is asked for as aiconfigurator's own adapter of InferenceX does: its aggregated mode for requests kept in
flight, its static mode for one request and for batches, its sweep over batches and prompt budgets for the most a server
does; GPUs split and formats named as the run states them; the oldest engine version it has data of, since runs are
older. Its measured database is asked first (SILICON) and, where that lacks the format or shape, the one that fills in
(HYBRID). Where it says that the run does not fit, that is no estimate, though static mode gives figures all the same.
"""

from __future__ import annotations

import csv
import json
import logging
import math
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import yaml
from aiconfigurator.cli.api import Task, cli_estimate  # type: ignore[import-not-found]
from aiconfigurator.sdk.models import check_is_moe  # type: ignore[import-not-found]
from aiconfigurator.sdk.sweep import sweep_agg  # type: ignore[import-not-found]
from aiconfigurator_core.sdk import errors  # type: ignore[import-not-found]
from aiconfigurator_core.sdk.common import DefaultHFModels  # type: ignore[import-not-found]

from estimators.architecture.catalogue import load_config
from estimators.fitting.latency_measured import Row, row_of, table
from estimators.latency.plan import schedule_of
from estimators.precision import Weights
from estimators.provenance import Refusal

OUT = Path(__file__).parents[1] / "app" / "measuring" / "data" / "aiconfigurator.csv"
COLUMNS = (
    "id", "mode", "database", "engine_version", "ttft_s", "tpot_s", "e2e_s", "req_per_s", "refused", "source", "as_of",
)  # fmt: skip
# Chips it has measured data of. It describes A100 and H100 on PCIe, A30 and L4 too, but has none, and answers nothing.
CHIPS: Mapping[str, str] = {
    "A100-80GB-SXM4": "a100_sxm",
    "H100-SXM5": "h100_sxm",
    "H200-SXM": "h200_sxm",
    "B200": "b200_sxm",
    "B300": "b300_sxm",
    "GB200 (per GPU)": "gb200",
    "L40S": "l40s",
    "RTX PRO 6000 Blackwell Server": "rtx_pro_6000_server",
}
BLACKWELL = ("B200", "B300", "GB200 (per GPU)")
BACKENDS: Mapping[str, str] = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "trtllm"}
MODES: Mapping[str, str] = {
    "single_stream": "static",
    "static_batch": "static",
    "concurrency": "agg",
    "max_throughput": "sweep",
}
# Checkpoints of its own list that are what a run names by the model it was made from.
CHECKPOINTS: Mapping[tuple[str, Weights], str] = {
    ("deepseek-ai/DeepSeek-R1", Weights.NVFP4): "nvidia/DeepSeek-V3.1-NVFP4",
    ("deepseek-ai/DeepSeek-V4-Pro", Weights.FP8): "sgl-project/DeepSeek-V4-Pro-FP8",
    ("MiniMaxAI/MiniMax-M2.5", Weights.NVFP4): "nvidia/MiniMax-M2.5-NVFP4",
}
FORMATS: Mapping[Weights, str] = {
    Weights.BF16: "bfloat16",
    Weights.FP16: "bfloat16",
    Weights.FP8: "fp8",
    Weights.INT8: "sq",
    Weights.INT8_WEIGHT_ONLY: "int8_wo",
    Weights.INT4: "int4_wo",
    Weights.NVFP4: "nvfp4",
}
MODELOPT: Mapping[Weights, str] = {Weights.FP8: "FP8", Weights.NVFP4: "NVFP4"}
UNREAD = ("awq", "gptq", "fbgemm_fp8")  # checkpoints whose description it does not read; their formats it knows
MOST_ROWS = 400  # of one publication and kind
MOST_SWEPT = 20  # of them, whose sweeps are not answered by measured tables
MOST_REQUESTS = 1024  # the largest batch of its sweep
MEMORY = (errors.InsufficientMemoryError, errors.KVCacheCapacityError)
NO_DATA = (errors.PerfDataNotAvailableError, errors.EmpiricalNotImplementedError, errors.MissingSystemFlopsError)


class Refused(Exception):
    """It gives no estimate; the word says of what: chip, engine, model, format, data, memory or layout."""


def ask(cells: Mapping[str, str], *, databases: Sequence[str] = ("silicon", "hybrid")) -> dict[str, object]:
    """Its answer for one run, seconds and requests a second of one replica. Raises `Refused`."""
    if cells["accelerator"] not in CHIPS:
        raise Refused("chip")
    if cells["engine"] not in BACKENDS:
        raise Refused("engine")
    row = row_of(cells)
    mode = MODES[row.kind]
    readings = [_question(cells, row, *reading) for reading in _readings(row, _kv(cells, row))]
    refusals = []
    for database in databases:
        for asked in readings:
            try:
                return {"mode": mode, "database": database, **_answer(mode, row, asked, database.upper())}
            except Refused as refused:
                refusals.append(refused)
    raise next((refused for refused in refusals if str(refused) == "memory"), refusals[0])


def _question(cells: Mapping[str, str], row: Row, path: str, formats: Mapping[str, str]) -> dict[str, Any]:
    """What its calls have in common."""
    tp, ep = row.placement.tp, row.placement.ep
    # vLLM splits every expert over all GPUs or none, and so its adapter reads runs of vLLM.
    experts = (1, tp) if row.engine == "vllm" and ep > 1 else (tp // ep, ep)
    return {
        "model_path": path,
        "system_name": CHIPS[cells["accelerator"]],
        "backend_name": BACKENDS[row.engine],
        "isl": row.workload.prompt_tokens,
        "osl": row.workload.output_tokens,
        "prefix": round(row.workload.prompt_tokens * row.workload.prefix_share),
        "kvcache_quant_mode": _kv(cells, row),
        **formats,
        "experts": experts if _mixture(path) else None,
    }


def _kv(cells: Mapping[str, str], row: Row) -> str | None:
    """The cache's format where the run states one or the engine keeps FP8 by itself; else it reads the checkpoint."""
    if cells["kv"]:
        return "fp8" if cells["kv"].startswith("fp8") else "bfloat16"
    return "fp8" if row.precision.kv_bytes_per_element == 1.0 and not row.precision.published else None


def _readings(row: Row, kv: str | None) -> list[tuple[str, dict[str, str]]]:
    """The ways to tell it the model and its formats, best first: a config that describes the checkpoint, or formats by
    name. By name is how its adapter asks for whatever InferenceX ran; FP8 in blocks it knows best so."""
    weights = row.precision.weights
    config = load_config(row.config)
    stored = config.get("quantization_config")
    stored = stored if isinstance(stored, dict) else {}
    method = str(stored.get("quant_method", ""))
    described: list[tuple[str, dict[str, str]]] = []
    if (row.config, weights) in CHECKPOINTS:
        described.append((CHECKPOINTS[row.config, weights], {}))
    elif row.precision.published and method not in UNREAD:
        # TensorRT-LLM multiplies gpt-oss' experts by FP8 activations on Blackwell, as its own search assumes.
        fp8 = (method, row.engine) == ("mxfp4", "tensorrt-llm") and row.accelerator.name in BLACKWELL
        path = row.config if row.config in DefaultHFModels else _written(row.config, None)
        described.append((path, {"moe_quant_mode": "w4a8_mxfp4_mxfp8"} if fp8 else {}))
    elif row.engine == "tensorrt-llm" and weights in MODELOPT:
        algorithm = {"quant_algo": MODELOPT[weights]} | ({"kv_cache_quant_algo": "FP8"} if kv == "fp8" else {})
        described.append((_written(row.config, json.dumps({"quantization": algorithm})), {}))
    if weights not in FORMATS or (row.precision.published and not method):
        if not described:
            raise Refused("format")
        return described
    gemm = FORMATS[weights]
    experts = "fp8_block" if (gemm, row.engine) == ("fp8", "sglang") else gemm
    formats = {"gemm_quant_mode": gemm} | ({"moe_quant_mode": experts} if experts not in ("sq", "int8_wo") else {})
    named = [(_written(row.config, ""), formats)]
    return named + described if stored.get("weight_block_size") else described + named


@cache
def _written(config: str, modelopt: str | None) -> str:
    """A folder with a config: as published (None), or described by ModelOpt's file, or by nothing (empty)."""
    folder = Path(mkdtemp())
    made = dict(load_config(config))
    text = made.get("text_config")
    if modelopt is not None:
        made.pop("quantization_config", None)
        if isinstance(text, dict):
            made["text_config"] = {name: value for name, value in text.items() if name != "quantization_config"}
    if modelopt:
        (folder / "hf_quant_config.json").write_text(modelopt, encoding="utf-8")
    (folder / "config.json").write_text(json.dumps(made), encoding="utf-8")
    return str(folder)


@cache
def _mixture(path: str) -> bool:
    try:
        return bool(check_is_moe(path))
    except (ValueError, KeyError) as error:
        raise Refused("model") from error


def _answer(mode: str, row: Row, asked: Mapping[str, Any], database: str) -> dict[str, object]:
    try:
        return _most(row, asked, database) if mode == "sweep" else _at(mode, row, asked, database)
    except Refused:
        raise
    except Exception as error:  # whatever a stranger's code raises is a row it does not answer
        raise Refused(_reason(error)) from error


def _reason(error: BaseException) -> str:
    if isinstance(error, MEMORY) or str(error).startswith("OOM"):
        return "memory"
    if isinstance(error, NO_DATA) or "no answerable perf data" in str(error):
        return "data"
    return _reason(error.__cause__) if error.__cause__ else "other"


def _at(mode: str, row: Row, asked: Mapping[str, Any], database: str) -> dict[str, object]:
    """One batch, or so many requests in flight; with stages in a row each holds its part of these."""
    experts = asked["experts"] or (None, None)
    stages = row.placement.pp if mode == "agg" else 1
    found = cli_estimate(
        mode=mode,
        database_mode=database,
        backend_version="current",
        batch_size=max(1, round((row.workload.concurrency or 1.0) / stages)),
        tp_size=row.placement.tp,
        pp_size=row.placement.pp,
        moe_tp_size=experts[0],
        moe_ep_size=experts[1],
        **{name: value for name, value in asked.items() if name != "experts"},
    )
    if found.kv_cache_warning:
        raise Refused("memory")
    return {
        "engine_version": found.raw["version"],
        "ttft_s": _short(found.ttft / 1e3),
        "tpot_s": _short(found.tpot / 1e3) if row.workload.output_tokens > 1 else "",
        "e2e_s": _short(found.request_latency / 1e3),
    }


def _most(row: Row, asked: Mapping[str, Any], database: str) -> dict[str, object]:
    """The most requests a second over batches and prompt budgets, up to what the engine admits at once."""
    tp, pp = row.placement.tp, row.placement.pp
    experts = asked["experts"] or (1, 1)
    task = Task.from_cli(
        database_mode=database,
        backend_version="current",
        ttft=math.inf,
        tpot=math.inf,
        pareto_sweep=False,
        agg_num_gpu_candidates=[tp * pp],
        agg_tp_candidates=[tp],
        agg_pp_candidates=[pp],
        agg_dp_candidates=[1],
        agg_cp_candidates=[1],
        agg_moe_tp_candidates=[experts[0]],
        agg_moe_ep_candidates=[experts[1]],
        **{name: value for name, value in asked.items() if name != "experts"},
    )
    limit = row.running or schedule_of(row.engine, row.settings, row.accelerator, row.workload, mla=False).max_seqs
    found = sweep_agg(
        **task.sweep_agg_kwargs(
            database=task._load_database(task.system_name, task.backend_name, task.backend_version)
        ),
        max_batch_size=min(limit, MOST_REQUESTS),
        top_k=1,
    )
    return {"engine_version": found["version"][0], "req_per_s": _short(found["seq/s"][0])}


def _short(value: float) -> str:
    if not (math.isfinite(value) and value > 0.0):
        raise Refused("data")
    return f"{value:.4g}"


def sampled() -> list[dict[str, str]]:
    """Runs of the kinds that it can be asked for, by the hash of their ids; the first of each publication and kind."""
    asked = [cells for cells in table() if cells["kind"] in MODES]
    before: Counter[tuple[str, str]] = Counter()
    chosen = []
    for cells in sorted(asked, key=lambda cells: sha256(cells["id"].encode()).digest()):
        before[cells["publication"], cells["kind"]] += 1
        if before[cells["publication"], cells["kind"]] <= MOST_ROWS:
            chosen.append(cells)
    return chosen


def answers() -> Iterator[dict[str, object]]:
    """What it says of every run asked for. A sweep outside its measured tables takes seconds: of these a few."""
    said = {"source": f"aiconfigurator {version('aiconfigurator')}", "as_of": date.today().isoformat()}  # noqa: DTZ011
    swept: Counter[str] = Counter()
    for cells in sampled():
        sweep = cells["kind"] == "max_throughput"
        enough = sweep and swept[cells["publication"]] >= MOST_SWEPT
        try:
            answer = ask(cells, databases=("silicon",) if enough else ("silicon", "hybrid"))
        except (Refused, Refusal) as refused:
            if enough and str(refused) == "data":
                continue
            if refused.__cause__ is not None:
                print(cells["id"], refused, refused.__cause__, file=sys.stderr)
            answer = {"refused": str(refused)}
        swept[cells["publication"]] += sweep and answer.get("database") == "hybrid"
        yield {"id": cells["id"], **answer, **said}


def main() -> None:
    logging.disable(logging.CRITICAL)
    yaml.SafeLoader = yaml.CSafeLoader  # it reads its indices anew for every question
    counted: Counter[object] = Counter()
    half = OUT.with_suffix(".part")  # a run that is stopped leaves the table as it was
    with half.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for answer in answers():
            writer.writerow(answer)
            counted[answer.get("refused") or answer["database"]] += 1
    half.replace(OUT)
    print(*(f"{count:,} {name}" for name, count in counted.most_common()), sep=", ")


if __name__ == "__main__":
    main()
