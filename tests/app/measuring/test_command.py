"""`python -m app profile`, its runner, and the estimate it puts beside a measurement."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import pytest

from app.measuring.command import add_profile_command
from app.measuring.jobs import as_line, endpoint_assignment, from_line, measurement_store, start
from app.sources import LocalSources
from estimators.architecture.hub.client import HubClient
from estimators.measuring.jobs.environment import is_set_up, set_up_environment, worker_environment
from estimators.measuring.jobs.job_state import Status
from estimators.measuring.measurement import export_json
from estimators.measuring.server.guard import EndpointPolicy
from estimators.measuring.server.sweep import SweepPlan
from pricing.book import Book
from tests.conftest import REFERENCE
from tests.profiling_samples import measurement
from tests.servers.hub import HubServer
from tests.servers.openai import openai_server

LOCAL = EndpointPolicy(hosts=frozenset({"127.0.0.1"}), private=True)


@pytest.fixture(autouse=True)
def own_store() -> None:
    measurement_store.cache_clear()


def profile(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict, str]:
    parser = argparse.ArgumentParser()
    add_profile_command(parser.add_subparsers(required=True))
    asked = parser.parse_args(["profile", *arguments])
    status = asked.run(asked)
    out, err = capsys.readouterr()
    assert out.count("\n") == 1  # one line of JSON, whatever happens
    return status, json.loads(out), err


def test_a_report_ends_in_measurements(capsys: pytest.CaptureFixture[str]) -> None:
    report = str(REFERENCE / "guidellm" / "v0.8.1.json")
    status, found, _ = profile(capsys, "--report", report, "--gpu", "NVIDIA L4", "--weights", "fp8")
    assert status == 0
    assert [(m["batch"], m["accelerator"], m["weights"]) for m in found["measurements"]] == [
        (1, "L4", "fp8"),
        (2, "L4", "fp8"),
    ]
    assert [made.accelerator for made in measurement_store().history()].count("L4") == 2


def test_a_report_of_failures_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    status, found, err = profile(capsys, "--report", str(REFERENCE / "guidellm" / "v0.8.1_all_errored.json"))
    assert (status, found["status"]) == (2, "refused")
    assert "None of the 2 requests" in err


def test_an_export_is_imported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    path.write_text(export_json([measurement()]))
    status, found, _ = profile(capsys, "--import", str(path))
    assert status == 0
    assert found["measurements"][0]["model"] == "meta-llama/Llama-3.1-8B-Instruct"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--report", "/no/such/file"], "No such file"),
        (["--report", __file__], "complete JSON"),
        (["--model", "no/such-model"], "no/such-model is not in the local cache"),
        ([], "No model is named"),
        (["--model", "meta-llama/Llama-3.1-8B-Instruct", "--weights", "fp9"], "no precision"),
        (["--model", "meta-llama/Llama-3.1-8B-Instruct", "--gpu", "L4"], "set RAY_ADDRESS"),
        (["--model", "meta-llama/Llama-3.1-8B-Instruct", "--device", "cuda:1", "--gpus", "2"], "Use device cuda"),
        (["--endpoint", "http://169.254.169.254/"], "metadata"),
        (["--endpoint", "ftp://x"], "http"),
        (["--endpoint", "http://127.0.0.1:1", "--concurrency", "many"], "cannot be read"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    status, found, err = profile(capsys, *arguments)
    assert status == 2
    assert said in found["error"]
    assert "Traceback" not in err


def test_a_running_server_is_measured_end_to_end(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOY_KEY", "sk-very-secret")
    with openai_server(ttft_s=0.01, itl_s=0.002) as (url, manners):
        arguments = ["--endpoint", url, "--prompt", "64", "--output", "6", "--concurrency", "1,2"]
        status, found, err = profile(capsys, *arguments, "--gpu", "H100", "--key-variable", "TOY_KEY")
    assert status == 0, err
    assert [m["batch"] for m in found["measurements"]] == [1, 2]
    assert "Bearer sk-very-secret" in manners.keys
    assert "sk-very-secret" not in json.dumps(found) + err
    assert "100%" in err


def test_a_started_measurement_needs_its_starter_no_more() -> None:
    with openai_server(ttft_s=0.0, itl_s=0.001) as (url, _):
        plan = SweepPlan(prompt_tokens=16, output_tokens=3, concurrencies=(1,), requests_per_stream=2)
        store = measurement_store()
        job_id = start(store, endpoint_assignment(url, plan, LOCAL, "sk-very-secret"), "ann")
        for _ in range(400):
            state = store.job(job_id)
            assert state is not None
            if not state.open:
                break
            time.sleep(0.05)
    assert state.status is Status.DONE, state.message
    assert len(store.find(state.results)) == 1


def test_an_assignment_survives_the_pipe_and_hides_its_key() -> None:
    plan = SweepPlan(prompt_tokens=16, output_tokens=3)
    made = endpoint_assignment("http://127.0.0.1:9", plan, LOCAL, "sk-very-secret")
    assert from_line(as_line(made)) == made
    assert "sk-very-secret" not in repr(made) + repr(made.work()) + made.title + made.device


TINY = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "vocab_size": 256,
}


@pytest.mark.slow
@pytest.mark.skipif(not is_set_up(), reason="no .venv-profile: run make profile-setup")
def test_a_model_of_the_hub_is_measured_with_its_draft(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with HubServer() as hub:
        # Code that the config names is neither fetched nor run.
        hub.add_model("acme/tiny", config=TINY | {"auto_map": {"AutoModelForCausalLM": "modeling_tiny.Tiny"}})
        hub.add_model("acme/tinier", config=TINY | {"num_hidden_layers": 1})
        client = HubClient(endpoint=hub.url, offline=False, timeout_s=5, cache_dir=tmp_path)
        monkeypatch.setattr("app.sources.shared_sources", lambda: LocalSources(Book(), client))
        arguments = ["--model", "acme/tiny", "--draft", "acme/tinier", "--weights", "fp32", "--prompt", "8"]
        status, found, err = profile(capsys, *arguments, "--output", "4")
        assert status == 0, err
        assert not [seen for seen in hub.requests if "modeling" in str(seen)]
    (made,) = found["measurements"]
    assert made["model"] == "acme/tiny"
    assert made["draft_step_s"]["median"] > 0
    assert found["estimate"]["itl_s"]["ratio"] > 0


FAKE_GUIDELLM = """#!/bin/sh
echo "Benchmark 1 (concurrent@1): active | successful=3 errored=0" >&2
echo "$@" > "{seen}"
cp "{report}" "$(dirname "$3")/report.json"
"""


def test_guidellm_is_used_when_asked_for_and_its_failures_are_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program, seen = tmp_path / "guidellm", tmp_path / "seen"
    monkeypatch.setenv("RIGHTSIZE_GUIDELLM", str(program))
    monkeypatch.setenv("TOY_KEY", "sk-very-secret")
    with openai_server(ttft_s=0.0, itl_s=0.0) as (address, _):
        arguments = ["--endpoint", address, "--guidellm", "--gpu", "L4", "--concurrency", "1"]
        assert "not installed" in profile(capsys, *arguments)[1]["error"]
        for version, status in (("v0.8.1", 0), ("v0.8.1_all_errored", 1), ("none", 1)):
            report = REFERENCE / "guidellm" / f"{version}.json"
            program.write_text(FAKE_GUIDELLM.format(report=report, seen=seen))
            program.chmod(0o755)
            ended, found, err = profile(capsys, *arguments, "--key-variable", "TOY_KEY")
            assert ended == status
            assert "GuideLLM, 1 in flight: 3 of 4 answered" in err
            assert "sk-very-secret" not in json.dumps(found) + err + seen.read_text()
    assert "GuideLLM failed: Benchmark 1" in found["error"]  # its own last words


def test_the_worker_gets_no_secret_of_ours() -> None:
    secrets = {"HF_TOKEN": "t", "AWS_SECRET_ACCESS_KEY": "s", "DATABASE_URL": "d", "RIGHTSIZE_PROFILING_TOKEN": "p"}
    made = worker_environment(secrets | {"PATH": "/bin", "CUDA_VISIBLE_DEVICES": "1"})
    assert not set(secrets) & set(made)
    installing = set_up_environment(secrets | {"PIP_INDEX_URL": "https://mirror", "HTTPS_PROXY": "http://proxy"})
    assert not set(secrets) & set(installing)
    assert (installing["PIP_INDEX_URL"], installing["HTTPS_PROXY"]) == ("https://mirror", "http://proxy")
    assert (made["PATH"], made["CUDA_VISIBLE_DEVICES"], made["HF_HUB_OFFLINE"]) == ("/bin", "1", "1")
