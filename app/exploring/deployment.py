"""A plan as files that start it: Docker compose for one of its machines, Kubernetes, KServe, Terraform for EC2. Pure.

Each names the image of the engine's version, the model and its revision, every flag of the plan's command, the
accelerators, replicas, machine and region. None was run here: they are checked against the published models only.
"""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.exploring.start import launch_of
from app.planning.plan import Candidate, Plan
from app.planning.sentences import conditions, verdict
from app.vocabulary import DeployTo
from estimators.provenance import Refusal
from estimators.workload import Engine, Placement
from pricing.instances import Instance
from pricing.offers import PurchaseOption

NEWEST_VLLM = "0.33.0"  # the newest release these files were written for: its wheel on the package index, 2026-11-28
IMAGE = "vllm/vllm-openai"
PORT = 8000
STARTING_SECONDS = 1800  # for weights to be fetched and loaded before a start counts as failed
SHARE_OF_MACHINE = 0.8  # of its cores and memory that replicas ask for: the node's own daemons have the rest
IMAGE_GB = 60  # image, compile caches and system on the machine's disk, beside the weights
MOST_SCALING = 2  # times the plan's replicas that the autoscaler may go to
# The newest base image of AWS with NVIDIA's driver and container toolkit, by its public parameter: AWS's guide "Finding
# the ID of a DLAMI", read 2026-11-28.
AMI = "/aws/service/deeplearning/ami/{architecture}/base-oss-nvidia-driver-gpu-ubuntu-24.04/latest/ami-id"
ARM_FAMILIES = ("g5g", "p6e-gb200", "p6e-gb300")
CACHE = "/root/.cache/huggingface"  # inside of the engine's image, which runs as root: where it keeps downloads
SHARED = "/dev/shm"  # noqa: S108
Yaml = dict[str, Any]
_LISTENING = ("--host", "0.0.0.0", "--port", str(PORT))  # noqa: S104
_SECRET = {"secretKeyRef": {"name": "hf-token", "key": "token", "optional": True}}
_TOKEN = {"name": "HF_TOKEN", "valueFrom": _SECRET}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFile:
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Served:
    """What every target needs of a plan."""

    plan: Plan
    chosen: Candidate
    placement: Placement
    instance: Instance | None
    image: str
    arguments: tuple[str, ...]  # after `vllm serve`
    name: str  # of the workload, as Kubernetes allows it

    @property
    def gpus(self) -> int:
        return self.placement.gpus

    @property
    def replicas(self) -> int:
        return max(1, self.chosen.replicas)

    @property
    def replicas_per_machine(self) -> int:
        return math.ceil(self.replicas / max(1, self.chosen.instances))


def deployment(plan: Plan, target: DeployTo) -> DeploymentFile:
    """The file of a plan. Raises `Refusal` for what it could not start: another engine, chips that are not NVIDIA's, a
    size without a checkpoint, a precision nobody has published, a replica over several machines."""
    served = _served(plan)
    makers: Mapping[DeployTo, tuple[str, Callable[[_Served], str]]] = {
        DeployTo.COMPOSE: ("compose.yaml", _compose),
        DeployTo.KUBERNETES: ("kubernetes.yaml", _kubernetes),
        DeployTo.KSERVE: ("kserve.yaml", _kserve),
        DeployTo.LLM_D: ("llm-d.yaml", _llm_d),
        DeployTo.TERRAFORM: ("main.tf", _terraform),
    }
    name, make = makers[target]
    return DeploymentFile(name=name, text=make(served))


def _served(plan: Plan) -> _Served:
    chosen, asked = plan.chosen, plan.asked
    if plan.refusal is not None:
        raise plan.refusal
    if chosen is None or chosen.placement is None or plan.precision is None or not chosen.fits:
        raise Refusal(verdict(plan), field="model")
    if asked.model is None:
        raise Refusal("A size names no checkpoint to serve.", field="model", remedy="Name a model of the Hub.")
    if asked.engine is not Engine.VLLM:
        raise Refusal(f"Files are written for vllm, not {asked.engine.value}.", field="engine")
    accelerator = chosen.machine.accelerator
    if accelerator.vendor != "NVIDIA":
        raise Refusal(f"Files are written for NVIDIA's accelerators, not {accelerator.name}.", field="gpu")
    per_machine = chosen.machine.instance.accelerator_count if chosen.machine.instance else chosen.placement.gpus
    if chosen.placement.gpus > per_machine:
        raise Refusal(
            f"A replica of {chosen.placement.gpus} accelerators spans machines of {per_machine}.",
            field="pp",
            remedy="Choose a machine that holds a whole replica.",
        )
    return _Served(
        plan=plan,
        chosen=chosen,
        placement=chosen.placement,
        instance=chosen.machine.instance,
        image=f"{IMAGE}:v{asked.engine_version or NEWEST_VLLM}",
        arguments=_arguments(plan, asked.model),
        name=re.sub(r"[^a-z0-9]+", "-", asked.model.partition("@")[0].rpartition("/")[2].lower()).strip("-")[:40],
    )


