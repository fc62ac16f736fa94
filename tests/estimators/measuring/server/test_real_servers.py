"""Real programs on both sides: `transformers serve` and llama.cpp's server, measured by our client and by GuideLLM.

They need the environment of `make serving-setup`.

What is held: of twelve requests one after another the quickest first token, the least time between tokens and the
output rate of GuideLLM lie within a quarter of what our client found just before or just after. What else the machine
does only ever adds to a time, and it may do more of it in between: so the quickest, the span of both, and a second try.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.measuring.jobs import Assignment, endpoint_assignment, measurement_store
from estimators.measuring.jobs.job_state import JobState, Status
from estimators.measuring.jobs.jobs import run_job
from estimators.measuring.measurement import Measurement, Way
from estimators.measuring.server.guard import EndpointPolicy
from estimators.measuring.server.sweep import SweepPlan
from estimators.workload import Engine
from tests.servers.openai import openai_server
from tests.servers.real import IS_SET_UP, llama_cpp, transformers_serve

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IS_SET_UP, reason="no .venv-serving: run make serving-setup"),
]
LOCAL = EndpointPolicy(hosts=frozenset({"127.0.0.1"}), private=True)
TOLERANCE = 0.25


@pytest.fixture(autouse=True)
def own_store() -> None:
    measurement_store.cache_clear()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    with transformers_serve(tmp_path_factory.mktemp("serve")) as found:
        yield found


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with llama_cpp(tmp_path_factory.mktemp("llama")) as found:
        yield found


def measured(assignment: Assignment) -> tuple[tuple[Measurement, ...], list[JobState]]:
    """What a job kept, and everything it told on its way."""
    store = measurement_store()
    told: list[JobState] = []
    job_id = store.enqueue(assignment.device, assignment.title)
    end = run_job(store, job_id, assignment.device, assignment.work(), told.append)
    assert end.status is Status.DONE, end.message
    return store.find(end.results), told


def figures(made: Measurement) -> tuple[float, float, float]:
    assert made.ttft_s
    assert made.itl_s
    assert made.output_tok_per_s
    return made.ttft_s.low, made.itl_s.low, made.output_tok_per_s.median


def agreed(address: str, model: str, engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    """Ours, GuideLLM's, ours again, each with prompts of its own: printed, and held to each other."""
    ours = [measured(endpoint_assignment(address, twelve(model, engine), LOCAL))[0][0]]
    (theirs,), told = measured(endpoint_assignment(address, twelve(model, engine), LOCAL, guidellm=True))
    ours += measured(endpoint_assignment(address, twelve(model, engine), LOCAL))[0]
    with capsys.disabled():
        for who, made in (("our client", ours[0]), ("GuideLLM", theirs), ("our client", ours[1])):
            first, gap, rate = figures(made)
            print(f"\n{who}: {1e3 * first:.1f} ms to the first token, {1e3 * gap:.2f} ms a token, {rate:.1f} tokens/s")
    assert (theirs.way, theirs.batch) == (Way.REPORT, 1)
    assert {made.model for made in ours} == {theirs.model}
    for made in (*ours, theirs):
        assert (made.prompt_tokens, made.output_tokens) == (128, 64)
    for found, before, after in zip(figures(theirs), figures(ours[0]), figures(ours[1]), strict=True):
        assert (1 - TOLERANCE) * min(before, after) <= found <= (1 + TOLERANCE) * max(before, after)
    assert [state.message for state in told if state.message.startswith("GuideLLM, 1 in flight: 12 of 12")]


def twelve(model: str, engine: Engine) -> SweepPlan:
    return SweepPlan(
        model=model, prompt_tokens=128, output_tokens=64, concurrencies=(1,), requests_per_stream=12, engine=engine
    )


@pytest.mark.flaky(reruns=2)
def test_our_client_and_guidellm_agree_on_transformers_serve(
    served: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    agreed(*served, Engine.TRANSFORMERS, capsys)


@pytest.mark.flaky(reruns=2)
def test_our_client_and_guidellm_agree_on_llama_cpp(llama: str, capsys: pytest.CaptureFixture[str]) -> None:
    agreed(llama, "", Engine.VLLM, capsys)


@pytest.mark.flaky(reruns=2)
def test_llama_cpp_says_itself_what_we_measured_of_it_and_knows_no_prompt_from_the_last_time(llama: str) -> None:
    """Measured twice: a prompt it remembered would have its first token at once."""
    made = [measured(endpoint_assignment(llama, twelve("", Engine.VLLM), LOCAL))[0][0] for _ in range(2)]
    (firsts, gaps, _) = zip(*map(figures, made), strict=True)
    assert min(firsts) > 0.5 * max(firsts)
    for found, gap in zip(made, gaps, strict=True):
        (said,) = [note for note in found.notes if note.startswith("By its own /metrics the server took ")]
        own_ms = float(said.split(" took ")[1].split(" ms a token")[0])
        assert found.itl_s is not None
        assert (1 - TOLERANCE) * 1e3 * gap <= own_ms <= (1 + TOLERANCE) * 1e3 * found.itl_s.high


def test_two_at_a_time_are_served_together_by_llama_cpp(llama: str) -> None:
    plan = SweepPlan(prompt_tokens=64, output_tokens=32, concurrencies=(1, 2))
    made, _ = measured(endpoint_assignment(llama, plan, LOCAL))
    assert [(found.batch, found.prompt_tokens, found.output_tokens) for found in made] == [(1, 64, 32), (2, 64, 32)]


def test_the_one_model_that_a_server_lists_needs_no_name(served: tuple[str, str]) -> None:
    """`transformers serve` lists the model that it was started with, and that alone, since 5.24."""
    address, model = served
    plan = SweepPlan(prompt_tokens=32, output_tokens=4, concurrencies=(1,))
    (made,), _ = measured(endpoint_assignment(address, plan, LOCAL))
    assert (made.model, made.prompt_tokens, made.output_tokens) == (model, 32, 4)


def test_several_requests_in_flight_are_measured_on_a_real_server(served: tuple[str, str]) -> None:
    address, model = served
    plan = SweepPlan(model=model, prompt_tokens=64, output_tokens=16, concurrencies=(1, 3), engine=Engine.TRANSFORMERS)
    made, _ = measured(endpoint_assignment(address, plan, LOCAL))
    assert [(found.batch, found.output_tokens) for found in made] == [(1, 16), (3, 16)]
    # It runs one answer after another, so three at a time wait for each other.
    assert made[0].ttft_s
    assert made[1].ttft_s
    assert made[1].ttft_s.median > made[0].ttft_s.median


def test_guidellm_tells_what_a_server_of_known_pace_does_and_keeps_the_key_to_itself() -> None:
    """50 ms to the first token and 10 ms between tokens are slept, whatever else the machine does."""
    plan = SweepPlan(prompt_tokens=64, output_tokens=16, concurrencies=(2,), requests_per_stream=4)
    with openai_server(ttft_s=0.05, itl_s=0.01) as (address, manners):
        (made,), _ = measured(endpoint_assignment(address, plan, LOCAL, "sk-very-secret", guidellm=True))
        assert manners.most_concurrent >= 2
        assert set(manners.keys) == {"Bearer sk-very-secret"}
    assert (made.batch, made.prompt_tokens, made.output_tokens) == (2, 64, 16)
    first, gap, _ = figures(made)
    assert 0.050 <= first < 0.1
    assert 0.010 <= gap < 0.02
