"""A browser over TLS, through nginx as docs/nginx.conf has it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.conftest import dashboard, free_port
from tests.browser.pages import WAIT_MS, enter, go_to, open_page, verdict
from tests.replicas import NEEDS_NGINX, nginx

pytestmark = [pytest.mark.browser, pytest.mark.skipif(NEEDS_NGINX, reason="apt-get install nginx-light")]


def test_the_first_screen_answers_over_tls_and_a_file_comes(browser: Browser, tmp_path: Path) -> None:
    port = free_port()
    with (
        dashboard(tmp_path, port) as _,
        nginx(tmp_path, free_port(), (port, port)) as edge,
        browser.new_context(ignore_https_errors=True) as context,
    ):
        page = context.new_page()
        sockets: list[str] = []
        page.on("websocket", lambda socket: sockets.append(socket.url))
        open_page(page, f"https://127.0.0.1:{edge.tls_port}/?concurrency=2")
        enter(page, "People at once", "40")
        assert "Llama 3.1 8B in BF16" in verdict(page)
        assert sockets == [f"wss://127.0.0.1:{edge.tls_port}/_stcore/stream"]
        cookie = next(cookie for cookie in context.cookies() if cookie["name"] == "replica")
        assert (cookie["secure"], cookie["httpOnly"]) == (True, True)
        go_to(page, "Levers")
        button = page.get_by_role("button", name="Download the script")
        expect(button).to_be_visible(timeout=WAIT_MS)
        with page.expect_download() as download:
            button.click()
        assert download.value.path().stat().st_size > 200
