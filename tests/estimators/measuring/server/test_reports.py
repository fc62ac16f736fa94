"""GuideLLM reports of five versions, and files that pretend to be one."""

from __future__ import annotations

import json

import pytest

from estimators.measuring.foreign import ForeignInput
from estimators.measuring.server.reports import read_guidellm
from estimators.precision import Weights
from estimators.workload import Engine
from tests.conftest import REFERENCE

SAMPLES = REFERENCE / "guidellm"


def sample(version: str) -> str:
    return (SAMPLES / f"{version}.json").read_text(encoding="utf-8")


# Read off the files: median of inter_token_latency_ms and time_to_first_token_ms, mean of output_tokens_per_second.
@pytest.mark.parametrize(
    ("version", "said", "prompt", "output", "itl_ms", "ttft_ms", "tokens_per_s"),
    [
        ("v0.3.1", "0.2 or 0.3", 66, 12, 35.53997386585582, 180.22584915161133, 21.47577483304165),
        ("v0.5.4", "0.5.4", 64, 12, 39.235071702436966, 230.73554039001465, 18.406617651737715),
        ("v0.7.4", "0.7.4", 64, 12, 33.41473232616078, 173.97642135620117, 18.671565853899576),
        ("v0.8.1", "0.8.1", 64, 16, 31.780068079630535, 123.19040298461914, 27.486230848600442),
    ],
)
def test_each_version_gives_the_figures_it_holds(
    version: str, said: str, prompt: int, output: int, itl_ms: float, ttft_ms: float, tokens_per_s: float
) -> None:
    report = read_guidellm(sample(version))
    level = report.levels[0]
    assert (report.version, level.streams, level.successful) == (said, 1, 5)
    assert (level.prompt_tokens, level.output_tokens) == (prompt, output)
    assert level.itl_s is not None
    assert level.ttft_s is not None
    assert level.itl_s.median == pytest.approx(itl_ms / 1e3)
    assert level.ttft_s.median == pytest.approx(ttft_ms / 1e3)
    assert level.output_tok_per_s == pytest.approx(tokens_per_s)


def test_latency_per_token_is_read_without_the_first_token() -> None:
    """0.8.1 says TPOT 37.5 ms where ITL is 31.8: its TPOT spreads the first token's wait over all tokens."""
    (measurement, _) = read_guidellm(sample("v0.8.1")).measurements(engine=Engine.VLLM, weights=Weights.BF16)
    assert measurement.itl_s is not None
    assert measurement.itl_s.median == pytest.approx(0.03178, abs=1e-5)


def test_a_sweep_gives_a_measurement_per_level() -> None:
    made = read_guidellm(sample("v0.8.1")).measurements(
        engine=Engine.VLLM, weights=Weights.FP8, accelerator="L4", engine_version="0.33.0"
    )
    assert [m.batch for m in made] == [1, 2]
    assert {(m.accelerator, m.weights, m.model) for m in made} == {("L4", Weights.FP8, "m50-random")}


def test_a_report_whose_requests_all_failed_says_so() -> None:
    with pytest.raises(ForeignInput, match=r"None of the 2 requests .* succeeded.*422 Unprocessable Entity"):
        read_guidellm(sample("v0.8.1_all_errored"))


def test_levels_that_failed_are_left_out_and_said_to_be() -> None:
    report = json.loads(sample("v0.8.1"))
    report["benchmarks"][1]["metrics"]["request_totals"]["successful"] = 0
    found = read_guidellm(json.dumps(report))
    assert len(found.levels) == 1
    assert found.notes == ("1 of 2 load levels had no successful request.",)


def test_zeros_are_no_latencies() -> None:
    report = json.loads(sample("v0.8.1"))
    report["benchmarks"][0]["metrics"]["inter_token_latency_ms"]["successful"] |= {"median": 0.0, "count": 0}
    assert read_guidellm(json.dumps(report)).levels[0].itl_s is None


@pytest.mark.parametrize(
    "document",
    [
        "",
        "not json",
        "[]",
        "{}",
        '{"benchmarks": []}',
        '{"benchmarks": 7}',
        '{"benchmarks": [null, 3, "x", [], {}]}',
        json.dumps({"benchmarks": [{}] * 1000}),
        '{"benchmarks": [{"metrics": {"request_totals": {"successful": 1e400}}}]}',
        '{"results": {"toy": {"acc,none": 0.5}}, "n-shot": {}}',
    ],
)
def test_other_files_are_refused_in_a_sentence(document: str) -> None:
    with pytest.raises(ForeignInput) as refusal:
        read_guidellm(document)
    assert refusal.value.field == "report"


@pytest.mark.parametrize("version", ["v0.3.1", "v0.5.4", "v0.7.4", "v0.8.1"])
def test_a_truncated_report_is_refused(version: str) -> None:
    whole = sample(version)
    for cut in (10, len(whole) // 2, len(whole) - 3):
        with pytest.raises(ForeignInput, match="complete JSON"):
            read_guidellm(whole[:cut])