def _arguments(plan: Plan, model: str) -> tuple[str, ...]:
    """The arguments of the plan's command, which serves a published checkpoint."""
    found = launch_of(plan)
    if not found.command:
        raise Refusal(found.why, field="engine")
    if found.recipe is not None and plan.precision is not None:
        raise Refusal(
            f"No checkpoint of {model} in {plan.precision.weights.value} is known to be published.",
            field="weights",
            remedy="Make it with the script of the Levers page and name it as model, or choose another precision.",
        )
    words = shlex.split(found.command)
    return (*words[words.index("serve") + 1 :], *_LISTENING)


def _header(served: _Served, *more: str) -> str:
    version = served.plan.asked.engine_version
    engine = f"vLLM {version}" if version else f"vLLM {NEWEST_VLLM}: no engine_version was asked for"
    lines = (verdict(served.plan), f"{conditions(served.plan)}.", f"{engine}. Made by Rightsize; not run there.", *more)
    return "".join(f"# {line}\n" for line in lines)


def _dumped(*documents: Yaml) -> str:
    import yaml

    apart = [json.loads(json.dumps(document)) for document in documents]  # what is said twice is written twice
    return str(yaml.safe_dump_all(apart, sort_keys=False, width=1000, default_flow_style=False))


def _compose(served: _Served) -> str:
    """The replicas of one machine, each with accelerators of its own, on the machine's own address only."""
    services: Yaml = {}
    for number in range(served.replicas_per_machine):
        devices = [str(number * served.gpus + index) for index in range(served.gpus)]
        probe = f"import urllib.request; urllib.request.urlopen('http://127.0.0.1:{PORT}/health', timeout=4)"
        services[f"{served.name}-{number}"] = {
            "image": served.image,
            "entrypoint": ["vllm", "serve"],
            "command": list(served.arguments),
            "environment": {"HF_TOKEN": "${HF_TOKEN:-}"},
            "ports": [f"127.0.0.1:{PORT + number}:{PORT}"],
            "ipc": "host",
            "volumes": [f"huggingface:{CACHE}"],
            "restart": "unless-stopped",
            "healthcheck": {
                "test": ["CMD", "python3", "-c", probe],
                "interval": "15s",
                "timeout": "5s",
                "retries": 3,
                "start_period": f"{STARTING_SECONDS}s",
            },
            "deploy": {
                "resources": {
                    "reservations": {"devices": [{"driver": "nvidia", "device_ids": devices, "capabilities": ["gpu"]}]}
                }
            },
        }
    machines = served.chosen.instances
    each = f"The same on each of the {machines} machines; put a load balancer before them." if machines > 1 else ""
    notes = [f"docker compose up -d; then http://127.0.0.1:{PORT}/v1. {each}".strip()]
    return _header(served, *notes) + _dumped({"services": services, "volumes": {"huggingface": {}}})


