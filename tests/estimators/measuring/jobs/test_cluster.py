"""Measurements and batches on a real Ray cluster of two nodes. Needs the environment of `make ray-setup`."""

from __future__ import annotations

import contextlib
import csv
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app import batch_cluster
from app.__main__ import main
from app.measuring.jobs import as_line, device_assignment, from_line, start
from app.storage import open_engine
from estimators.measuring.jobs.cluster import ClusterUnavailable, is_label_of, needed
from estimators.measuring.jobs.environment import is_set_up
from estimators.measuring.jobs.job_request import DeviceJob
from estimators.measuring.jobs.job_state import JobState, Status
from estimators.measuring.jobs.jobs import run_job
from estimators.measuring.jobs.store import MeasurementStore
from estimators.precision import Weights
from estimators.provenance import Refusal
from tests.conftest import ROOT

RAY = ROOT / ".venv-ray" / "bin" / "python"
on_ray = pytest.mark.skipif(not RAY.exists(), reason="no .venv-ray: run make ray-setup")
on_torch = pytest.mark.skipif(not is_set_up(), reason="no .venv-profile: run make profile-setup")

CONFIG = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "vocab_size": 256,
}
JOB = DeviceJob(
    model="toy", config=CONFIG, weights=Weights.FP32, prompt_tokens=8, output_tokens=4, benchmark=False, seconds=60
)

# Stands in for the worker with torch, on the nodes: says where it runs, then does what the model's name asks.
STAND_IN = """#!{python}
import json, os, sys, threading, time
job = json.loads(sys.stdin.readline())
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(3)), daemon=True).start()
def tell(**event): print(json.dumps(event), flush=True)
tell(event="progress", share=0.5, message=f"{{os.getpid()}} sees GPU {{os.environ.get('CUDA_VISIBLE_DEVICES')!r}}")
if job["model"] == "endless": time.sleep(120)
if job["model"] == "killed": os.kill(os.getpid(), 9)
tell(event=job["model"], message="as asked")
"""


class Cluster:
    """The other end of `tests/ray_cluster.py`."""

    def __init__(self, process: subprocess.Popen[str], stand_in: str) -> None:
        self.stand_in = stand_in
        assert process.stdin is not None
        assert process.stdout is not None
        self._in, self._out = process.stdin, process.stdout
        self.address = self._out.readline().strip()

    def tell(self, word: str) -> None:
        self._in.write(word + "\n")
        self._in.flush()
        assert self._out.readline().strip() == "done"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    stand_in = tmp_path_factory.mktemp("node") / "python"
    stand_in.write_text(STAND_IN.format(python=sys.executable))
    stand_in.chmod(0o755)
    program = ROOT / "tests" / "ray_cluster.py"
    process = subprocess.Popen(
        [str(RAY), str(program)],
        env={"PATH": os.environ["PATH"], "HOME": str(stand_in.parent), "RAY_USAGE_STATS_ENABLED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield Cluster(process, str(stand_in))
        process.communicate(timeout=30)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MeasurementStore]:
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'jobs.db'}")
    engine = open_engine(os.environ["DATABASE_URL"])
    made = MeasurementStore(engine)
    made.create()
    yield made
    engine.dispose()


