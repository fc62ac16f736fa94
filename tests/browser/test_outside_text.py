"""Text from outside as Chromium shows it: every payload as the words it is, nothing that acts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from playwright.sync_api import Page

from app.storage import open_engine
from app.text import plain
from estimators.architecture.catalogue import load_config
from estimators.measuring.jobs.store import MeasurementStore
from pricing.offers import Listing, Offer, PriceSource, PurchaseOption
from pricing.reading import PriceReading
from pricing.store import PriceStore
from tests.browser.conftest import dashboard, free_port, wait_until_healthy
from tests.browser.pages import open_page, ran
from tests.conftest import ROOT
from tests.hostile import ALL, PAYLOADS
from tests.profiling_samples import measurement
from tests.servers.hub import HubServer

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


ACTING = """() => [
    ...[...document.querySelectorAll('a')].filter(a => (a.hostname || '').includes('zqx')),
    ...[...document.querySelectorAll('img, script, iframe')].filter(found => (found.src || '').includes('zqx')),
    ...[...document.querySelectorAll('h1, h2, h3, h4, h5, h6, li')].filter(found => found.innerText.trim() === 'zqx1'),
].map(found => found.outerHTML.slice(0, 300))"""


def hostile_queries() -> Iterator[str]:
    """Eighty pages: links, cards, questions, keys, a Hub's config, a report's fields, AWS's words."""
    for text in PAYLOADS:
        asked = quote(text, safe="")
        yield f"?model={asked}&owned={asked}&gpu={asked}"
        yield f"recommend?models={asked}&use={asked}&quality={asked}&budget={asked}"
        yield f"?embed=true&model={asked}&weights={asked}"
        yield f"?{asked}={asked}&model=8B&spec={asked}"
    for page in ("", "memory", "recommend"):
        yield f"{page}?model=org/hostile"
    yield "?embed=true&model=org/hostile"
    yield "measure"
    yield "prices?instance=g6.xlarge"
    yield "cost?instance=g6.xlarge&model=8B"
    yield "levers?model=org/hostile"


@pytest.mark.slow
def test_eighty_hostile_pages_hold_nothing_that_acts(page: Page, tmp_path: Path) -> None:
    queries = list(hostile_queries())
    assert len(queries) == 80
    config = dict(load_config("Qwen/Qwen3-8B")) | {"torch_dtype": ALL, "hidden_act": ALL}
    kept = open_engine(f"sqlite:///{tmp_path / 'rightsize.db'}")
    measurements, prices = MeasurementStore(kept), PriceStore(kept)
    measurements.create()
    prices.create()
    measurements.add([replace(measurement(), model=ALL[:200], provenance=ALL, notes=(ALL,), accelerator=ALL[:80])])
    offer = Offer(
        instance_type="g6.xlarge", region="us-east-1", option=PurchaseOption.ON_DEMAND, usd_per_hour=Decimal("0.8048"),
        source=PriceSource.LIVE, as_of=datetime.now(UTC).date(), origin=ALL, note=ALL,
    )  # fmt: skip
    prices.record(
        PriceReading(
            region="us-east-1", listing=Listing.PRICE_LIST, read_at=datetime.now(UTC), origin=ALL, offers=(offer,),
            complete=False, remarks=(ALL,),
        )
    )  # fmt: skip
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    with HubServer() as hub:
        hub.add_model("org/hostile", config=config, safetensors={"model.safetensors": {"w": ("BF16", [4, 4])}})
        settings = {"RIGHTSIZE_DATA": str(tmp_path), "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}
        with dashboard(tmp_path, **settings) as base:
            said = 0
            for query in queries:
                page.goto(f"{base}/{query}")
                ran(page)
                assert page.evaluate(ACTING) == [], query
                assert page.get_by_test_id("stException").count() == 0, query
                said += "zqx" in page.locator("body").inner_text()
            assert said > 60  # it is shown, and only shown
            assert [url for url in asked if "zqx" in (urlsplit(url).hostname or "")] == []
