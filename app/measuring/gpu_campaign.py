"""What plain transformers does on an attached GPU, beside what we estimate: `make bench-gpu` measures and keeps it.

Random weights, no network. Shortest first, so that a session that ends early has measured something; a case that does
not fit the device is left out and named.
"""

from __future__ import annotations

import csv
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.measuring.jobs import ROOT, device_assignment, measurement_store, start
from app.measuring.overlay import beside_plan
from app.planning.planner import CHEAPEST, plan
from app.scenario import decode
from app.sources import shared_sources
from estimators.architecture import catalogue
from estimators.hardware.catalogue import find_accelerator
from estimators.measuring.comparison import Comparison
from estimators.measuring.device.machine import Attached, attached
from estimators.measuring.jobs.job_request import DeviceJob
from estimators.measuring.jobs.job_state import Status
from estimators.measuring.measurement import Measurement
from estimators.precision import Weights
from estimators.provenance import Refusal

TABLE = ROOT / "estimators" / "measuring" / "data" / "gpu.csv"
FIGURES = ("ttft_s", "itl_s", "output_tok_per_s", "memory_bytes")
COLUMNS = (
    "accelerator", "model", "weights", "prompt", "output", "batch",
    *(name for figure in FIGURES for name in (figure, f"{figure}_estimated")),
    "unstable", "source", "as_of",
)  # fmt: skip
OUTPUT = 32
SECONDS = 60.0  # of one case
DENSE = (
    "Qwen/Qwen2.5-0.5B-Instruct",
    "Qwen/Qwen2.5-1.5B-Instruct",
    "Qwen/Qwen2.5-3B-Instruct",
    "Qwen/Qwen2.5-7B-Instruct",
    "meta-llama/Llama-3.1-8B-Instruct",
    "Qwen/Qwen2.5-14B-Instruct",
    "Qwen/Qwen2.5-32B-Instruct",
)
MIXTURE = "allenai/OLMoE-1B-7B-0924"
SHAPES = ((128, 1), (1024, 1), (8192, 1), (512, 8), (512, 64))  # prompt, batch
QUANTIZED = ("meta-llama/Llama-3.1-8B-Instruct", "Qwen/Qwen2.5-32B-Instruct")
QUANTIZED_SHAPES = ((1024, 1), (512, 8))

Measure = Callable[[DeviceJob], Measurement | str]  # or why not


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One model in one precision at one shape."""

    model: str
    weights: Weights
    prompt: int
    batch: int

    def job(self, device: str) -> DeviceJob:
        """The device's own micro-benchmark is left out: the estimate beside these is the plan's."""
        return DeviceJob(
            model=self.model, config=catalogue.load_config(self.model), weights=self.weights, device=device,
            prompt_tokens=self.prompt, output_tokens=OUTPUT, batch=self.batch, seconds=SECONDS, benchmark=False,
        )  # fmt: skip

    def compared(self, accelerator: str, made: Measurement) -> tuple[Comparison, ...]:
        """What was measured beside the estimate of the same batch of plain transformers on the same accelerator."""
        asked = {
            "model": self.model, "weights": self.weights.value, "gpu": accelerator, "engine": "transformers",
            "prompt": str(self.prompt), "output": str(OUTPUT), "load": "batch", "concurrency": str(self.batch),
        }  # fmt: skip
        return beside_plan(plan(decode(asked).scenario, shared_sources(), within=CHEAPEST), made)


def cases() -> Iterator[Case]:
    """Every case once, the quick ones first."""
    for prompt, batch in SHAPES:
        for model in (*DENSE, MIXTURE):
            yield Case(model=model, weights=Weights.BF16, prompt=prompt, batch=batch)
    for weights in (Weights.INT8, Weights.NF4):
        for model in QUANTIZED:
            for prompt, batch in QUANTIZED_SHAPES:
                yield Case(model=model, weights=weights, prompt=prompt, batch=batch)


def campaign(
    gpu: Attached, measure: Measure, seconds: float, clock: Callable[[], float] = time.monotonic
) -> list[dict[str, object]]:
    """Rows of `COLUMNS` for the cases that ran before `seconds` were over; each printed with its error."""
    over, rows = clock() + seconds, []
    for case in cases():
        if clock() > over:
            print(f"{seconds / 60:g} minutes are over: {case.model} and what comes after it are left out")
            break
        said = f"{case.model} {case.weights.value}, {case.prompt} + {OUTPUT} tokens, {case.batch} at a time"
        made = measure(case.job(gpu.device))
        if isinstance(made, str):
            print(f"{said}: left out. {made}", flush=True)
            continue
        compared = case.compared(gpu.accelerator, made)
        errors = (f"{row.label.lower()} {100 * (1 / row.ratio - 1):+.0f} %" for row in compared if row.ratio)
        print(f"{said}: the estimate is off by {', '.join(errors) or 'an unknown share: there is none'}", flush=True)
        rows.append(_row(case, gpu, made, compared))
    return rows


def _row(case: Case, gpu: Attached, made: Measurement, compared: Sequence[Comparison]) -> dict[str, object]:
    by_key = {row.key: row for row in compared}
    row: dict[str, object] = {
        "accelerator": gpu.accelerator, "model": case.model, "weights": case.weights.value, "prompt": case.prompt,
        "output": OUTPUT, "batch": case.batch, "unstable": str(made.unstable).lower(),
        "source": f"make bench-gpu; {made.provenance}; {gpu.name}, driver {gpu.driver}",
        "as_of": f"{datetime.now(UTC):%Y-%m-%d}",
    }  # fmt: skip
    for figure in FIGURES:
        found = by_key.get(figure)
        row[figure] = "" if found is None or found.measured is None else f"{found.measured:.6g}"
        row[f"{figure}_estimated"] = "" if found is None or found.estimated is None else f"{found.estimated.value:.6g}"
    return row


def on_device(job: DeviceJob) -> Measurement | str:
    """The way a person's click goes: queue, runner, worker, store."""
    store = measurement_store()
    try:
        job_id = start(store, device_assignment(job), "campaign")
    except Refusal as refusal:
        return str(refusal)
    while (state := store.job(job_id)) is None or state.open:
        time.sleep(0.1)
    return store.find(state.results)[0] if state.status is Status.DONE else state.message


def keep(rows: Sequence[dict[str, object]], table: Path = TABLE) -> None:
    """Replaces the rows of these cases in the table, and leaves the others."""
    key = ("accelerator", "model", "weights", "prompt", "output", "batch")
    kept = {}
    if table.exists():
        with table.open(newline="", encoding="utf-8") as file:
            kept = {tuple(old[name] for name in key): dict(old) for old in csv.DictReader(file)}
    new = {tuple(str(row[name]) for name in key): row for row in rows}
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows((kept | new).values())


def main(arguments: Sequence[str]) -> int:
    """`[MINUTES]`: how long to go on; ten unless said."""
    gpu = attached()[0]
    try:
        if gpu.device == "cpu":
            raise Refusal("No NVIDIA GPU is attached.", field="device", remedy="Check nvidia-smi.")
        find_accelerator(gpu.name)
        rows = campaign(gpu, on_device, 60 * float(arguments[0] if arguments else 10))
    except Refusal as refusal:
        print(refusal, file=sys.stderr)
        return 2
    keep(rows)
    print(f"{len(rows)} cases are in {TABLE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
