"""The process that runs models: the only place that imports torch and transformers, in an environment of its own.

Reads one job as a line of JSON, writes events as lines of JSON, and ends when its parent does. Models are built from
their config with random weights: nothing is downloaded and no code of a repository runs.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from estimators.measuring.device.assembly import Depth, assemble
from estimators.measuring.device.bench import DeviceBench
from estimators.measuring.device.building import GPU_SHARE, build, dtype_of, libraries, out_of_memory
from estimators.measuring.device.fit_check import refuse_too_big
from estimators.measuring.device.machine import cpu_name, proc_bytes
from estimators.measuring.device.timing import Run, repeat
from estimators.measuring.jobs.job_request import DeviceJob, from_json, total_layers
from estimators.measuring.jobs.process import end_with_parent
from estimators.measuring.measurement import DeviceFacts, as_dict
from estimators.precision import Weights
from estimators.provenance import Refusal

DECODE_STEPS = 24  # timed per run, round the middle of the output
BENCHMARK_SHARE = 0.2  # of the progress bar
NICENESS = 10  # below everybody else's requests

Tell = Callable[..., None]


def main() -> int:
    """Runs the job on standard input. What libraries print goes to standard error."""
    channel = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
    os.dup2(2, 1)

    def tell(event: str, **values: object) -> None:
        channel.write(json.dumps({"event": event, **values}, allow_nan=False) + "\n")

    line = sys.stdin.readline()
    end_with_parent()
    _step_back()
    try:
        run_job(from_json(line), tell)
    except Refusal as refusal:
        tell("refused", field=refusal.field, message=str(refusal))
    except ImportError as problem:
        tell(
            "refused",
            field="device",
            message=f"{problem.name or 'A library'} is not installed; run make profile-setup.",
        )
    except Exception as problem:
        if out_of_memory(problem):
            tell("out_of_memory", message="The device ran out of memory.")
        else:
            tell("failed", message=f"{type(problem).__name__}: {problem}"[:300])
    return 0


def _step_back() -> None:
    with contextlib.suppress(OSError):
        os.nice(NICENESS)
    with contextlib.suppress(OSError):  # if memory runs out, this process is the one to go
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def run_job(job: DeviceJob, tell: Tell) -> None:
    tell("progress", share=0.01, message="loading torch and transformers", seconds_left=None)
    os.environ["OMP_NUM_THREADS"] = str(job.threads)
    import torch
    import transformers

    torch.set_num_threads(job.threads)
    torch.set_grad_enabled(False)
    check_device(torch, job)
    over = time.monotonic() + job.seconds
    facts = device_facts(job)
    bench = DeviceBench(torch, transformers, job.device, job.threads)
    started = BENCHMARK_SHARE if job.benchmark else 0.05
    if job.benchmark:
        tell("progress", share=0.05, message=f"measuring {facts.name} itself", seconds_left=None)
        tell("device_profile", profile=bench.profile(facts.name, dtype_of(job)).as_dict())
    tell("progress", share=started, message="building the model", seconds_left=None)
    load_libraries(bench, job)
    refuse_too_big(job.needed_bytes, free_bytes(torch, job), job.layers)
    deep, total = depth_of(job)
    depths = (None,) if deep is None else (deep, max(1, deep // 2))
    results = []
    for number, depth in enumerate(depths):

        def told(done: int, expected: int, left: float | None, number: int = number) -> None:
            share = started + (1 - started) * (number + min(1.0, done / expected)) / len(depths)
            tell("progress", share=min(share, 0.99), message=f"run {done}", seconds_left=left)

        seconds = max(1.0, (over - time.monotonic()) / (len(depths) - number))
        results.append(RunningModel(torch, transformers, bench, job, depth).measure(seconds, told))
    versions = (str(transformers.__version__), ", ".join(filter(None, (str(torch.__version__), libraries()))))
    tell("result", measurement=as_dict(assemble(job, facts, versions, total, results)))


def free_bytes(torch: Any, job: DeviceJob) -> int | None:
    if job.device == "cpu":
        return proc_bytes("/proc/meminfo", "MemAvailable")
    if job.gpus == 1:
        return int(torch.cuda.mem_get_info(job.device)[0])
    return int(GPU_SHARE * sum(torch.cuda.mem_get_info(number)[0] for number in range(job.gpus)))


def check_device(torch: Any, job: DeviceJob) -> None:
    if job.device == "cpu":
        return
    if not torch.cuda.is_available():
        raise Refusal(
            "torch finds no CUDA device here.",
            field="device",
            remedy="Check nvidia-smi and the driver, or use the CPU.",
        )
    wanted, there = max(job.gpus, int(job.device.partition(":")[2] or 0) + 1), int(torch.cuda.device_count())
    if wanted > there:
        raise Refusal(f"{wanted} GPUs are wanted and torch finds {there}.", field="gpus", remedy="Use fewer.")


def load_libraries(bench: DeviceBench, job: DeviceJob) -> None:
    """Imports what a model will need, so that its memory is not counted as the model's."""
    bench.tiny_step(getattr(bench.torch, dtype_of(job)), 2)
    if job.weights in (Weights.INT8, Weights.NF4):
        import bitsandbytes  # noqa: F401
    if job.weights in (Weights.INT8_WEIGHT_ONLY, Weights.INT4):
        import torchao.quantization  # noqa: F401