def _pod(served: _Served, container: str) -> Yaml:
    """What runs a replica on a node of the plan's machine; `container` is what the controller calls it."""
    probe = {"httpGet": {"path": "/health", "port": "http"}}
    serving: Yaml = {
        "name": container,
        "image": served.image,
        "command": ["vllm", "serve"],
        "args": list(served.arguments),
        "env": [_TOKEN],
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": _resources(served),
        "startupProbe": {**probe, "periodSeconds": 10, "failureThreshold": STARTING_SECONDS // 10},
        "readinessProbe": {**probe, "periodSeconds": 5, "failureThreshold": 2},
        "livenessProbe": {**probe, "periodSeconds": 15, "failureThreshold": 4},
        "volumeMounts": [{"name": "shm", "mountPath": SHARED}, {"name": "cache", "mountPath": CACHE}],
    }
    return {
        "containers": [serving],
        **_placing(served),
        "terminationGracePeriodSeconds": 120,
        "volumes": [
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": f"{2 * served.gpus}Gi"}},
            {"name": "cache", "emptyDir": {"sizeLimit": f"{_weights_gb(served) + 20}G"}},
        ],
    }


def _placing(served: _Served) -> Yaml:
    placing: Yaml = {"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]}
    if served.instance is not None:
        placing["nodeSelector"] = {"node.kubernetes.io/instance-type": served.instance.instance_type}
    return placing


def _kubernetes(served: _Served) -> str:
    """Deployment, Service and an autoscaler by requests that wait."""
    labels = _labels(served)
    workload: Yaml = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": served.name, "labels": labels},
        "spec": {
            "replicas": served.replicas,
            "selector": {"matchLabels": labels},
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
            "template": {"metadata": {"labels": labels}, "spec": _pod(served, "vllm")},
        },
    }
    service: Yaml = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": served.name, "labels": labels},
        "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]},
    }
    waiting: Yaml = {
        "type": "Pods",
        "pods": {
            "metric": {"name": "vllm_num_requests_waiting"},
            "target": {"type": "AverageValue", "averageValue": "1"},
        },
    }
    scaler: Yaml = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": served.name, "labels": labels},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": served.name},
            "minReplicas": served.replicas,
            "maxReplicas": MOST_SCALING * served.replicas,
            "metrics": [waiting],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 600}},
        },
    }
    notes = (
        "kubectl apply -f; for a gated model first: kubectl create secret generic hf-token --from-literal=token=...",
        "The autoscaler reads vllm:num_requests_waiting as vllm_num_requests_waiting, by a Prometheus adapter;",
        f"above {served.replicas} replicas it costs more than the plan. Delete it where there is no adapter.",
    )
    return _header(served, *notes) + _dumped(workload, service, scaler)


def _labels(served: _Served) -> dict[str, str]:
    return {"app.kubernetes.io/name": served.name, "app.kubernetes.io/part-of": "rightsize"}


def _kserve(served: _Served) -> str:
    """KServe's InferenceService: the same pod, the plan's replicas and no fewer, as Deployments of Kubernetes' own."""
    service: Yaml = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": served.name,
            "labels": _labels(served),
            "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
        },
        "spec": {
            "predictor": {
                "minReplicas": served.replicas,
                "maxReplicas": served.replicas,
                **_pod(served, "kserve-container"),
            }
        },
    }
    notes = (
        "For KServe 0.16 and newer; in older ones deploymentMode is RawDeployment. For a gated model first:",
        "kubectl create secret generic hf-token --from-literal=token=...",
    )
    return _header(served, *notes) + _dumped(service)


def _llm_d(served: _Served) -> str:
    """KServe's LLMInferenceService, which serves by llm-d: its router before the plan's replicas.

    Its own template starts vLLM on the downloaded model at its own port; the plan's flags are added to that.
    """
    model, *flags = served.arguments[: -len(_LISTENING)]
    revision = ""
    if "--revision" in flags:
        at = flags.index("--revision")
        revision = f":{flags[at + 1]}"
        del flags[at : at + 2]
    serving: Yaml = {
        "name": "main",
        "image": served.image,
        "env": [{"name": "VLLM_ADDITIONAL_ARGS", "value": shlex.join(flags)}],
        "resources": _resources(served),
    }
    service: Yaml = {
        "apiVersion": "serving.kserve.io/v1alpha2",
        "kind": "LLMInferenceService",
        "metadata": {"name": served.name, "labels": _labels(served)},
        "spec": {
            "model": {"uri": f"hf://{model}{revision}", "name": model},
            "replicas": served.replicas,
            "router": {"gateway": {}, "route": {}, "scheduler": {}},
            "template": {"containers": [serving], **_placing(served)},
        },
    }
    notes = (
        "For KServe 0.21, whose LLMInferenceService runs llm-d's scheduler behind a gateway. A gated model",
        "needs a token where KServe's storage initializer finds it.",
    )
    return _header(served, *notes) + _dumped(service)


