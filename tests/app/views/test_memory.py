"""Every number of the Memory page is the plan's."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from app.format import gib
from app.measuring.jobs import measurement_store
from tests.app.views.pages import opened, planned, table, text_of

TOKEN = "a-token-of-twenty-nine-letters"
LINK = {"instance": "g6.xlarge", "concurrency": "9", "replicas": "2"}


def code_of(page: AppTest, start: str) -> str:
    """The one block of code that begins so."""
    (found,) = [block.value for block in page.code if block.value.startswith(start)]
    return str(found)


def test_the_sentence_and_the_variants() -> None:
    page, (_, chosen) = opened("memory", **LINK), planned(**LINK)
    memory = chosen.memory
    assert memory is not None
    ends = f"{gib(memory.memory_bytes_per_gpu_low)} to {gib(memory.memory_bytes_per_gpu_high)}"
    assert f"it may use (80 % interval {ends})." in text_of(page)
    assert f"one context of up to **{memory.max_context:,} tokens** at this concurrency." in text_of(page)
    (now,) = [row for row in table(page, "Needed, GiB per GPU", "Longest context") if row[""] == "now"]
    assert now["Needed, GiB per GPU"] == pytest.approx(memory.memory_bytes_per_gpu / 1_073_741_824)
    assert (now["Holds"], now["Longest context"]) == (memory.max_concurrency, memory.max_context)


def test_the_command_and_the_log_are_of_one_length() -> None:
    page = opened("memory", **LINK)
    command, log = (code_of(page, start) for start in ("vllm serve", "Available KV cache"))
    assert command.startswith(
        "vllm serve meta-llama/Llama-3.1-8B-Instruct --tensor-parallel-size 1 --max-model-len 1408"
    )
    assert "Maximum concurrency for 1,408 tokens per request" in log
    assert "--max-model-len leaves 256 tokens above the 1,152 of prompt and output." in text_of(page)


def test_the_script_stands_beside_a_command_that_needs_it() -> None:
    page = opened("memory", model="google/gemma-3-12b-it", weights="int4", instance="g6.xlarge")
    command, script = (code_of(page, start) for start in ("vllm serve", '"""Make'))
    assert command.startswith("vllm serve ./gemma-3-12b-it-quantized.w4a16 ")
    assert 'OUTPUT = "gemma-3-12b-it-quantized.w4a16"' in script
    page.button(key="find_checkpoint").click().run()
    assert not page.exception


def test_a_count_alone_has_no_command() -> None:
    page = opened("memory", params="30", active="3", instance="g7e.2xlarge")
    assert "There is no command to copy. A parameter count names no model to start." in text_of(page)
    assert not any("vllm serve" in block.value for block in page.code)


def test_beyond_its_context_there_is_no_command() -> None:
    page = opened("memory", model="openai-community/gpt2", prompt="4000", instance="g6.xlarge")
    assert "4,128 tokens are more than the 1,024 the config of openai-community/gpt2 allows" in text_of(page)
    assert not any("vllm serve" in block.value for block in page.code)


def test_a_pasted_log_is_kept_and_narrows_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """On an L4 4.00 GiB are logged for the cache where 4.33 are estimated, so more is needed beside it."""
    monkeypatch.setenv("RIGHTSIZE_PROFILING", "1")
    monkeypatch.setenv("RIGHTSIZE_PROFILING_TOKEN", TOKEN)
    others = {made.id for made in measurement_store().history()}
    page = opened("memory", **LINK)
    before = text_of(page)
    page.text_area(key="startup_log").set_value("Available KV cache memory: 4.00 GiB").run()
    assert "Memory measured here: narrowed by 1 start-up log of this server, vllm on L4." in text_of(page)
    assert not [button for button in page.button if button.key == "keep_log"]
    page.text_input(key="profiling_token").set_value(TOKEN).run()
    page.button(key="keep_log").click().run()
    assert not page.exception
    (kept,) = [made for made in measurement_store().history() if made.id not in others]
    assert kept.logged is not None
    assert kept.logged.pool_bytes_per_gpu == 4 * 2**30
    assert page.session_state["own_measurements"] == [kept.id]
    assert "The fullest GPU needs" in before
    assert before.split("The fullest GPU needs")[1][:40] != text_of(page).split("The fullest GPU needs")[1][:40]


def test_a_log_of_another_server_is_compared_and_not_kept() -> None:
    page = opened("memory", **LINK)
    page.text_area(key="startup_log").set_value("Available KV cache memory: 17.00 GiB").run()
    assert "It is not kept as a measurement: 17.00 GiB for the cache leave" in text_of(page)
    assert not [button for button in page.button if button.key == "keep_log"]
