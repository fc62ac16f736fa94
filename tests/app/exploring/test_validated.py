"""Is it validated: the checkpoint of a plan by the tables, by a Hub on loopback, and in everything that says it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from app.exploring.report_page import plan_json, report_html
from app.exploring.validated import Validated, in_words, validated, validated_finding
from app.planning.plan import Plan
from app.planning.planner import plan
from app.report import as_lines
from app.scenario import decode
from app.sources import LocalSources, shared_sources
from estimators.architecture.hub.client import HubClient
from estimators.architecture.hub.pages import HubListing, QuantizedCheckpoint
from pricing.book import Book
from tests.servers.hub import HubServer

LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
GEMMA = "google/gemma-3-12b-it"
GPT = "openai/gpt-oss-20b"


def planned(**link: str) -> Plan:
    return plan(decode(link).scenario, shared_sources())


def found(listing: HubListing | None = None, **link: str) -> Validated:
    known = validated(planned(**link), listing)
    assert known is not None
    return known


@pytest.mark.parametrize(
    ("link", "sentence"),
    [
        (
            {"model": LLAMA, "weights": "int4"},
            "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16 in INT4 by Red Hat AI, validated in May 2025.",
        ),
        (
            {"model": LLAMA, "weights": "int4", "method": "awq"},
            "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4 in INT4 by hugging-quants; no validated collection "
            "names it.",
        ),
        ({"model": GPT}, "openai/gpt-oss-20b in MXFP4 by openai, validated by Red Hat AI in October 2025."),
        ({"model": LLAMA}, f"{LLAMA} as meta-llama published it, validated by Red Hat AI in May 2025."),
        (
            {"model": "Qwen/Qwen3-32B", "weights": "fp8"},
            "Qwen/Qwen3-32B-FP8 in FP8 by Qwen; no validated collection names it.",
        ),
        (
            {"model": GEMMA, "weights": "int4"},
            "Nobody is known to have published gemma-3-12b in INT4: LLM Compressor makes it, by the recipe that the "
            "Memory page writes.",
        ),
        (
            {"model": GEMMA, "weights": "fp8", "instance": "g6e.xlarge"},  # which holds the original
            "Nobody is known to have published gemma-3-12b in FP8: vLLM makes it each time it loads.",
        ),
        (
            {"model": LLAMA, "weights": "nf4"},
            "Nobody is known to have published Llama 3.1 8B in NF4, and no recipe makes it.",
        ),
    ],
)  # fmt: skip
def test_the_sentence(link: dict[str, str], sentence: str) -> None:
    assert found(**link).sentence == sentence


def test_a_parameter_count_has_none() -> None:
    assert validated(planned(model="8B", weights="int4")) is None


def test_red_hat_ai_then_the_maker_then_others() -> None:
    copies = [copy.id for copy in found(model="Qwen/Qwen3-235B-A22B", weights="fp8").copies]
    assert copies == ["RedHatAI/Qwen3-235B-A22B-FP8-dynamic", "Qwen/Qwen3-235B-A22B-FP8", "nvidia/Qwen3-235B-A22B-FP8"]


def test_what_the_hub_lists_stands_behind_the_tables_and_only_by_known_publishers() -> None:
    listed = {
        "stranger/gemma-awq": True,
        "google/gemma-3-12b-it-int4": True,
        "RedHatAI/gemma-3-12b-it-quantized.w4a16": False,
    }
    quantized = tuple(
        QuantizedCheckpoint(id=name, label="int4", declared=declared, downloads=1) for name, declared in listed.items()
    )
    quantized += (QuantizedCheckpoint(id="RedHatAI/gemma-3-12b-it-FP8", label="fp8", declared=True, downloads=9),)
    known = found(HubListing(quantized=quantized, heads=("someone/EAGLE3-gemma",)), model=GEMMA, weights="int4")
    assert [copy.id for copy in known.copies] == [
        "RedHatAI/gemma-3-12b-it-quantized.w4a16",
        "google/gemma-3-12b-it-int4",
    ]
    assert known.copies[0].source == "the Hub lists it (by its name alone, 1 download): read its card"
    assert known.sentence.startswith("RedHatAI/gemma-3-12b-it-quantized.w4a16 in INT4 by Red Hat AI; no validated")
    assert [(head.id, head.scheme) for head in known.heads] == [("someone/EAGLE3-gemma", "by its name")]


def test_heads_of_the_model_a_quantized_copy_was_made_from() -> None:
    heads = found(model="RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic").heads
    assert [head.id for head in heads] == ["RedHatAI/Llama-3.3-70B-Instruct-speculator.eagle3"]


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def test_a_hub_on_the_network_is_asked_by_base_model(hub: HubServer, tmp_path: Path) -> None:
    hub.add_model("RedHatAI/gemma-3-12b-it-quantized.w4a16", config={}, tags=[f"base_model:quantized:{GEMMA}"])
    hub.add_model("RedHatAI/gemma-3-12b-it-speculator.eagle3", config={}, tags=[f"base_model:{GEMMA}"])
    sources = LocalSources(Book(), HubClient(endpoint=hub.url, offline=False, timeout_s=5, cache_dir=tmp_path))
    known = found(sources.made_of(GEMMA), model=GEMMA, weights="int4")
    assert known.serves is not None
    assert known.serves.id == "RedHatAI/gemma-3-12b-it-quantized.w4a16"
    assert [head.id for head in known.heads] == ["RedHatAI/gemma-3-12b-it-speculator.eagle3"]
    assert any("base_model%3Aquantized%3Agoogle%2Fgemma-3-12b-it" in seen.query for seen in hub.requests)


def test_the_terminal_the_report_and_json_say_it() -> None:
    made = planned(model=LLAMA, weights="int4")
    sentence = found(model=LLAMA, weights="int4").sentence
    assert f"  checkpoint: {sentence}" in list(as_lines(made))
    page = report_html(made, link="?v=1", today=date(2026, 11, 28))
    assert f"<h2>Is it validated?</h2><p>{sentence}</p>" in page
    assert plan_json(made)["checkpoint"] == {
        "checkpoint": "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16",
        "publisher": "Red Hat AI",
        "validated": "2025-05",
        "drafting_heads": [
            "yuhuili/EAGLE3-LLaMA3.1-Instruct-8B", "RedHatAI/Llama-3.1-8B-Instruct-speculator.eagle3",
        ],
        "said": sentence,
    }  # fmt: skip


def test_of_weights_as_they_were_trained_the_verdict_says_nothing() -> None:
    made = planned(model=LLAMA)
    assert not any("checkpoint:" in line for line in as_lines(made))
    assert "Is it validated?" not in report_html(made, link="?v=1", today=date(2026, 11, 28))
    assert plan_json(planned(model="8B"))["checkpoint"] is None


def test_the_table() -> None:
    table = validated_finding(found(model=LLAMA, weights="int4"))
    assert table.rows[0][:4] == (
        "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16", "int4", "Red Hat AI", "May 2025",
    )  # fmt: skip
    assert table.rows[-1][:2] == ("RedHatAI/Llama-3.1-8B-Instruct-speculator.eagle3", "drafts (eagle3)")
    assert all(len(row) == len(table.heads) for row in table.rows)


def test_months_in_words() -> None:
    assert in_words("2026-08") == "August 2026"
