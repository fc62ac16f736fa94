"""Where a model comes from: the catalogue at once, the Hub for the rest, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.planning.planner import plan
from app.scenario import Scenario
from app.sources import LocalSources
from estimators.architecture import catalogue
from estimators.architecture.hub.client import HubClient
from estimators.architecture.spec import SpecSource
from estimators.provenance import Refusal
from pricing.book import Book
from tests.servers.hub import HubServer

QWEN = "Qwen/Qwen2.5-7B-Instruct"


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


@pytest.fixture
def sources(hub: HubServer, tmp_path: Path) -> LocalSources:
    return LocalSources(Book(), HubClient(endpoint=hub.url, offline=False, timeout_s=5, cache_dir=tmp_path))


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_catalogue_model_is_answered_without_asking_anybody(hub: HubServer, sources: LocalSources) -> None:
    assert sources.spec(QWEN).source is SpecSource.CATALOGUE
    assert hub.requests == []


def test_the_hub_is_asked_in_the_background_and_answers_from_then_on(hub: HubServer, sources: LocalSources) -> None:
    hub.add_model(QWEN, config=catalogue.load_config(QWEN))
    before = sources.version
    sources.check_hub(QWEN)
    wait_for(lambda: sources.version > before)
    spec = sources.spec(QWEN)
    assert spec.source is SpecSource.HUB
    assert spec.revision is not None


def test_any_other_id_comes_from_the_hub_once(hub: HubServer, sources: LocalSources) -> None:
    hub.add_model("acme/own-model", config=catalogue.load_config(QWEN))
    result = plan(Scenario(model="acme/own-model"), sources)
    assert result.refusal is None
    assert result.resolved.model is not None
    assert result.resolved.model.startswith("acme/own-model@")
    asked = len(hub.requests)
    sources.spec("acme/own-model")
    assert len(hub.requests) == asked


@pytest.mark.parametrize(("how", "said"), [({"gated": True}, "HF_TOKEN"), ({"private": True}, "not")])
def test_a_closed_model_is_its_own_sentence(
    hub: HubServer, sources: LocalSources, how: dict[str, bool], said: str
) -> None:
    hub.add_model("acme/closed", config=catalogue.load_config(QWEN), **how)  # type: ignore[arg-type]
    refusal = plan(Scenario(model="acme/closed"), sources).refusal
    assert refusal is not None
    assert refusal.field == "model"
    assert said in str(refusal)


def test_a_hub_that_is_down_is_left_alone_for_a_while(tmp_path: Path) -> None:
    with HubServer() as gone:
        address = gone.url
    sources = LocalSources(Book(), HubClient(endpoint=address, offline=False, timeout_s=2, cache_dir=tmp_path))
    with pytest.raises(Refusal):
        sources.spec("acme/one")
    started = time.monotonic()
    with pytest.raises(Refusal, match="moment ago"):
        sources.spec("acme/two")
    assert time.monotonic() - started < 0.5
    assert sources.spec(QWEN).source is SpecSource.CATALOGUE


def test_files_that_disagree_with_the_formula_are_pointed_out(hub: HubServer, sources: LocalSources) -> None:
    hub.add_model(
        "acme/odd", config=catalogue.load_config(QWEN), safetensors={"model.safetensors": {"w": ("BF16", (1000, 1000))}}
    )
    result = plan(Scenario(model="acme/odd"), sources)
    assert any("weight files" in note for note in result.notes)


def test_a_measurement_gets_the_config_from_where_the_spec_came(hub: HubServer, sources: LocalSources) -> None:
    config = catalogue.load_config(QWEN) | {"hidden_size": 3584}
    hub.add_model("acme/own-model", config=config)
    sources.spec("acme/own-model")
    asked = len(hub.requests)
    assert sources.config("acme/own-model") == config
    assert len(hub.requests) == asked  # it came with the spec
    assert sources.config(QWEN) == catalogue.load_config(QWEN)
    with pytest.raises(Refusal):
        sources.config("acme/no-such-model")
