"""The campaign on a GPU, with its measurements made up: which cases, what stands beside them, what is kept."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from app.measuring import gpu_campaign
from app.measuring.gpu_campaign import COLUMNS, campaign, cases, keep
from estimators.architecture import catalogue
from estimators.measuring.device.machine import Attached
from estimators.measuring.jobs.job_request import DeviceJob, check
from estimators.measuring.measurement import Measurement
from tests.profiling_samples import measurement, spread

L4 = Attached(
    device="cuda:0", name="NVIDIA L4", accelerator="L4", driver="550.54", memory_bytes=23 << 30, free_bytes=22 << 30
)


def on_an_l4(job: DeviceJob) -> Measurement | str:
    """0.5B takes 1 s to the first token and 0.1 s a token; nothing else fits."""
    if "0.5B" not in job.model:
        return "The case needs more than the device has free."
    return measurement(
        model=job.model, weights=job.weights, accelerator="L4", prompt_tokens=job.prompt_tokens,
        output_tokens=job.output_tokens, batch=job.batch, ttft_s=spread(1.0), itl_s=spread(0.1),
    )  # fmt: skip


def test_the_cases_are_those_that_were_asked_for_and_can_be_measured() -> None:
    found = list(cases())
    assert len(found) == len(set(found)) == 5 * 8 + 2 * 2 * 2
    assert {case.weights.value for case in found} == {"bf16", "int8", "nf4"}
    assert (min(c.prompt for c in found), max(c.prompt for c in found)) == (128, 8192)
    assert (min(c.batch for c in found), max(c.batch for c in found)) == (1, 64)
    for case in found:
        assert catalogue.find(case.model), case.model
        check(case.job("cuda:0"))


def test_what_is_measured_stands_beside_the_estimate_and_what_is_not_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    rows = campaign(L4, on_an_l4, 3600)
    said = capsys.readouterr().out
    assert "Qwen/Qwen2.5-32B-Instruct nf4, 512 + 32 tokens, 8 at a time: left out. The case needs more" in said
    assert "Qwen/Qwen2.5-0.5B-Instruct bf16, 128 + 32 tokens, 1 at a time: the estimate is off by time to first" in said
    assert [(row["prompt"], row["batch"]) for row in rows] == [(128, 1), (1024, 1), (8192, 1), (512, 8), (512, 64)]
    for row in rows:
        assert (row["ttft_s"], row["itl_s"]) == ("1", "0.1")
        assert 0 < float(str(row["ttft_s_estimated"])) < 10
        assert 0 < float(str(row["itl_s_estimated"])) < 0.1
        assert "NVIDIA L4, driver 550.54" in str(row["source"])
    table = tmp_path / "gpu.csv"
    keep(rows, table)
    keep([rows[0] | {"ttft_s": "2"}], table)  # measured again: one row a case
    with table.open(newline="", encoding="utf-8") as file:
        kept = list(csv.DictReader(file))
    assert tuple(kept[0]) == COLUMNS
    assert [row["ttft_s"] for row in kept] == ["2", "1", "1", "1", "1"]


def test_it_ends_when_its_time_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter(range(0, 10_000, 60))
    rows = campaign(L4, on_an_l4, 120, lambda: float(next(clock)))
    assert len(rows) == 1  # the first of two cases; the other does not fit
    assert (
        "2 minutes are over: Qwen/Qwen2.5-3B-Instruct and what comes after it are left out" in capsys.readouterr().out
    )


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("estimators.measuring.device.machine._nvidia_smi", lambda: "")
    assert gpu_campaign.main([]) == 2
    assert "No NVIDIA GPU is attached." in capsys.readouterr().err
