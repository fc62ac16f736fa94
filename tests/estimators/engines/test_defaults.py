"""What engines do by themselves: the numbers of each release and device, and that memory and latency read the same."""

from itertools import pairwise

import pytest

from estimators.engines.defaults import Schedule, all_defaults, engine_defaults, schedule
from estimators.engines.versions import NEWEST, Version, read_version
from estimators.hardware.catalogue import accelerators, find_accelerator
from estimators.latency.plan import resolve
from estimators.memory import estimate_memory
from estimators.memory.engine import start
from estimators.provenance import Refusal
from estimators.workload import Engine, EngineSettings, Placement
from tests.latency_cases import precision_of, workload

GIB = 2**30


def of(gpu: str, max_model_len: int = 4096, *, mla: bool = False, engine: str = "vllm", **settings: object) -> Schedule:
    chip = find_accelerator(gpu)
    return schedule(engine, EngineSettings(**settings), chip, chip.memory_bytes, max_model_len, mla=mla)


@pytest.mark.parametrize(
    ("gpu", "version", "tokens", "requests"),
    [
        # the second engine: H100 and H200 by name, 1,024 requests everywhere (vllm-project/vllm#12369)
        ("H100", "0.8.0", 8192, 1024),
        ("H200", "0.8.3", 8192, 1024),
        ("A100-80GB", "0.8.3", 2048, 1024),
        ("B200", "0.8.3", 2048, 1024),
        # 0.8.4 takes the requests back, but for H100 and H200 (#16158)
        ("H100", "0.8.4", 8192, 1024),
        ("A100-80GB", "0.8.4", 2048, 256),
        # 0.8.5 goes by memory (#17073), 0.9 leaves the A100 out (#17885)
        ("H100", "0.8.5", 8192, 1024),
        ("A100-80GB", "0.8.5.post1", 8192, 1024),
        ("A100-40GB", "0.8.5", 2048, 256),
        ("B200", "0.8.5", 8192, 1024),
        ("A100-80GB", "0.9.0", 2048, 256),
        ("MI300X", "0.9.0", 8192, 1024),
        ("L40S", "0.9.0", 2048, 256),
        # 0.28 adds a tier of 160 GiB (#51726)
        ("B200", "0.27.0", 8192, 1024),
        ("B200", "0.28.0", 16384, 1024),
        ("B200", None, 16384, 1024),
        ("H200", None, 8192, 1024),
        ("A10G", None, 2048, 256),
    ],
)
def test_vllm(gpu: str, version: str | None, tokens: int, requests: int) -> None:
    found = of(gpu, version=version)
    assert (found.batched_tokens, found.max_seqs, found.mixes) == (tokens, requests, True)


@pytest.mark.parametrize(
    ("gpu", "version", "longest", "tokens", "mixes"),
    [
        ("A10G", "0.6.4", 8192, 8192, False),  # the longest context in one step
        ("A10G", "0.6.4", 1000, 2048, False),  # and no less than 2,048
        ("A10G", "0.6.4", 32768, 32768, False),
        ("A10G", "0.6.4", 32769, 512, True),  # beyond, prompts are chunked and share steps
        ("A10G", "0.7.2", 131_072, 2048, True),  # in larger chunks from 0.6.5
        ("A10G", "0.5.3", 131_072, 131_072, False),  # by default only from 0.5.4
        ("H100", "0.7.3", 4096, 4096, False),
        ("T4", "0.8.5", 4096, 4096, False),  # the second engine runs on Turing and Volta from 0.10.2
        ("V100", "0.10.1", 4096, 4096, False),
        ("T4", "0.10.2", 4096, 2048, True),
    ],
)
def test_vllms_first_engine(gpu: str, version: str, longest: int, tokens: int, mixes: bool) -> None:
    found = of(gpu, longest, version=version)
    assert (found.batched_tokens, found.max_seqs, found.mixes) == (tokens, 256, mixes)
    assert found.whole_prompts is not mixes


def test_vllms_first_engine_never_chunked_with_mla() -> None:
    assert of("H200", 128_000, mla=True, version="0.7.3").batched_tokens == 128_000
    assert of("H200", 128_000, mla=True, version="0.8.3").batched_tokens == 8192


@pytest.mark.parametrize(
    ("gpu", "version", "tokens"),
    [
        ("H100", "0.3.5", 8192),
        ("A10G", "0.4.0", 2048),
        ("RTX 5090", "0.4.0", 8192),  # from 25,000 MiB
        ("RTX 5090", "0.4.8", 2048),  # from 35 GiB
        ("L40S", "0.5.2", 8192),
        ("L40S", "0.5.3", 4096),
        ("H100", "0.5.3", 8192),
        ("A100-80GB", None, 8192),
        ("H200", None, 8192),
        ("B200", "0.4.6", 8192),
        ("B200", "0.4.7", 16384),
        ("MI300X", None, 16384),
        ("A10G", "0.5.19", 2048),
        ("A10G", "0.5.20", 4096),
        ("T4", None, 2048),
    ],
)
def test_sglang(gpu: str, version: str | None, tokens: int) -> None:
    found = of(gpu, engine="sglang", version=version)
    assert (found.batched_tokens, found.max_seqs, found.mixes) == (tokens, 4096, False)


