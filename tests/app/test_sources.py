"""Where a model comes from: the catalogue at once, the Hub for the rest, over real HTTP."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.planning.planner import plan
from app.planning.remembered import remembered_plan
from app.scenario import Scenario
from app.sources import HUB_THREADS, MOST_READING, LocalSources
from estimators.architecture import catalogue
from estimators.architecture.hub.client import HubClient, HubPending
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


def failing(hub: HubServer, name: str, *, status: int = 500, body: bytes = b"") -> None:
    hub.fail(f"/api/models/{name}", status=status, body=body)


def test_one_bad_repository_is_its_own_fault(hub: HubServer, sources: LocalSources) -> None:
    """Not a Hub's answer, an error, over limits, a config beyond all sense: the next model is read as ever."""
    failing(hub, "bad/answer", status=200, body=b"[]")
    failing(hub, "bad/error")
    hub.fail("/api/models/bad/endless", status=200, headers={"Content-Length": str(1 << 40)})
    hub.add_model("bad/config", config=b"[" * 100_000)
    hub.add_model("acme/fine", config=catalogue.load_config(QWEN))
    for name in ("bad/answer", "bad/error", "bad/endless", "bad/config"):
        with pytest.raises(Refusal):
            sources.spec(name)
    assert sources.spec("acme/fine").source is SpecSource.HUB


def test_repositories_of_several_owners_that_fail_one_after_another_are_the_hub_s_fault(
    hub: HubServer, sources: LocalSources
) -> None:
    hub.fail("/api/models/", status=500)
    for owner in ("one", "two", "three"):
        with pytest.raises(Refusal, match="answered with an error"):
            sources.spec(f"{owner}/model")
    with pytest.raises(Refusal, match="moment ago"):
        sources.spec("four/model")


def test_an_answer_in_between_clears_the_hub(hub: HubServer, sources: LocalSources) -> None:
    for owner in ("one", "two", "three", "four"):
        failing(hub, f"{owner}/bad")
        with pytest.raises(Refusal, match="answered with an error"):
            sources.spec(f"{owner}/bad")
        with pytest.raises(Refusal, match="no model"):
            sources.spec(f"{owner}/missing")


def test_a_hub_that_asks_to_slow_down_is_left_alone_at_once(hub: HubServer, sources: LocalSources) -> None:
    failing(hub, "acme/one", status=429)
    with pytest.raises(Refusal, match="too many requests"):
        sources.spec("acme/one")
    with pytest.raises(Refusal, match="moment ago"):
        sources.spec("other/two")


def test_a_slow_hub_does_not_hold_a_page_which_is_filled_in_later(hub: HubServer, tmp_path: Path) -> None:
    hub.add_model("acme/slow", config=catalogue.load_config(QWEN))
    hub.fail("/api/models/acme/slow", delay_seconds=1.0, times=1)
    client = HubClient(endpoint=hub.url, offline=False, timeout_s=5, cache_dir=tmp_path)
    sources = LocalSources(Book(), client, patience_s=0.1)
    begun = time.monotonic()
    waiting = remembered_plan(Scenario(model="acme/slow"), sources)
    assert isinstance(waiting.refusal, HubPending)
    assert "is being read from" in str(waiting.refusal)
    assert time.monotonic() - begun < 0.9
    assert sources.reading("acme/slow")
    assert sources.spec(QWEN).source is SpecSource.CATALOGUE
    wait_for(lambda: not sources.reading("acme/slow"))
    assert remembered_plan(Scenario(model="acme/slow"), sources).refusal is None


def test_models_asked_for_at_once_take_a_few_threads_and_are_bounded(hub: HubServer, tmp_path: Path) -> None:
    hub.fail("/api/models/", delay_seconds=0.1)
    client = HubClient(endpoint=hub.url, offline=False, timeout_s=5, cache_dir=tmp_path)
    sources = LocalSources(Book(), client, patience_s=0.0)
    before = threading.active_count()
    said = []
    for number in range(MOST_READING + 10):
        with pytest.raises(HubPending) as pending:
            sources.spec(f"owner{number}/slow")
        said.append(str(pending.value))
    assert sum("Many models are being read" in one for one in said) >= 5
    assert threading.active_count() - before <= 6 * HUB_THREADS
    wait_for(lambda: not any(sources.reading(f"owner{number}/slow") for number in range(MOST_READING)))


def test_a_defect_in_reading_one_repository_is_a_sentence(
    sources: LocalSources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HubClient, "fetch", lambda *_: {}["hf_secret"])
    with pytest.raises(Refusal, match="defect of ours"):
        sources.spec("acme/odd")


# ---------------------------------------------------------------- what was made of a model


def test_what_the_hub_lists_is_asked_for_once(hub: HubServer, sources: LocalSources) -> None:
    hub.add_model("RedHatAI/llama-FP8", config={}, tags=["base_model:quantized:org/llama"], downloads=5)
    assert [copy.id for copy in sources.made_of("org/llama").quantized] == ["RedHatAI/llama-FP8"]
    asked = len(hub.requests)
    sources.made_of("org/llama")
    assert len(hub.requests) == asked


def test_a_slow_listing_holds_no_page_and_is_there_when_asked_again(hub: HubServer, tmp_path: Path) -> None:
    hub.add_model("a/llama-eagle", config={}, tags=["base_model:org/llama"])
    hub.fail("/api/models", delay_seconds=1.0, times=1)
    client = HubClient(endpoint=hub.url, offline=False, timeout_s=5, cache_dir=tmp_path)
    sources = LocalSources(Book(), client, patience_s=0.1)
    begun = time.monotonic()
    for _ in range(3):  # however often the button is pressed, the Hub is asked once
        with pytest.raises(HubPending, match=r"org/llama is being read from"):
            sources.made_of("org/llama")
    assert time.monotonic() - begun < 0.9
    wait_for(lambda: not sources._listing)
    assert sources.made_of("org/llama").heads == ("a/llama-eagle",)
    assert sum("filter=base_model%3Aquantized" in seen.query for seen in hub.requests) == 1


def test_listings_wait_in_the_same_bounded_line_as_models(hub: HubServer, tmp_path: Path) -> None:
    hub.fail("/api/models", delay_seconds=0.02)
    client = HubClient(endpoint=hub.url, offline=False, timeout_s=5, cache_dir=tmp_path)
    sources = LocalSources(Book(), client, patience_s=0.0)
    said = []
    for number in range(MOST_READING + 6):
        with pytest.raises(HubPending) as pending:
            sources.made_of(f"owner{number}/slow")
        said.append(str(pending.value))
    assert sum("Many models are being read" in one for one in said) >= 3
    wait_for(lambda: not sources._listing)


def test_a_hub_that_rests_is_not_asked_for_a_listing(hub: HubServer, sources: LocalSources) -> None:
    hub.fail("/api/models", status=429)
    with pytest.raises(Refusal, match="too many requests"):
        sources.made_of("acme/one")
    asked = len(hub.requests)
    with pytest.raises(Refusal, match="moment ago"):
        sources.made_of("other/two")
    assert len(hub.requests) == asked


def test_a_listing_that_is_none_is_a_sentence(hub: HubServer, sources: LocalSources) -> None:
    hub.fail("/api/models", status=200, body=b'[{"id": "a/llama-eagle", "tags": 5}]')
    with pytest.raises(Refusal, match="org/llama"):
        sources.made_of("org/llama")
