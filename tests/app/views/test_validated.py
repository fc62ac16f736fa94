"""The panel "Is it validated?": checkpoint, missing runs, and results that are read, kept and counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from app.measuring.jobs import measurement_store
from app.sources import dashboard_sources
from estimators.architecture.hub.client import HubClient
from tests.app.views.pages import opened, table, text_of, unfolded
from tests.app.views.test_memory import TOKEN
from tests.estimators.quality.test_kept_scores import LLAMA, results
from tests.servers.hub import HubServer

GEMMA = "google/gemma-3-12b-it"
BAR = {"quality": "94", "quality_of": LLAMA, "quality_on": "instruction-following"}
MXFP4 = {"model": LLAMA, "models": LLAMA, "precisions": "mxfp4", "concurrency": "4", **BAR}


def panel(**query: str) -> AppTest:
    page = unfolded(opened(**query), "validated_fold")
    assert not page.exception
    return page


def sentence_of(page: AppTest) -> str:
    return next(text for text in text_of(page).split("**") if text.startswith(("Quality on", "The quality of")))


def test_a_quantized_plan_says_it_beside_its_verdict_before_anything_is_opened() -> None:
    said = "**Checkpoint:** RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16 in INT4 by Red Hat AI, validated in May"
    assert said in text_of(opened(model=LLAMA, weights="int4"))
    assert "**Checkpoint:**" not in text_of(opened(model=LLAMA))


def test_the_panel_names_the_checkpoint_its_heads_and_the_runs() -> None:
    page = panel(model=LLAMA, weights="mxfp4")
    assert "Nobody is known to have published Llama 3.1 8B in MXFP4: LLM Compressor makes it" in text_of(page)
    heads = [row["Checkpoint"] for row in table(page, "Checkpoint", "Validated")]
    assert "RedHatAI/Llama-3.1-8B-Instruct-speculator.eagle3" in heads
    ours, theirs, install = (code.value for code in page.code)
    assert ours.startswith("lm_eval --model vllm --model_args pretrained=./")
    assert f"pretrained={LLAMA}," in theirs
    assert "--tasks ifeval --num_fewshot 0 --apply_chat_template" in ours
    assert install == 'pip install "lm_eval[vllm,ifeval]"'


def test_a_bar_decides_the_task_and_a_count_has_no_panel() -> None:
    page = panel(model=LLAMA, weights="int4", quality="60", quality_on="knowledge", models=LLAMA, precisions="int4")
    assert "Quality on knowledge against Llama 3.1 70B is inferred, not measured" in sentence_of(page)
    assert any("--tasks mmlu_pro --num_fewshot 5" in code.value for code in page.code)
    assert not [fold for fold in opened(model="8B").expander if fold.label.startswith("Is it validated?")]


def test_a_precision_that_no_plan_may_take_for_want_of_a_score_has_its_runs_too() -> None:
    page = panel(**MXFP4)
    assert "is the reference itself, as published: nothing is given up" in text_of(page)
    page.selectbox(key="score_in_bf16").set_value("mxfp4").run()
    assert sentence_of(page).startswith("The quality of Llama 3.1 8B in MXFP4 on instruction following is missing")
    assert page.code[0].value.startswith("lm_eval --model vllm --model_args pretrained=./Llama-3.1-8B-Instruct-MXFP4,")


def use(page: AppTest, score: float, scheme: str) -> AppTest:
    page.selectbox(key="harness_scheme").set_value(scheme)
    page.text_area(key="harness_json").set_value(results(score)).run()
    page.button(key="use_results").click().run()
    assert not page.exception
    return page


def test_results_of_both_let_a_precision_meet_the_bar() -> None:
    """74.1 of 77.9 is 95.1 % of one's own runs, above a bar of 94 %; nobody has published MXFP4 on this task."""
    page = panel(**MXFP4)
    assert page.session_state["_run"].answer.found.plans == ()
    use(use(page, 0.741, "mxfp4"), 0.779, "as-published")
    (best, *_) = page.session_state["_run"].answer.found.plans
    assert best.candidate.scenario.weights == "mxfp4"
    assert best.candidate.quality.ratio == pytest.approx(0.741 / 0.779)
    assert "Counted in this visit: meta-llama/Llama-3.1-8B-Instruct as-published: ifeval 77.9; " in text_of(page)
    page.button(key="forget_results").click().run()
    assert page.session_state["_run"].answer.found.plans == ()


def test_results_are_kept_by_who_may_and_counted_by_who_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIGHTSIZE_PROFILING", "1")
    monkeypatch.setenv("RIGHTSIZE_PROFILING_TOKEN", TOKEN)
    page = panel(**MXFP4)
    for score, scheme in ((0.741, "mxfp4"), (0.779, "as-published")):
        page.selectbox(key="harness_scheme").set_value(scheme)
        page.text_area(key="harness_json").set_value(results(score)).run()
        assert not [button for button in page.button if button.key == "keep_results"]
        page.text_input(key="profiling_token").set_value(TOKEN).run()
        page.button(key="keep_results").click().run()
        assert not page.exception
    assert [kept.score.score for kept in measurement_store().quality_scores()] == pytest.approx([77.9, 74.1])
    assert page.session_state["_run"].answer.found.plans
    other = panel(**MXFP4)  # another visit sees them, and counts them when it says so
    assert other.session_state["_run"].answer.found.plans == ()
    box = other.multiselect(key="used_scores")
    assert box.options[1].startswith(f"{LLAMA} in mxfp4: IFEval 74.1, 0-shot")
    box.set_value([kept.id for kept in measurement_store().quality_scores()]).run()
    assert other.session_state["_run"].answer.found.plans


def test_a_file_that_cannot_be_true_changes_nothing() -> None:
    page = panel(**MXFP4)
    use(page, 7.41, "mxfp4")
    assert "prompt_level_strict_acc of ifeval is 7.41, which is no share from 0 to 1." in " ".join(
        warning.value.replace("\\", "") for warning in page.warning
    )
    assert "own_scores" not in page.session_state


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer() as server:
        client = HubClient(endpoint=server.url, offline=False, timeout_s=5, cache_dir=tmp_path)
        monkeypatch.setattr(dashboard_sources(), "_hub", client)
        yield server


def test_the_hub_is_asked_by_a_button_and_what_it_has_is_served(hub: HubServer) -> None:
    copy = "RedHatAI/gemma-3-12b-it-quantized.w4a16"
    hub.add_model(copy, config={}, tags=[f"base_model:quantized:{GEMMA}"])
    page = panel(model=GEMMA, weights="int4")
    assert not [seen for seen in hub.requests if "filter=" in seen.query]
    page.button(key="look_on_hub").click().run()
    assert f"**{copy} in INT4 by Red Hat AI; no validated collection names it.**" in text_of(page)
    assert any(f"pretrained={copy}," in code.value for code in page.code)
    page.switch_page("views/memory.py").run()
    assert page.code[0].value.startswith(f"vllm serve {copy} ")


def test_a_hub_that_is_down_is_a_sentence_and_the_tables_stand(hub: HubServer) -> None:
    hub.fail("/api/models", status=500)
    page = panel(model=LLAMA, weights="int4")
    page.button(key="look_on_hub").click().run()
    assert not page.exception
    assert "validated in May 2025" in text_of(page)
    assert "answered with an error" in text_of(page)
