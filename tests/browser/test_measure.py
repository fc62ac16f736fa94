"""Measuring from the page: off unless switched on, then only with the token, then beside the estimate."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from estimators.measuring.jobs.environment import is_set_up
from tests.browser.conftest import dashboard
from tests.browser.pages import enter
from tests.conftest import REFERENCE
from tests.servers.openai import openai_server
from tests.servers.real import IS_SET_UP as SERVING
from tests.servers.real import llama_cpp

pytestmark = pytest.mark.browser
TOKEN = "a-token-of-enough-characters"
MAY = {"RIGHTSIZE_PROFILING": "1", "RIGHTSIZE_PROFILING_TOKEN": TOKEN}
WAIT_MS = 60_000


def open_measuring(page: Page, base: str, question: str = "") -> None:
    """The page as whoever holds the start line's link sees it."""
    page.set_viewport_size({"width": 1300, "height": 1600})
    page.goto(f"{base}/measure?{question}&token={TOKEN}")
    expect(page.get_by_role("tab", name="A running server")).to_be_visible(timeout=WAIT_MS)


def test_without_the_switch_nothing_can_be_started(page: Page, base: str) -> None:
    page.goto(f"{base}/measure")
    expect(page.get_by_text("Measuring is switched off here")).to_be_visible(timeout=WAIT_MS)
    expect(page.get_by_role("button", name="Measure")).to_have_count(0)


def test_a_link_starts_nothing(page: Page, base: str) -> None:
    page.goto(
        f"{base}/measure?measure_device=true&job_device=cpu&endpoint_url=http%3A%2F%2Flocalhost&profiling_token={TOKEN}"
    )
    expect(page.get_by_text("Nothing has been measured here yet")).to_be_visible(timeout=WAIT_MS)
    assert TOKEN not in page.content()