def _resources(served: _Served) -> Yaml:
    """A replica's accelerators, and its share of what a machine leaves for pods."""
    limits: Yaml = {"nvidia.com/gpu": served.gpus}
    if served.instance is None:
        return {"limits": limits}
    share = SHARE_OF_MACHINE * served.gpus / served.instance.accelerator_count
    cores, memory = served.instance.vcpus * share, served.instance.memory_gib * share
    requests = {"cpu": str(max(1, int(cores))), "memory": f"{max(1, int(memory))}Gi", **limits}
    return {"requests": requests, "limits": limits}


def _weights_gb(served: _Served) -> int:
    precision = served.plan.precision
    return math.ceil(precision.weights_bytes / 1e9) if precision else 0


def _terraform(served: _Served) -> str:
    """The plan's machines on EC2, each starting its replicas; network and access are the reader's own."""
    instance = served.instance
    if instance is None or not instance.is_ec2_type:
        raise Refusal(f"{served.chosen.label} is no EC2 instance type.", field="instance")
    asked = served.plan.asked
    if asked.buy is PurchaseOption.CAPACITY_BLOCK:
        raise Refusal(
            "A Capacity Block is bought before it is launched.", field="buy", remedy="Buy it, then launch into it."
        )
    architecture = "arm64" if instance.family in ARM_FAMILIES else "x86_64"
    spot = '\n  instance_market_options {\n    market_type = "spot"\n  }\n' if asked.buy is PurchaseOption.SPOT else ""
    start = _start_script(served).replace("${", "$${").replace("%{", "%%{")
    indented = "".join(f"    {line}\n" if line else "\n" for line in start.splitlines())
    return (
        _header(served, "terraform init && terraform apply -var subnet_id=... -var 'security_group_ids=[...]'")
        + f"""
terraform {{
  required_version = ">= 1.5"
  required_providers {{
    aws = {{
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }}
  }}
}}

provider "aws" {{
  region = {_hcl(asked.region)}
}}

variable "subnet_id" {{
  type = string
}}

variable "security_group_ids" {{
  type        = list(string)
  description = "Must let whoever asks in on port {PORT} and up, and nobody else: the server asks for no password."
}}

variable "hf_token_parameter" {{
  type        = string
  default     = ""
  description = "Name of an SSM SecureString with a Hub token, for a gated model; needs instance_profile."
}}

variable "instance_profile" {{
  type    = string
  default = null
}}

data "aws_ssm_parameter" "image" {{
  name = {_hcl(AMI.format(architecture=architecture))}
}}

resource "aws_instance" "replica" {{
  count                  = {max(1, served.chosen.instances)}
  ami                    = data.aws_ssm_parameter.image.value
  instance_type          = {_hcl(instance.instance_type)}
  subnet_id              = var.subnet_id
  vpc_security_group_ids = var.security_group_ids
  iam_instance_profile   = var.instance_profile
{spot}
  metadata_options {{
    http_tokens = "required"
  }}

  root_block_device {{
    volume_type = "gp3"
    volume_size = {IMAGE_GB + 2 * _weights_gb(served)}
    encrypted   = true
  }}

  user_data = <<-EOT
{indented}  EOT

  tags = {{
    Name = {_hcl(served.name)}
  }}
}}

output "addresses" {{
  value = aws_instance.replica[*].private_ip
}}
""".replace("$${HF_PARAMETER}", "${var.hf_token_parameter}")
    )


def _start_script(served: _Served) -> str:
    lines = [
        "#!/bin/bash",
        "set -eu",
        'parameter="${HF_PARAMETER}"',
        'if [ -n "$parameter" ]; then',
        '  HF_TOKEN="$(aws ssm get-parameter --with-decryption --name "$parameter" \\',
        '    --query Parameter.Value --output text)"',
        "  export HF_TOKEN",
        "fi",
    ]
    for number in range(served.replicas_per_machine):
        devices = ",".join(str(number * served.gpus + index) for index in range(served.gpus))
        name = f"{served.name}-{number}"
        run = ["docker", "run", "-d", "--restart", "unless-stopped", "--name", name, "--ipc", "host", "-e", "HF_TOKEN"]
        run += ["--gpus", f'"device={devices}"', "-p", f"{PORT + number}:{PORT}", "-v", f"huggingface:{CACHE}"]
        run += ["--entrypoint", "vllm", served.image, "serve", *served.arguments]
        lines.append(shlex.join(run))
    return "\n".join(lines)


def _hcl(text: str) -> str:
    return json.dumps(text).replace("${", "$${").replace("%{", "%%{")
