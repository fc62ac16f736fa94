"""The command that takes a score: task names by benchmark, and the arguments of what is served."""

from __future__ import annotations

import shlex

import pytest

from estimators.quality.harness_command import harness_command, harness_task_of, harness_tasks
from estimators.quality.lm_eval_results import _tasks
from estimators.quality.tasks import Task, benchmarks

SERVE = (
    "vllm serve RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16 --tensor-parallel-size 2 --max-model-len 1408 "
    "--gpu-memory-utilization 0.92 --max-num-batched-tokens 8192 --max-num-seqs 64"
)


def test_the_command_of_a_quantized_checkpoint() -> None:
    assert harness_command(SERVE, harness_tasks()["ifeval"]) == (
        "lm_eval --model vllm --model_args pretrained=RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16,"
        "tensor_parallel_size=2,gpu_memory_utilization=0.92,max_model_len=4096 "
        "--tasks ifeval --num_fewshot 0 --apply_chat_template --batch_size auto --output_path results"
    )


def test_what_is_made_while_loading_and_the_cache_are_evaluated_too() -> None:
    serve = (
        "vllm serve org/model --revision abc --tensor-parallel-size 1 --dtype bfloat16 --quantization fp8 "
        '--kv-cache-dtype fp8 --enforce-eager --speculative-config \'{"method": "ngram"}\''
    )
    words = shlex.split(harness_command(serve, harness_tasks()["gsm8k"]))
    assert words[4] == (
        "pretrained=org/model,revision=abc,dtype=bfloat16,quantization=fp8,tensor_parallel_size=1,"
        "kv_cache_dtype=fp8,max_model_len=4096"
    )
    assert words[5:9] == ["--tasks", "gsm8k", "--num_fewshot", "5"]


def test_no_longer_context_than_the_model_has_and_ranks_join_the_tensor_parallel_gpus() -> None:
    serve = "vllm serve org/model --tensor-parallel-size 2 --data-parallel-size 4"
    arguments = shlex.split(harness_command(serve, harness_tasks()["mmlu-pro"], longest=2048))[4]
    assert arguments == "pretrained=org/model,tensor_parallel_size=8,max_model_len=2048"


def test_where_the_task_would_cut_answers_their_length_is_given() -> None:
    words = shlex.split(harness_command(SERVE, harness_tasks()["gpqa-diamond"]))
    assert words[4].endswith("max_model_len=4096,max_gen_toks=2048")
    assert words[6] == "gpqa_diamond_cot_zeroshot"


def test_code_that_a_model_writes_is_run_only_where_somebody_says_so() -> None:
    line = harness_command(SERVE, harness_tasks()["humaneval"])
    assert line.startswith("HF_ALLOW_CODE_EVAL=1 lm_eval ")
    assert "--confirm_run_unsafe_code" in line
    assert "unsafe" not in harness_command(SERVE, harness_tasks()["ifeval"])


@pytest.mark.parametrize(
    ("task", "benchmark", "asked"),
    [
        (Task.INSTRUCTION_FOLLOWING, None, "ifeval"),
        (Task.INSTRUCTION_FOLLOWING, "ifbench", "ifeval"),  # which the harness does not have
        (Task.KNOWLEDGE, None, "mmlu_pro"),
        (Task.KNOWLEDGE, "mmlu", "mmlu"),
        (Task.MATHS, None, "gsm8k"),
        (Task.REASONING, None, "gpqa_diamond_cot_zeroshot"),
        (Task.CODE, None, "humaneval_instruct"),
        (Task.TOOL_USE, None, None),
        (Task.CHAT, None, None),
    ],
)
def test_the_task_of_a_bar(task: Task, benchmark: str | None, asked: str | None) -> None:
    found = harness_task_of(task, benchmark)
    assert (found.task if found else None) == asked


def test_what_a_command_writes_can_be_read_back() -> None:
    for run in harness_tasks().values():
        assert run.benchmark in benchmarks()
        assert run.benchmark in {known for (task, _), known in _tasks().items() if task == run.task}
        assert run.context_tokens >= 4096 > 0 <= run.shots


def test_what_to_install() -> None:
    assert harness_tasks()["ifeval"].installed_by == 'pip install "lm_eval[vllm,ifeval]"'
    assert harness_tasks()["gsm8k"].installed_by == 'pip install "lm_eval[vllm]"'
