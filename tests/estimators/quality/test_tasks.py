"""Which benchmark is evidence for which task."""

import pytest

from estimators.quality.tasks import Benchmark, Task, benchmarks, tasks_of_preset


def by_preference(task: Task) -> list[Benchmark]:
    return sorted((one for one in benchmarks().values() if one.task is task), key=lambda one: one.preference)


@pytest.mark.parametrize(
    ("task", "nearest"),
    [
        (Task.INSTRUCTION_FOLLOWING, "ifeval"),
        (Task.MATHS, "gsm8k"),
        (Task.CODE, "humaneval"),
        (Task.KNOWLEDGE, "mmlu-pro"),
        (Task.REASONING, "gpqa-diamond"),
        (Task.TOOL_USE, "bfcl"),
        (Task.CHAT, "arena-hard"),
        (Task.LONG_CONTEXT, "mrcr"),
        (Task.GENERAL, "openllm-v1"),
    ],
)
def test_the_nearest_benchmark_of_a_task(task, nearest):
    assert by_preference(task)[0].id == nearest


def test_every_task_has_a_benchmark_and_no_two_share_a_rank():
    for task in Task:
        ranks = [entry.preference for entry in by_preference(task)]
        assert ranks
        assert len(set(ranks)) == len(ranks)


def test_sampling_error_of_ifeval():
    # 541 prompts at 80 %: 100 sqrt(0.8 x 0.2 / 541)
    assert benchmarks()["ifeval"].standard_error(80) == pytest.approx(1.7197, abs=1e-4)


def test_an_average_of_suites_has_no_sampling_error():
    assert benchmarks()["openllm-v1"].standard_error(70) is None


def test_rag_follows_instructions_over_long_inputs():
    assert [entry.task for entry in tasks_of_preset("rag")] == [Task.INSTRUCTION_FOLLOWING, Task.LONG_CONTEXT]


def test_every_preset_of_the_first_screen_has_a_task():
    for preset in (
        "classification",
        "extraction",
        "summarization",
        "routing",
        "structured-output",
        "rag",
        "chat",
        "code",
        "agent",
        "reasoning",
    ):
        assert tasks_of_preset(preset), preset
