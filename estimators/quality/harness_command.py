"""The LM Evaluation Harness command that takes a missing score, of exactly what a `vllm serve` line starts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from estimators.provenance import read_table
from estimators.quality.tasks import DATA, Benchmark, Task, benchmarks

# Arguments of `vllm serve` that change what is computed or whether it fits, as `--model_args` calls them: the harness
# hands what it does not know to vLLM. Drafting and adapters are left out; the first changes no answer.
_ENGINE = {
    "--revision": "revision",
    "--dtype": "dtype",
    "--quantization": "quantization",
    "--tensor-parallel-size": "tensor_parallel_size",
    "--pipeline-parallel-size": "pipeline_parallel_size",
    "--gpu-memory-utilization": "gpu_memory_utilization",
    "--kv-cache-dtype": "kv_cache_dtype",
}
_RANKS = "--data-parallel-size"  # of the harness they are independent copies; here they join the tensor-parallel GPUs


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessTask:
    """How the harness is asked for one benchmark."""

    benchmark: str
    task: str
    shots: int
    answer_tokens: int | None  # to be given, where the task would stop at the harness's 256
    context_tokens: int  # prompt with its shots, and answer
    runs_code: bool  # that the model writes
    extra: str  # of the package, beside vllm
    note: str
    source: str
    as_of: str

    @property
    def installed_by(self) -> str:
        """What the harness needs for it: pip install "lm_eval[vllm,ifeval]"."""
        return f'pip install "lm_eval[{",".join(filter(None, ("vllm", self.extra)))}]"'


@cache
def harness_tasks() -> Mapping[str, HarnessTask]:
    """By benchmark."""
    return {row["benchmark"]: _task(row) for row in read_table(DATA / "lm_eval_runs.csv", key=("benchmark",))}


def harness_task_of(task: Task, benchmark: str | None = None) -> HarnessTask | None:
    """The harness's task for a benchmark, where it has one; else for the nearest benchmark of a task that it has.

    Of instruction following it is `ifeval`; of tool use none.
    """
    if benchmark is not None and benchmark in harness_tasks():
        return harness_tasks()[benchmark]
    own = [entry for entry in benchmarks().values() if entry.task is task and entry.id in harness_tasks()]
    nearest = min(own, key=_preference, default=None)
    return harness_tasks()[nearest.id] if nearest else None


def harness_command(serve: str, task: HarnessTask, *, longest: int | None = None) -> str:
    """`lm_eval` on what the line `vllm serve ...` starts; `longest` is the context the model's config allows.

    `vllm serve a/b --tensor-parallel-size 2 ...` becomes `lm_eval --model vllm --model_args
    pretrained=a/b,tensor_parallel_size=2,max_model_len=4096 --tasks ifeval --num_fewshot 0 ...`.
    """
    words = shlex.split(serve)
    said = dict(pairwise(words))
    found = {"pretrained": words[2]} | {name: said[flag] for flag, name in _ENGINE.items() if flag in said}
    if _RANKS in said:
        found["tensor_parallel_size"] = str(int(said["--tensor-parallel-size"]) * int(said[_RANKS]))
    found["max_model_len"] = str(min(task.context_tokens, longest or task.context_tokens))
    if task.answer_tokens is not None:
        found["max_gen_toks"] = str(task.answer_tokens)
    arguments = ",".join(f"{name}={value}" for name, value in found.items())
    made = ["lm_eval", "--model", "vllm", "--model_args", arguments, "--tasks", task.task]
    made += ["--num_fewshot", str(task.shots), "--apply_chat_template", "--batch_size", "auto"]
    made += ["--confirm_run_unsafe_code"] if task.runs_code else []
    line = shlex.join([*made, "--output_path", "results"])
    return f"HF_ALLOW_CODE_EVAL=1 {line}" if task.runs_code else line


def _preference(entry: Benchmark) -> int:
    return entry.preference


def _task(row: Mapping[str, str]) -> HarnessTask:
    return HarnessTask(
        benchmark=row["benchmark"],
        task=row["task"],
        shots=int(row["shots"]),
        answer_tokens=int(row["answer_tokens"]) if row["answer_tokens"] else None,
        context_tokens=int(row["context_tokens"]),
        runs_code=row["runs_code"] == "yes",
        extra=row["extra"],
        note=row["note"],
        source=row["source"],
        as_of=row["as_of"],
    )