def test_the_link_of_the_start_line_lets_its_browser_measure(
    page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("measure")
    with dashboard(folder, **MAY) as base:
        page.goto(f"{base}/measure?prompt=64&token={TOKEN}")
        for _ in range(2):
            expect(page.get_by_role("tab", name="A running server")).to_be_visible(timeout=WAIT_MS)
            expect(page.get_by_label("Profiling token")).to_have_count(0)
            assert TOKEN not in page.url + page.content()
            assert "prompt=64" in page.url
            page.reload()
        copy = page.get_by_role("button", name="Copy link")
        copy.click()
        expect(copy).to_have_attribute("data-link", re.compile("prompt=64"))
        assert TOKEN not in str(copy.get_attribute("data-link"))
        stranger = page.context.browser.new_context().new_page() if page.context.browser else page
        stranger.goto(f"{base}/measure")
        expect(stranger.get_by_label("Profiling token")).to_be_visible(timeout=WAIT_MS)
    assert TOKEN not in (folder / "dashboard.log").read_text()


def test_a_running_server_is_measured_end_to_end(page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("measure")
    settings = MAY | {"RIGHTSIZE_ENDPOINT_HOSTS": "127.0.0.1", "RIGHTSIZE_ENDPOINT_PRIVATE": "1"}
    with openai_server(ttft_s=0.03, itl_s=0.005) as (address, _), dashboard(folder, **settings) as base:
        page.set_viewport_size({"width": 1300, "height": 1400})
        page.goto(f"{base}/measure?prompt=64&output=16")
        enter(page, "Profiling token", "not the token, but as long as one")
        expect(page.get_by_text("That is not the profiling token")).to_be_visible(timeout=WAIT_MS)
        enter(page, "Profiling token", TOKEN)
        page.get_by_role("tab", name="A running server").click()
        enter(page, "Address", "http://169.254.169.254/")
        page.get_by_role("button", name="Measure the server").click()
        expect(page.get_by_test_id("stAlert").filter(has_text="169.254.169.254")).to_be_visible(timeout=WAIT_MS)
        enter(page, "Address", address)
        page.get_by_role("button", name="Measure the server").click()
        expect(page.get_by_role("button", name="Use this measurement in the plan")).to_be_visible(timeout=WAIT_MS)
        expect(page.get_by_label("Measurement", exact=True)).to_have_value(re.compile("toy"))
        expect(page.get_by_test_id("stException")).to_have_count(0)
        assert TOKEN not in page.url
    log = (folder / "dashboard.log").read_text(encoding="utf-8", errors="replace")
    assert TOKEN not in log


@pytest.mark.slow
@pytest.mark.skipif(not SERVING, reason="no .venv-serving: run make serving-setup")
def test_a_button_drives_guidellm_against_a_real_server(page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("guidellm")
    settings = MAY | {"RIGHTSIZE_ENDPOINT_HOSTS": "127.0.0.1", "RIGHTSIZE_ENDPOINT_PRIVATE": "1"}
    with llama_cpp(folder) as address, dashboard(folder, **settings) as base:
        open_measuring(page, base, "prompt=64&output=16")
        page.get_by_role("tab", name="A running server").click()
        enter(page, "Address", address)
        page.get_by_role("button", name="Measure with GuideLLM").click()
        expect(page.get_by_text(re.compile("GuideLLM, (1|4|16) in flight: [0-9]+ of"))).to_be_visible(timeout=WAIT_MS)
        expect(page.get_by_label("Measurement", exact=True)).to_have_value(re.compile("tiny"), timeout=5 * WAIT_MS)
        expect(page.get_by_text(re.compile("GuideLLM 0.8"))).to_be_visible(timeout=WAIT_MS)
        expect(page.get_by_test_id("stException")).to_have_count(0)


def test_a_report_is_chosen_as_a_file_and_kept(page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Uploads go without Streamlit's cookie: app/gate.py answers for where they come from."""
    folder = tmp_path_factory.mktemp("report")
    with dashboard(folder, **MAY) as base:
        page.set_viewport_size({"width": 1300, "height": 1400})
        page.goto(f"{base}/measure")
        enter(page, "Profiling token", TOKEN)  # and no cookie, as where no start line gave one
        page.get_by_role("tab", name="A report you have").click()
        page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(REFERENCE / "guidellm" / "v0.7.4.json")
        keep = page.get_by_role("button", name="Keep it")
        expect(keep).to_be_enabled(timeout=WAIT_MS)
        keep.click()
        expect(page.get_by_text(re.compile(r"[1-9][0-9]* of [0-9]+ measurements were new"))).to_be_visible(
            timeout=WAIT_MS
        )
        assert page.context.cookies() == []


@pytest.mark.slow
@pytest.mark.skipif(not is_set_up(), reason="no .venv-profile: run make profile-setup")
def test_a_small_model_is_measured_on_the_cpu_and_stands_beside_its_estimate(
    page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with dashboard(tmp_path_factory.mktemp("measure-cpu"), **MAY) as base:
        open_measuring(page, base, "model=HuggingFaceTB/SmolLM2-1.7B-Instruct&prompt=32&output=8")
        expect(page.get_by_text(re.compile("Attached: .+ cores?"))).to_be_visible()
        # The largest of the family that is quick on whatever CPU this is.
        measure = page.locator(".st-key-measure_device button")
        expect(measure).to_have_text(re.compile("^Measure (HuggingFaceTB.SmolLM|a Llama of 50M)"))
        measure.click()
        use = page.get_by_role("button", name="Use this measurement in the plan")
        expect(use).to_be_visible(timeout=5 * WAIT_MS)
        expect(page.get_by_text(re.compile("The estimate holds|times the estimate"))).to_be_visible()
        # The plan is of vLLM on a GPU: plain transformers on a CPU has nothing to say about it.
        expect(page.get_by_text("It says nothing of the plan above")).to_be_visible()
        enter(page, "Dollars an hour of this machine", "0.2")
        table = page.get_by_test_id("stDataFrame").first
        expect(table).to_contain_text("Dollars per million output tokens", timeout=WAIT_MS)
        use.click()
        expect(page.get_by_role("button", name="Stop using it in the plan")).to_be_visible(timeout=WAIT_MS)
        expect(page.get_by_test_id("stException")).to_have_count(0)
