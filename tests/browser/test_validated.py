"""The panel "Is it validated?" in a browser: the runs that are missing, and a results file that settles a bar."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.pages import WAIT_MS, open_page, ran, unfold
from tests.estimators.quality.test_kept_scores import results

pytestmark = pytest.mark.browser
MODEL = "meta-llama/Llama-3.1-8B-Instruct"


def test_two_results_files_settle_what_nobody_has_published(page: Page, base: str, tmp_path: Path) -> None:
    open_page(page, f"{base}/?model={MODEL}&weights=mxfp4&concurrency=4")
    verdict = page.locator(".st-key-verdict")
    expect(verdict).to_contain_text("Nobody is known to have published Llama 3.1 8B in MXFP4", timeout=WAIT_MS)
    unfold(page, "validated_fold")
    panel = page.locator(".st-key-validated_fold")
    expect(panel).to_contain_text("The quality of Llama 3.1 8B in MXFP4 on", timeout=WAIT_MS)
    expect(panel.locator("code", has_text="lm_eval --model vllm")).to_have_count(2)
    for score, scheme in ((0.741, "mxfp4"), (0.779, "as-published")):
        file = tmp_path / f"results_{scheme}.json"
        file.write_text(results(score), encoding="utf-8")
        with page.expect_response(lambda reply: "/upload_file/" in reply.url and reply.request.method == "PUT"):
            panel.locator("input[type=file]").set_input_files(file)
        ran(page)
        box = panel.get_by_role("combobox", name="In", exact=True)
        box.fill(scheme)
        box.press("Enter")
        ran(page)
        panel.get_by_role("button", name="Use it in the plan", exact=True).click()
        expect(panel).to_contain_text(f"ifeval {100 * score:.1f}", timeout=WAIT_MS)
    expect(panel).to_contain_text("is from your own runs: your own runs of both on IFEval", timeout=WAIT_MS)
    expect(panel.locator("code", has_text="lm_eval --model vllm")).to_have_count(0)
