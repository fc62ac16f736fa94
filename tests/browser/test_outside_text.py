"""Text from outside as Chromium shows it: every payload as the words it is, nothing that acts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page

from app.text import plain
from tests.browser.conftest import free_port, wait_until_healthy
from tests.browser.pages import open_page
from tests.conftest import ROOT
from tests.hostile import PAYLOADS

pytestmark = pytest.mark.browser
MARKUP = "a, img, h1, h2, h3, h4, h5, h6, em, del, blockquote, script, .katex, [role=img], [data-testid=stIconMaterial]"


def test_it_is_shown_as_the_words_it_is(page: Page, tmp_path: Path) -> None:
    port = free_port()
    command = [sys.executable, "-m", "streamlit", "run", "tests/browser/outside_text_page.py"]
    command += ["--server.address=127.0.0.1", f"--server.port={port}"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            wait_until_healthy(f"http://127.0.0.1:{port}", process)
            open_page(page, f"http://127.0.0.1:{port}")
            check(page)
        finally:
            process.kill()
            process.wait()


def check(page: Page) -> None:
    raw = page.locator("[class*='st-key-raw_']")
    assert raw.locator("a").count() >= 4  # what acts where nothing is done about it
    assert raw.locator("h1, h2").count() >= 3
    for number, text in enumerate(PAYLOADS):
        for place in ("words", "listed", "bold", "code", "button"):
            shown = page.locator(f".st-key-{place}_{number}")
            assert shown.locator(MARKUP).count() == 0, (place, text)
            expected = text
            if place == "code":  # no backtick in code; and Streamlit alters the names of icons even there
                expected = text.replace("`", " ").replace(":material/", ":material_")
            assert _words(shown.inner_text()) == _words(expected), (place, text)
        assert page.locator(f".st-key-words_{number}").locator("strong, code, li, ol").count() == 0, text
        assert page.locator(f".st-key-listed_{number}").locator("li").count() == 1, text
    figure = page.locator(".st-key-figure svg")
    assert figure.locator("a").count() == 0
    assert "<a href='https://zqx.example'>zqx</a>" in "".join(figure.all_text_contents())


def _words(text: str) -> list[str]:
    return plain(text.replace("\u2060", "")).split()