@pytest.fixture
def on_cluster(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    monkeypatch.setenv("RIGHTSIZE_PROFILE_PYTHON", cluster.stand_in)


def run(
    store: MeasurementStore, job: DeviceJob, accelerator: str = "", told: Callable[[JobState], None] | None = None
) -> JobState:
    assignment = device_assignment(job, accelerator)
    return run_job(store, store.enqueue(assignment.device, "toy"), assignment.device, assignment.work(), told)


@on_ray
@pytest.mark.slow
@pytest.mark.usefixtures("on_cluster")
class TestOnTheCluster:
    @on_torch
    def test_a_model_is_measured_on_a_nodes_cpu(self, store: MeasurementStore, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("RIGHTSIZE_PROFILE_PYTHON")
        end = run(store, JOB)
        assert end.status is Status.DONE, end.message
        (made,) = store.find(end.results)
        assert made.device.kind == "cpu"
        assert made.itl_s is not None

    def test_a_gpu_job_runs_where_the_accelerator_is_and_sees_it(self, store: MeasurementStore) -> None:
        told: list[str] = []
        end = run(store, replace(JOB, model="refused", device="cuda"), "L4", lambda state: told.append(state.message))
        assert (end.status, end.message) == (Status.REFUSED, "as asked")
        assert end.device == "ray/L4"
        assert any("sees GPU '0'" in message for message in told)

    def test_an_accelerator_no_node_has_is_refused_with_those_there_are(self, store: MeasurementStore) -> None:
        end = run(store, replace(JOB, device="cuda"), "H100-SXM5")
        assert end.status is Status.REFUSED
        assert end.message == "No node of the cluster has 1 x H100-SXM5. It has L4."

    @pytest.mark.parametrize("model", ["killed", "out_of_memory"])
    def test_out_of_memory_is_a_result(self, store: MeasurementStore, model: str) -> None:
        assert run(store, replace(JOB, model=model)).status is Status.OUT_OF_MEMORY

    def test_a_job_over_its_limit_is_ended(self, store: MeasurementStore) -> None:
        assignment = replace(device_assignment(replace(JOB, model="endless")), seconds=6.0)
        end = run_job(store, store.enqueue("ray/cpu", "toy"), "ray/cpu", assignment.work())
        assert end.status is Status.TIMED_OUT

    def test_cancel_frees_the_node(self, store: MeasurementStore) -> None:
        assignment = device_assignment(replace(JOB, model="endless", device="cuda"), "L4")
        job_id = start(store, assignment, "somebody")  # its own process, as from the dashboard
        worker = wait_for_worker(store, job_id)
        asked = time.monotonic()
        store.cancel(job_id)
        while alive(worker):
            assert time.monotonic() - asked < 5.0  # the issue's own limit
            time.sleep(0.05)
        assert ended(store, job_id).status is Status.CANCELLED

    def test_a_second_job_waits_for_the_cluster_and_then_runs(self, store: MeasurementStore) -> None:
        first = start(store, device_assignment(replace(JOB, model="endless", device="cuda"), "L4"))
        wait_for_worker(store, first)
        second = start(store, device_assignment(replace(JOB, model="refused", device="cuda"), "L4"))
        while "waiting for a node" not in (state := job(store, second)).message:
            assert state.open
            time.sleep(0.05)
        store.cancel(first)
        assert ended(store, second).message == "as asked"

    def test_a_lost_node_ends_its_job_in_a_sentence(self, store: MeasurementStore, cluster: Cluster) -> None:
        job_id = start(store, device_assignment(replace(JOB, model="endless", device="cuda"), "L4"))
        worker = wait_for_worker(store, job_id)
        cluster.tell("lose")
        try:
            end = ended(store, job_id)
            assert end.status is Status.FAILED
            assert "was lost" in end.message
            assert not alive(worker)
        finally:
            cluster.tell("add")

    def test_a_batch_has_the_same_bytes_as_here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        cases, here, there = (tmp_path / name for name in ("cases.csv", "here.csv", "there.csv"))
        write_cases(cases, 300)
        assert main(["batch", str(cases), "-o", str(here)]) == 0
        monkeypatch.setattr(batch_cluster, "MANY_ROWS", 200)
        assert main(["batch", str(cases), "-o", str(there)]) == 0
        assert there.read_bytes() == here.read_bytes()
        monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
        assert main(["batch", str(cases), "-o", str(there)]) == 2  # so it was the cluster that answered


def write_cases(path: Path, rows: int) -> None:
    """Good rows, bad values, models nobody knows, drafts, and a column of somebody's own."""
    models = ["meta-llama/Llama-3.1-8B-Instruct", "8B", "30B-A3B", "no/such-model", ""]
    drafts, machines = (
        ["", "ngram", "Qwen/Qwen2.5-0.5B-Instruct", "no/draft"],
        ["g5.xlarge", "g6.xlarge", "p5.48xlarge"],
    )
    dice = random.Random(1)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["mine", "model", "spec", "instance", "weights"])
        for number in range(rows):
            row = [number, dice.choice(models), dice.choice(drafts), dice.choice(machines)]
            writer.writerow([*row, dice.choice(["", "int4", "fp9"])])


def job(store: MeasurementStore, job_id: int) -> JobState:
    found = store.job(job_id)
    assert found is not None
    return found


def wait_for_worker(store: MeasurementStore, job_id: int) -> int:
    """The process of the worker, once it has said what it sees."""
    while " sees " not in (state := job(store, job_id)).message:
        assert state.open, state.message
        time.sleep(0.05)
    return int(state.message.split()[0])


def ended(store: MeasurementStore, job_id: int) -> JobState:
    while (state := job(store, job_id)).open:
        time.sleep(0.05)
    return state


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().split()[2]
    except OSError:
        return False


@on_ray
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "No Ray cluster answers at 127.0.0.1:1"),
        ("ray://127.0.0.1:10001", "host:port"),
        ("127.0.0.1:99999", "host:port"),
        ("a b", "host:port"),
    ],
)
def test_a_cluster_that_cannot_be_reached_is_a_sentence(
    store: MeasurementStore, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    end = run(store, JOB)
    assert end.status is Status.REFUSED
    assert said in end.message


@on_ray
def test_a_port_where_nobody_speaks_ray_is_a_sentence(store: MeasurementStore, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.servers.openai import openai_server

    with openai_server() as (url, _):
        monkeypatch.setenv("RAY_ADDRESS", url.removeprefix("http://").strip("/"))
        assignment = replace(device_assignment(JOB), seconds=2.0)  # Ray itself would try for a minute
        end = run_job(store, store.enqueue("ray/cpu", "toy"), "ray/cpu", assignment.work())
    assert end.status in (Status.REFUSED, Status.TIMED_OUT)


def test_without_ray_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setenv("RIGHTSIZE_RAY_PYTHON", "/nonexistent/python")
    with pytest.raises(Refusal, match="make ray-setup"):
        device_assignment(JOB)


def node(**resources: float) -> dict[str, object]:
    return {"Alive": True, "Resources": {"CPU": 8.0} | resources}


L4, A10G = node(GPU=1.0, **{"accelerator_type:L4": 1.0}), node(GPU=4.0, **{"accelerator_type:A10G": 1.0})


def test_the_cpu_is_matched_to_any_node_and_a_gpu_to_those_that_have_it() -> None:
    assert needed([L4, node()], "", 0) == {}
    assert needed([L4, A10G], "", 2) == {"GPU": 2.0}
    assert needed([L4, A10G], "A10G", 2) == {"GPU": 2.0, "accelerator_type:A10G": 0.001}
    with pytest.raises(ClusterUnavailable, match="No node of the cluster has 2 x L4"):
        needed([L4, A10G], "L4", 2)
    with pytest.raises(ClusterUnavailable, match="It has no GPU"):
        needed([node()], "", 1)
    with pytest.raises(ClusterUnavailable, match="lends a CPU"):
        needed([L4 | {"Alive": False}], "", 0)


@pytest.mark.parametrize(
    ("label", "accelerator", "same"),
    [
        ("accelerator_type:L4", "L4", True),
        ("accelerator_type:L40S", "L4", False),
        ("accelerator_type:A100", "A100-80GB-SXM4", True),
        ("accelerator_type:AMD-Instinct-MI300X-OAM", "MI300X", True),
        ("L4", "L4", True),
        ("NVIDIA A10G", "A10G", True),
        ("node:10.0.0.1", "L4", False),
        ("CPU", "L4", False),
    ],
)
def test_rays_labels_and_our_names_of_a_chip(label: str, accelerator: str, same: bool) -> None:
    assert is_label_of(label, accelerator) is same


def test_a_clusters_assignment_survives_the_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    monkeypatch.setenv("RIGHTSIZE_RAY_PYTHON", sys.executable)
    made = device_assignment(replace(JOB, device="cuda:1"), "L4")
    assert from_line(as_line(made)) == made
    assert made.work().scheduled
    assert "HF_TOKEN" not in made.work().environment
