"""How a plan is started: its command, and where the Hub may know a checkpoint."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.exploring.start import checkpoint_on_the_hub, launch_of
from app.planning.plan import Plan
from app.planning.planner import plan, plan_many
from app.scenario import Scenario, decode
from app.sources import LocalSources, shared_sources
from estimators.architecture import catalogue
from estimators.architecture.hub.client import HubClient
from estimators.precision import Weights
from estimators.workload import Engine
from pricing.book import Book
from pricing.offers import PurchaseOption
from tests.random_scenarios import open_scenarios
from tests.servers.hub import HubServer

GEMMA = "google/gemma-3-12b-it"


def planned(**link: str) -> Plan:
    return plan(decode(link).scenario, shared_sources())


def test_a_quantized_plan_that_drafts_names_both_repositories() -> None:
    llama = "meta-llama/Llama-3.3-70B-Instruct"
    found = planned(model=llama, weights="nvfp4", spec="eagle", instance="g7e.2xlarge", concurrency="8")
    words = shlex.split(launch_of(found).command)
    assert words[:3] == ["vllm", "serve", "RedHatAI/Llama-3.3-70B-Instruct-NVFP4"]
    assert json.loads(words[words.index("--speculative-config") + 1]) == {
        "method": "eagle3",
        "model": "RedHatAI/Llama-3.3-70B-Instruct-speculator.eagle3",
        "num_speculative_tokens": 3,
    }


def test_a_count_has_no_command() -> None:
    found = launch_of(planned(model="30B-A3B", instance="g7e.2xlarge"))
    assert found.command == ""
    assert found.why.startswith("A parameter count names no model to start.")


def test_what_the_engine_does_not_run_there_has_no_command() -> None:
    found = launch_of(planned(model="meta-llama/Llama-3.1-8B-Instruct", weights="nvfp4", instance="inf2.24xlarge"))
    assert found.command == ""
    assert found.why


def test_every_plan_has_a_command_or_a_reason() -> None:
    sold = {"region": "us-east-1", "buy": PurchaseOption.ON_DEMAND, "ttft": None, "tpot": None, "e2e": None}
    asked = [replace(scenario, **sold) for scenario in open_scenarios(60, seed=8)]  # type: ignore[arg-type]
    asked += [replace(scenario, spec="eagle") for scenario in asked[:10]]
    asked += [replace(scenario, instance="inf2.48xlarge", gpus=None, pp=1) for scenario in asked[:10]]
    asked += [replace(scenario, engine=Engine.SGLANG) for scenario in asked[:5]]
    asked += [Scenario(params=30.0, active=3.0), Scenario(params=8.0)]
    started = [launch_of(answer) for answer in plan_many(asked, shared_sources())]
    assert sum(bool(one.command) for one in started) > 40
    for one in started:
        assert bool(one.command) != bool(one.why)
        assert not {"<", ">"} & set(one.command)
        assert " " not in shlex.split(one.command)[2] if one.command else one.why.endswith(".")


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def asked_of(hub: HubServer, cache: Path) -> tuple[str | None, str]:
    sources = LocalSources(Book(), HubClient(endpoint=hub.url, offline=False, timeout_s=5, cache_dir=cache))
    return checkpoint_on_the_hub(planned(model=GEMMA, weights="int4", instance="g6.xlarge"), sources)


def test_the_hub_knows_a_checkpoint_by_a_known_publisher(hub: HubServer, tmp_path: Path) -> None:
    config, tag = catalogue.load_config(GEMMA), f"base_model:quantized:{GEMMA}"
    hub.add_model("mlx-community/gemma-3-12b-it-4bit", config=config, tags=[tag], downloads=900)
    hub.add_model("RedHatAI/gemma-3-12b-it-FP8-dynamic", config=config, tags=[tag], downloads=500)
    hub.add_model("RedHatAI/gemma-3-12b-it-quantized.w4a16", config=config, tags=[tag], downloads=70)
    name, problem = asked_of(hub, tmp_path)
    assert (name, problem) == ("RedHatAI/gemma-3-12b-it-quantized.w4a16", "")
    plan_of_it = planned(model=GEMMA, weights="int4", instance="g6.xlarge")
    assert launch_of(plan_of_it).command.startswith("vllm serve ./gemma-3-12b-it-quantized.w4a16 ")
    assert launch_of(plan_of_it, name).command.startswith(f"vllm serve {name} ")


def test_the_hub_knows_none_or_does_not_answer(hub: HubServer, tmp_path: Path) -> None:
    assert asked_of(hub, tmp_path) == (
        None, "The Hub lists no copy of google/gemma-3-12b-it in INT4 by a known publisher.",
    )  # fmt: skip
    hub.fail("/api/models", status=503)
    name, problem = asked_of(hub, tmp_path)
    assert name is None
    assert problem
    offline = LocalSources(Book(), HubClient(offline=True))
    assert checkpoint_on_the_hub(planned(model=GEMMA, weights="int4", instance="g6.xlarge"), offline)[1].startswith(
        "HF_HUB_OFFLINE is set"
    )


def test_there_is_nothing_to_look_for_without_a_model() -> None:
    typical = plan(Scenario(params=8.0, weights=Weights.INT4), shared_sources())
    found, problem = checkpoint_on_the_hub(typical, shared_sources())
    assert (found, problem) == (None, "A parameter count names no model to look for.")
