"""The card in another site's frame, and who may frame it."""

from __future__ import annotations

import contextlib
import http.server
import re
import threading
import time
from collections.abc import Iterator
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import dashboard, free_port
from tests.browser.pages import WAIT_MS, go_to, open_page, unfold

pytestmark = pytest.mark.browser


@contextlib.contextmanager
def portal(src: str, port: int) -> Iterator[str]:
    """A page on another site that frames `src`. `localhost` and `127.0.0.1` are different sites."""
    body = f'<!doctype html><title>portal</title><iframe src="{src}" width="480" height="480"></iframe>'.encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://localhost:{port}/"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def framed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    port = free_port()
    folder = tmp_path_factory.mktemp("framed")
    with dashboard(folder, RIGHTSIZE_FRAME_ANCESTORS=f"'self' http://localhost:{port}") as base:
        yield base, port


def test_an_allowed_portal_shows_the_card_without_cookies(framed: tuple[str, int], browser: Browser) -> None:
    base, port = framed
    context = browser.new_context()
    page = context.new_page()
    with portal(f"{base}/?model=meta-llama%2FLlama-3.1-8B-Instruct&embed=true", port) as address:
        page.goto(address)
        frame = page.frame_locator("iframe")
        expect(frame.get_by_text("Llama 3.1 8B in BF16 fits one L4 (g6.xlarge): $588 a month.")).to_be_visible(
            timeout=30_000
        )
        expect(frame.get_by_text("Open full view")).to_be_visible()
        assert context.cookies() == []
    context.close()


def test_a_stranger_may_not_frame_the_page(framed: tuple[str, int], page: Page) -> None:
    base, _ = framed
    refused: list[str] = []
    page.on("console", lambda message: refused.append(message.text))
    with portal(f"{base}/?embed=true", free_port()) as address:
        page.goto(address)
        page.wait_for_timeout(2_000)
        assert page.frame_locator("iframe").get_by_text("a month").count() == 0
    assert any("frame-ancestors" in text or "frame" in text.lower() for text in refused)


def test_by_default_only_the_page_itself_may_frame_it(base: str, page: Page) -> None:
    with portal(f"{base}/?embed=true", free_port()) as address:
        page.goto(address)
        page.wait_for_timeout(2_000)
        assert page.frame_locator("iframe").get_by_text("a month").count() == 0


def test_the_card_fits_480_pixels(base: str, page: Page) -> None:
    page.set_viewport_size({"width": 480, "height": 480})
    open_page(page, f"{base}/?embed=true")
    box = page.locator(".memory-bar").bounding_box()
    assert box is not None
    assert box["y"] + box["height"] <= 480


def test_the_page_asks_no_other_origin(base: str, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_page(page, base)
    go_to(page, "Prices")
    page.wait_for_timeout(1_500)
    strangers = [url for url in asked if not url.startswith((base, "data:", "blob:"))]
    assert strangers == []


def test_the_answer_is_there_before_the_dashboard_and_makes_way_for_it(base: str, page: Page) -> None:
    page.route("**/static/js/*.js", lambda route: route.abort())
    link = f"{base}/?model=meta-llama/Llama-3.1-8B-Instruct&instance=g6.xlarge&concurrency=2"
    page.goto(link, wait_until="commit")
    first = page.locator("#first-answer")
    expect(first.get_by_role("heading")).to_have_text(re.compile("fits one L4.* a month"))
    said = first.get_by_role("heading").inner_text()
    page.unroute("**/static/js/*.js")
    open_page(page, link)
    expect(first).to_have_count(0)
    assert page.locator(".st-key-verdict h2").inner_text() == said


def test_scripts_come_packed_once_they_are_asked_for_again(base: str) -> None:
    with urlopen(base, timeout=10) as reply:
        script = re.search(r'src="\.(/static/js/index[^"]+)"', reply.read().decode())
    assert script is not None
    asked = Request(f"{base}{script[1]}", headers={"accept-encoding": "gzip"})
    for _ in range(50):
        with urlopen(asked, timeout=10) as reply:
            assert reply.headers["content-type"] == "text/javascript; charset=utf-8"
            if reply.headers["content-encoding"] == "gzip":
                return
        time.sleep(0.1)
    pytest.fail("never packed")


def test_the_page_sets_no_cookie(base: str, browser: Browser) -> None:
    context = browser.new_context()
    open_page(context.new_page(), base)
    assert context.cookies() == []
    context.close()


def test_the_html_of_the_card_is_copied_and_frames_it(page: Page, base: str) -> None:
    open_page(page, f"{base}/?model=meta-llama/Llama-3.1-8B-Instruct&instance=g6.xlarge")
    unfold(page, "plans_fold")
    button = page.get_by_role("button", name="Copy card's HTML")
    button.click()
    page.get_by_text("Copied").or_(page.get_by_text("Press Ctrl+C to copy")).wait_for()
    frame = button.get_attribute("data-link") or ""
    assert frame.startswith('<iframe src="http')
    page.set_content(frame)
    card = page.frame_locator("iframe")
    expect(card.locator(".st-key-verdict")).to_contain_text("Llama 3.1 8B in BF16 fits one L4", timeout=WAIT_MS)