@pytest.mark.parametrize(
    ("version", "requests", "mixes"),
    [("0.9.0", 1024, False), ("0.10.0", 2048, True), ("0.11.0", 256, True), ("0.14.0", 2048, True), (None, 2048, True)],
)
@pytest.mark.parametrize("gpu", ["A10G", "B200"])
def test_tensorrt_llm_is_the_same_on_every_device(gpu: str, version: str | None, requests: int, mixes: bool) -> None:
    found = of(gpu, engine="tensorrt-llm", version=version)
    assert (found.batched_tokens, found.max_seqs, found.mixes) == (8192, requests, mixes)


@pytest.mark.parametrize(
    ("engine", "version", "gpu", "tokens", "requests"),
    [
        (Engine.VLLM, "0.8.5", "H100", 8192, 1024),
        (Engine.VLLM, "0.6.3", "H100", 2048, 256),
        (Engine.VLLM, None, "B200", 16384, 1024),
        (Engine.SGLANG, None, "A100-80GB", 8192, 4096),
        (Engine.TENSORRT_LLM, None, "B200", 8192, 2048),
    ],
)
def test_memory_and_latency_read_the_same_two_numbers(
    engine: Engine, version: str | None, gpu: str, tokens: int, requests: int
) -> None:
    asked, chip = EngineSettings(engine=engine, version=version), find_accelerator(gpu)
    load, precision = workload(64, 2), precision_of("meta-llama/Llama-3.2-1B-Instruct")
    held = start(asked, chip, chip.memory_bytes, load.tokens_per_request)
    memory = estimate_memory(precision, chip, Placement(), load, asked)
    timed = resolve(precision, chip, Placement(), load, asked, memory)
    assert (held.batched_tokens, held.max_seqs) == (tokens, requests)
    assert (timed.scheduler.chunk, timed.scheduler.running) == (tokens, requests)


def test_what_is_asked_for_is_what_runs() -> None:
    found = of("H100", batched_tokens=1000, max_num_seqs=7)
    assert (found.batched_tokens, found.max_seqs) == (1000, 7)
    with pytest.raises(Refusal) as refusal:
        of("H100", batched_tokens=0)
    assert refusal.value.field == "batched_tokens"


def test_an_engine_of_which_nothing_is_known_is_refused() -> None:
    with pytest.raises(Refusal, match="exllama") as refusal:
        of("H100", engine="exllama")
    assert refusal.value.field == "engine"


def test_the_longest_context_of_a_captured_graph() -> None:
    assert of("A10G", version="0.5.0").graph_context == 8192
    assert of("A10G", engine="transformers").graph_context == 0


@pytest.mark.parametrize("engine", sorted({row.engine for row in all_defaults()}))
def test_every_engine_states_what_a_schedule_needs_on_every_release_and_device(engine: str) -> None:
    rows = [row for row in all_defaults() if row.engine == engine]
    releases = {row.since for row in rows} | {row.until for row in rows if row.until is not None} | {NEWEST}
    for version in releases:
        for chip in accelerators().values():
            found = engine_defaults(engine, version, chip.name, chip.memory_bytes)
            assert found.keys() >= {"era", "batched_tokens", "max_seqs", "mixes", "graph_context"}
            assert found["batched_tokens"].value >= 1
            assert found["max_seqs"].value >= 1
            assert found["era"].text


def test_no_two_rows_claim_the_same_setting() -> None:
    """Rows of one setting, tier and devices follow each other without a gap or an overlap."""
    groups: dict[tuple[object, ...], list[tuple[Version, Version]]] = {}
    for row in all_defaults():
        key = (row.engine, row.setting, row.memory_from_bytes, row.only_on, row.not_on)
        groups.setdefault(key, []).append((row.since, row.until or NEWEST))
    for spans in groups.values():
        assert all(since < until for since, until in spans)
        assert all(before[1] <= after[0] for before, after in pairwise(sorted(spans)))


def test_every_row_says_whose_word_it_is() -> None:
    for row in all_defaults():
        assert row.source
        assert row.as_of in row.evidence
    assert engine_defaults("vllm", read_version("0.28"), "B200", 178 * GIB)["batched_tokens"].source.endswith(
        "160 GiB on"
    )