def depth_of(job: DeviceJob) -> tuple[int | None, int | None]:
    """Layers to run, None for all of them, and the layers of the whole model."""
    total = total_layers(job.config)
    return (job.layers if job.layers and total and job.layers < total else None), total


def device_facts(job: DeviceJob) -> DeviceFacts:
    """Name, driver and memory: by NVML on CUDA, by /proc on the CPU."""
    if job.device == "cpu":
        return DeviceFacts(
            name=cpu_name(), kind="cpu", memory_bytes=proc_bytes("/proc/meminfo", "MemTotal"), threads=job.threads
        )
    import pynvml
    import torch

    pynvml.nvmlInit()
    number = int(job.device.partition(":")[2] or 0)
    driver = pynvml.nvmlSystemGetDriverVersion()
    memory = int(torch.cuda.get_device_properties(number).total_memory)
    name = str(torch.cuda.get_device_name(number))
    return DeviceFacts(name=name, kind="cuda", driver=f"{driver}, CUDA {torch.version.cuda}", memory_bytes=memory)


def give_back_memory() -> None:
    """What the micro-benchmark freed goes back to the system, or a model put there would seem to take nothing."""
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)


class RunningModel:
    """One model at one depth, ready to run prompts and tokens."""

    def __init__(self, torch: Any, tf: Any, bench: DeviceBench, job: DeviceJob, layers: int | None) -> None:
        self.torch, self.bench, self.job, self.layers = torch, bench, job, layers
        self.before = self.held_bytes()
        built = build(torch, tf, job, job.config, layers, job.model)
        self.model, self.real = built.model, built.real
        self.draft = build(torch, tf, job, job.draft_config, None, job.draft).model if job.draft_config else None
        self.reset_peak()  # loading and quantizing take memory of their own, before any request
        self.steps = min(job.output_tokens - 1, DECODE_STEPS)
        self.skipped = (job.output_tokens - 1 - self.steps) // 2
        vocabulary = int(self.model.config.get_text_config().vocab_size)
        shape = (job.batch, job.prompt_tokens + self.skipped + job.draft_tokens + 1)
        self.ids = torch.randint(0, vocabulary, shape, device=job.device)

    def held_bytes(self) -> int:
        """Memory in use now, once what went before is given back."""
        give_back_memory()
        if self.bench.cuda:
            return sum(int(self.torch.cuda.memory_allocated(number)) for number in self.numbers())
        return proc_bytes("/proc/self/status", "VmRSS") or 0

    def reset_peak(self) -> None:
        give_back_memory()
        if self.bench.cuda:
            for number in self.numbers():
                self.torch.cuda.reset_peak_memory_stats(number)
            return
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")

    def numbers(self) -> range:
        """The GPUs the model lies on, as torch numbers them."""
        first = int(self.job.device.partition(":")[2] or 0)
        return range(first, first + self.job.gpus)

    def peak_bytes(self) -> int | None:
        """Above what was held before the model was built: libraries are not the model's. Of all its GPUs together."""
        if self.bench.cuda:
            peak = sum(int(self.torch.cuda.max_memory_allocated(number)) for number in self.numbers())
        else:
            peak = proc_bytes("/proc/self/status", "VmHWM") or 0
        return peak - self.before if peak > self.before else None

    def measure(self, seconds: float, told: Any) -> Depth:
        runs = repeat(self.run, time.monotonic, seconds, told)
        return Depth(layers=self.layers, runs=tuple(runs), peak_bytes=self.peak_bytes(), real_weights=self.real)

    def forward(self, model: Any, ids: Any, cache: Any) -> tuple[Any, Any]:
        """Cache and next token; logits of the last position only, or they would cost time and memory."""
        out = model(ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return out.past_key_values, out.logits[:, -1:].argmax(-1)

    def run(self) -> Run:
        prompt = self.ids[:, : self.job.prompt_tokens]
        if self.bench.cuda:
            self.torch.cuda.synchronize()
        first = self.bench.mark()
        cache, token = self.forward(self.model, prompt, None)
        prefill = self.bench.between(first, self.bench.mark())
        if cache is None:
            raise Refusal("This architecture keeps no cache that transformers hands out.", field="model")
        if self.skipped:
            middle = self.ids[:, self.job.prompt_tokens : self.job.prompt_tokens + self.skipped]
            cache, token = self.forward(self.model, middle, cache)
        step = self.steps_of(self.model, cache, token, self.steps)
        extra: tuple[float, ...] = ()
        if self.draft is not None:
            held, token = self.forward(self.draft, prompt, None)
            drafted = self.steps_of(self.draft, held, token, self.job.draft_tokens)
            whole = self.ids[:, -(self.job.draft_tokens + 1) :]
            first = self.bench.mark()
            self.model(whole, past_key_values=cache, use_cache=True)
            extra = (drafted, self.bench.between(first, self.bench.mark()))
        return Run(prefill_s=prefill, step_s=step, extra_s=extra)

    def steps_of(self, model: Any, cache: Any, token: Any, steps: int) -> float:
        marks = [self.bench.mark()]
        for _ in range(steps):
            cache, token = self.forward(model, token, cache)
            marks.append(self.bench.mark())
        return median(self.bench.between(a, b) for a, b in pairwise(marks))


if __name__ == "__main__":
    raise SystemExit(main())
