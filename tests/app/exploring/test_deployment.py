"""A plan as deployment files, held to the published models of compose, Kubernetes and HCL where they are installed."""

from __future__ import annotations

import csv
import shlex
from dataclasses import replace
from typing import Any

import pytest
import yaml

from app.exploring.deployment import NEWEST_VLLM, deployment
from app.exploring.start import launch_of
from app.planning.plan import Plan
from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import shared_sources
from app.vocabulary import DeployTo
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.workload import Engine
from pricing.offers import PurchaseOption
from tests.conftest import ROOT

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
TWO_L4 = Scenario(model=LLAMA, concurrency=40, engine_version="0.11.0")
FOUR_GPUS = Scenario(model=LLAMA, instance="p4d.24xlarge", gpus=4, replicas=2, region="us-west-2")

DRAFTING = Scenario(model="Qwen/Qwen3.6-35B-A3B", gpu="H100", spec="mtp")


def planned(scenario: Scenario) -> Plan:
    return plan(scenario, shared_sources())


def documents(scenario: Scenario, to: DeployTo) -> list[dict[str, Any]]:
    text = deployment(planned(scenario), to).text
    assert "&id" not in text
    return list(yaml.safe_load_all(text))


def test_kubernetes_has_the_plans_replicas_machine_image_and_command() -> None:
    workload, service, scaler = documents(TWO_L4, DeployTo.KUBERNETES)
    pod = workload["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert workload["spec"]["replicas"] == 2
    assert pod["nodeSelector"] == {"node.kubernetes.io/instance-type": "g6.xlarge"}
    assert container["image"] == "vllm/vllm-openai:v0.11.0"
    assert [*container["command"], *container["args"]] == [
        *shlex.split(launch_of(planned(TWO_L4)).command), "--host", "0.0.0.0", "--port", "8000",
    ]  # fmt: skip
    assert container["resources"] == {
        "requests": {"cpu": "3", "memory": "12Gi", "nvidia.com/gpu": 1},  # of 4 cores and 16 GiB, 0.8
        "limits": {"nvidia.com/gpu": 1},
    }
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    assert service["spec"]["selector"] == workload["spec"]["template"]["metadata"]["labels"]
    assert scaler["spec"]["minReplicas"] == 2
    assert scaler["spec"]["metrics"][0]["pods"]["metric"]["name"] == "vllm_num_requests_waiting"


@pytest.mark.parametrize("scenario", [TWO_L4, FOUR_GPUS], ids=["two L4", "four GPUs a replica"])
def test_kubernetes_takes_its_files(scenario: Scenario) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    for document in documents(scenario, DeployTo.KUBERNETES):
        validator.validate(document, validator.latest_version(), strict=True)


def kserve_fields() -> dict[str, dict[str, str]]:
    types: dict[str, dict[str, str]] = {}
    with (ROOT / "tests" / "reference" / "kserve_fields.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            types.setdefault(row["type"], {})[row["field"]] = row["holds"]
    return types


def hold_to(document: dict[str, Any], kind: str, types: dict[str, dict[str, str]]) -> dict[str, Any]:
    """The pod of a document of KServe's, every other field of which is one that its type has."""
    pod: dict[str, Any] = {}
    for field, value in document.items():
        holds = types[kind].get(field, "PodSpec" if kind == "PredictorSpec" else "nothing")
        assert holds != "nothing", f"{kind} has no {field}"
        if holds == "PodSpec":
            pod |= {field: value} if kind == "PredictorSpec" else value
        elif holds in types:
            pod |= hold_to(value, holds, types)
        elif holds in ("text", "whole number"):
            assert type(value) is {"text": str, "whole number": int}[holds]
    return pod


@pytest.mark.parametrize("scenario", [TWO_L4, FOUR_GPUS, DRAFTING], ids=["two L4", "four GPUs a replica", "drafting"])
@pytest.mark.parametrize("to", [DeployTo.KSERVE, DeployTo.LLM_D])
def test_kserve_has_the_fields_and_kubernetes_takes_the_pod(scenario: Scenario, to: DeployTo) -> None:
    validator = pytest.importorskip("kubernetes_validate")
    (document,) = documents(scenario, to)
    pod = hold_to(document, document["kind"], kserve_fields())
    made = {"apiVersion": "v1", "kind": "Pod", "metadata": document["metadata"], "spec": pod}
    validator.validate(made, validator.latest_version(), strict=True)


def test_kserve_has_the_pod_of_kubernetes_and_as_many() -> None:
    workload, _, _ = documents(TWO_L4, DeployTo.KUBERNETES)
    (service,) = documents(TWO_L4, DeployTo.KSERVE)
    predictor = service["spec"]["predictor"]
    assert (predictor.pop("minReplicas"), predictor.pop("maxReplicas")) == (2, 2)
    predictor["containers"][0]["name"] = "vllm"
    assert predictor == workload["spec"]["template"]["spec"]


def test_llm_d_has_its_router_and_the_plans_flags() -> None:
    (service,) = documents(DRAFTING, DeployTo.LLM_D)
    spec = service["spec"]
    assert spec["model"] == {"uri": "hf://Qwen/Qwen3.6-35B-A3B", "name": "Qwen/Qwen3.6-35B-A3B"}
    assert set(spec["router"]) == {"gateway", "route", "scheduler"}
    (container,) = spec["template"]["containers"]
    (flags,) = (env["value"] for env in container["env"] if env["name"] == "VLLM_ADDITIONAL_ARGS")
    whole = shlex.split(launch_of(planned(DRAFTING)).command)
    assert whole == ["vllm", "serve", "Qwen/Qwen3.6-35B-A3B", *shlex.split(flags)]


def test_llm_d_names_a_revision_in_the_address_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    found = launch_of(planned(TWO_L4))
    words = shlex.split(found.command)
    pinned = replace(found, command=shlex.join([*words[:3], "--revision", "abc123", *words[3:]]))
    monkeypatch.setattr("app.exploring.deployment.launch_of", lambda _: pinned)
    spec = documents(TWO_L4, DeployTo.LLM_D)[0]["spec"]
    assert spec["model"] == {"uri": f"hf://{LLAMA}:abc123", "name": LLAMA}
    assert spec["template"]["containers"][0]["env"][0]["value"] == shlex.join(words[3:])


def test_compose_gives_each_replica_of_a_machine_its_own_accelerators() -> None:
    (file,) = documents(FOUR_GPUS, DeployTo.COMPOSE)
    first, second = file["services"].values()
    devices = [s["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"] for s in (first, second)]
    assert devices == [["0", "1", "2", "3"], ["4", "5", "6", "7"]]
    assert [s["ports"] for s in (first, second)] == [["127.0.0.1:8000:8000"], ["127.0.0.1:8001:8000"]]
    assert first["image"] == f"vllm/vllm-openai:v{NEWEST_VLLM}"
    assert first["command"][first["command"].index("--tensor-parallel-size") + 1] == "4"
    assert set(file) == {"services", "volumes"}


def test_compose_of_several_machines_is_of_one_of_them() -> None:
    text = deployment(planned(TWO_L4), DeployTo.COMPOSE).text
    assert list(yaml.safe_load(text)["services"]) == ["llama-3-1-8b-instruct-0"]
    assert "The same on each of the 2 machines" in text


def test_terraform_starts_the_plans_machines_in_its_region() -> None:
    hcl2 = pytest.importorskip("hcl2")
    made = hcl2.loads(deployment(planned(FOUR_GPUS), DeployTo.TERRAFORM).text)
    text = str(made)
    assert "us-west-2" in text
    machine = next(iter(next(iter(made["resource"][0].values())).values()))
    assert machine["count"] == 1
    assert machine["instance_type"].strip('"') == "p4d.24xlarge"
    assert text.count("docker run") == 2
    assert "device=4,5,6,7" in text


def test_terraform_buys_spot_where_the_plan_does_and_passes_no_expression_on() -> None:
    spot = Scenario(model=LLAMA, instance="g6.xlarge", buy=PurchaseOption.SPOT)
    text = deployment(planned(spot), DeployTo.TERRAFORM).text
    assert 'market_type = "spot"' in text
    assert "market_type" not in deployment(planned(TWO_L4), DeployTo.TERRAFORM).text
    assert [line for line in text.splitlines() if "${" in line] == ['    parameter="${var.hf_token_parameter}"']


def test_a_precision_that_is_published_is_served_from_its_checkpoint() -> None:
    int8 = Scenario(model=LLAMA, weights=Weights.INT8, instance="g6.xlarge")
    (file,) = documents(int8, DeployTo.COMPOSE)
    (service,) = file["services"].values()
    assert service["command"][0] == "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8"


@pytest.mark.parametrize(
    ("scenario", "to", "field"),
    [
        (Scenario(params=8.0), DeployTo.COMPOSE, "model"),
        (Scenario(model=LLAMA, engine=Engine.SGLANG, gpu="L4"), DeployTo.COMPOSE, "engine"),
        (Scenario(model=LLAMA, gpu="MI300X"), DeployTo.COMPOSE, "gpu"),
        (Scenario(model=LLAMA, instance="zz9.xlarge"), DeployTo.KUBERNETES, "instance"),
        (
            Scenario(model="openai-community/gpt2", weights=Weights.INT4, gpu="L4", prompt=512),
            DeployTo.COMPOSE,
            "weights",
        ),
        (Scenario(model=LLAMA, gpu="RTX 4090"), DeployTo.TERRAFORM, "instance"),
        (Scenario(model="meta-llama/Llama-3.1-405B-Instruct", gpu="H100", gpus=8, pp=2), DeployTo.COMPOSE, "pp"),
    ],
)
def test_what_no_file_could_start_is_refused(scenario: Scenario, to: DeployTo, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        deployment(planned(scenario), to)
    assert refused.value.field == field
