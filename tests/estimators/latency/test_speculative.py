"""Speculative decoding: what acceptance earns, and the load that undoes it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from estimators.hardware.catalogue import find_accelerator
from estimators.latency.plan import resolve
from estimators.latency.speculative import acceptances, break_even, pays, tokens_per_step
from estimators.memory import estimate_memory
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.workload import EngineSettings, Placement, Speculation
from tests.latency_cases import LLAMA, estimate, precision_of, workload


def speculating(method: str, tokens: int = 3, **changes: object) -> EngineSettings:
    return EngineSettings(speculation=Speculation(method=method, tokens=tokens, **changes))  # type: ignore[arg-type]


def test_expected_tokens_by_hand() -> None:
    """Leviathan et al. equation 1: (1 - 0.8^4) / 0.2 = 2.952; all accepted: g + 1."""
    assert tokens_per_step(0.8, 3) == pytest.approx(2.952)
    assert tokens_per_step(1.0, 3) == 4.0
    assert tokens_per_step(0.0, 3) == 1.0


@given(acceptance=st.floats(0.0, 1.0), drafted=st.integers(1, 16))
def test_a_step_yields_between_one_token_and_all(acceptance: float, drafted: int) -> None:
    assert 1.0 <= tokens_per_step(acceptance, drafted) <= drafted + 1.0 + 1e-9


def test_every_method_has_a_published_default() -> None:
    assert {"ngram", "eagle", "mtp", "draft"} == set(acceptances())


def test_drafting_pays_alone_and_less_under_load() -> None:
    def gain(concurrency: float) -> float:
        plain = estimate(workload(512, 512, concurrency), weights=Weights.BF16)
        drafted = estimate(workload(512, 512, concurrency), weights=Weights.BF16, settings=speculating("eagle"))
        return plain.tpot_s.value / drafted.tpot_s.value

    assert 1.2 < gain(1) < 2.5
    assert gain(200) < gain(1)


def test_higher_acceptance_is_faster() -> None:
    low = estimate(workload(), settings=speculating("ngram", acceptance=0.2))
    high = estimate(workload(), settings=speculating("ngram", acceptance=0.8))
    assert high.tpot_s.value < low.tpot_s.value


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        (speculating("magic"), "spec"),
        (speculating("eagle", tokens=0), "spec_tokens"),
        (speculating("eagle", acceptance=1.5), "accept"),
        (speculating("draft"), "spec"),
    ],
)
def test_nonsense_is_refused_by_its_field(settings: EngineSettings, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        estimate(workload(), settings=settings)
    assert refused.value.field == field


def test_drafting_stops_paying_somewhere_between_one_request_and_a_full_server() -> None:
    """EAGLE 3.1 on Kimi-K2.6, GB200: 2.03x, 1.71x, 1.66x at 1, 4, 16 (vLLM blog 2026-05-26): falling with load."""
    precision, accelerator, load = precision_of(LLAMA), find_accelerator("A100-80GB"), workload(512, 256)
    memory = estimate_memory(precision, accelerator, Placement(), load, EngineSettings())
    plain = resolve(precision, accelerator, Placement(), load, EngineSettings(), memory)
    draft = resolve(precision, accelerator, Placement(), load, speculating("eagle", 5), memory).draft
    assert draft is not None
    alone, full = (pays(plain.server, draft, plain.request, plain.scheduler, load) for load in (1.0, 256.0))
    assert alone > 1.2
    assert full < alone
    limit = break_even(plain.server, draft, plain.request, plain.scheduler)
    assert limit is not None
    assert 4 < limit < 512
