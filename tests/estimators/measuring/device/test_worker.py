"""The real worker, with torch, on the CPU. Needs the environment of `make profile-setup`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.storage import open_engine
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import SpecSource
from estimators.measuring.jobs.environment import ROOT, is_set_up, profiling_python, worker_command, worker_environment
from estimators.measuring.jobs.job_request import DeviceJob
from estimators.measuring.jobs.job_state import Status
from estimators.measuring.jobs.jobs import Work, run_job
from estimators.measuring.jobs.process import device_key
from estimators.measuring.jobs.store import MeasurementStore
from estimators.measuring.measurement import Measurement
from estimators.precision import Weights

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not is_set_up(), reason="no .venv-profile: run make profile-setup"),
]

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 256,
    "num_hidden_layers": 6,
    "intermediate_size": 688,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 8192,
}
JOB = DeviceJob(
    model="toy", config=CONFIG, weights=Weights.FP32, prompt_tokens=32, output_tokens=8, benchmark=False, seconds=60
)
SPEC = parse_config(CONFIG, model_id="toy", source=SpecSource.FILE, source_note="test")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MeasurementStore]:
    engine = open_engine(f"sqlite:///{tmp_path / 'jobs.db'}")
    made = MeasurementStore(engine)
    made.create()
    yield made
    engine.dispose()


def run(store: MeasurementStore, job: DeviceJob):
    device = device_key("cpu")
    work = Work(command=worker_command("attached"), environment=worker_environment(), line=job.to_json(), seconds=120)
    return run_job(store, store.enqueue(device, "toy"), device, work)


def measured(store: MeasurementStore, job: DeviceJob) -> Measurement:
    end = run(store, job)
    assert end.status is Status.DONE, end.message
    (made,) = store.find(end.results)
    return made


def test_a_model_is_measured_from_its_config_alone(store: MeasurementStore) -> None:
    made = measured(store, replace(JOB, benchmark=True))
    assert made.ttft_s is not None
    assert made.itl_s is not None
    assert made.ttft_s.n >= 5
    assert 0 < made.itl_s.median < made.ttft_s.median * 10
    assert made.device.kind == "cpu"
    assert made.device.threads == 1
    # 8,547,584 parameters in fp32 are 34.2 MB; the process holds them, and little beside.
    assert SPEC.resident_params * 4 * 0.9 < (made.peak_memory_bytes or 0) < SPEC.resident_params * 4 * 3
    profile = store.profile(made.device.name, "float32", 1)
    assert profile is not None
    assert 1e8 < profile.bandwidth_bytes_per_s < 1e13
    assert 1e9 < profile.flops < 1e15


def test_a_shallow_run_scales_and_a_draft_costs_its_steps(store: MeasurementStore) -> None:
    shallow = measured(store, replace(JOB, layers=4))
    assert (shallow.layers_measured, shallow.layers_total) == (4, 6)
    small = CONFIG | {"num_hidden_layers": 1, "hidden_size": 64, "intermediate_size": 64}
    drafted = measured(store, replace(JOB, draft="toy-draft", draft_config=small))
    assert drafted.draft_step_s is not None
    assert drafted.verify_step_s is not None


@pytest.mark.parametrize("weights", [Weights.BF16, Weights.INT8_WEIGHT_ONLY, Weights.NF4, Weights.INT8])
def test_other_precisions_are_measured_and_name_their_library(store: MeasurementStore, weights: Weights) -> None:
    made = measured(store, replace(JOB, weights=weights, config=CONFIG | {"intermediate_size": 704}))
    library = {Weights.INT8_WEIGHT_ONLY: "torchao", Weights.NF4: "bitsandbytes", Weights.INT8: "bitsandbytes"}
    assert library.get(weights, "torch") in made.provenance


@pytest.fixture
def hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A local Hub cache that holds acme/tiny with real files."""
    snapshot = tmp_path / "hub" / "models--acme--tiny" / "snapshots" / ("a" * 40)
    program = [str(profiling_python()), "-m", "tests.building_checks", str(snapshot)]
    subprocess.run(program, cwd=ROOT, env=worker_environment(), check=True)
    refs = snapshot.parents[1] / "refs"
    refs.mkdir()
    (refs / "main").write_text("a" * 40)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return snapshot


def test_real_weights_come_from_the_local_cache_and_pickles_never_do(store: MeasurementStore, hub_cache: Path) -> None:
    config = json.loads((hub_cache / "config.json").read_text())
    job = replace(JOB, model="acme/tiny", config=config, cached_weights=True)
    assert "Real weights from the local cache." in measured(store, job).notes
    assert "Real weights from the local cache." in measured(store, replace(job, weights=Weights.INT8)).notes
    (hub_cache / "model.safetensors").rename(hub_cache / "pytorch_model.bin")
    assert any(note.startswith("Random weights") for note in measured(store, job).notes)


@pytest.mark.parametrize(
    ("job", "status", "sentence"),
    [
        (replace(JOB, config={"model_type": "no_such_model", "num_hidden_layers": 2}), Status.REFUSED, "cannot build"),
        (replace(JOB, config=CONFIG | {"hidden_size": "wide"}), Status.REFUSED, "cannot build"),
        (replace(JOB, config=CONFIG | {"vocab_size": 10**12}), Status.OUT_OF_MEMORY, "memory"),
        (replace(JOB, needed_bytes=1 << 49), Status.REFUSED, "fewer layers"),
        (replace(JOB, device="cuda:7"), Status.REFUSED, "CUDA"),
    ],
    ids=["unknown type", "wrong type", "out of memory", "too big", "no such device"],
)
def test_what_cannot_run_ends_in_a_sentence(
    store: MeasurementStore, job: DeviceJob, status: Status, sentence: str
) -> None:
    end = run(store, job)
    assert end.status is status, end.message
    assert sentence in end.message


def test_nothing_of_a_repository_runs(store: MeasurementStore, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    (tmp_path / "evil.py").write_text(f"open({str(mark)!r}, 'w')\nclass C: pass\n")
    config = CONFIG | {
        "auto_map": {"AutoConfig": "evil.C", "AutoModelForCausalLM": "evil.C"},
        "_name_or_path": str(tmp_path),
    }
    assert run(store, replace(JOB, config=config)).status is Status.DONE
    assert not mark.exists()


def test_the_worker_speaks_json_only(tmp_path: Path) -> None:
    worker = subprocess.Popen(
        worker_command("attached"), cwd=ROOT, env=worker_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert worker.stdin is not None
    assert worker.stdout is not None
    worker.stdin.write(JOB.to_json().encode() + b"\n")
    worker.stdin.flush()
    events = [json.loads(line)["event"] for line in worker.stdout]
    assert events[0] == "progress"
    assert events[-1] == "result"
    worker.stdin.close()
    worker.wait(10)
