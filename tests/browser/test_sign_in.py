"""Sign-in by OIDC against a real provider on loopback: whoever is named may measure, nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import dashboard, free_port

pytestmark = pytest.mark.browser
WAIT_MS = 60_000
SECRETS = """[auth]
redirect_uri = "{base}/oauth2callback"
cookie_secret = "a cookie secret of this test, long enough"
client_id = "rightsize"
client_secret = "secret"
server_metadata_url = "{issuer}/.well-known/openid-configuration"
"""


@contextmanager
def signed(folder: Path, path: str = "") -> Iterator[str]:
    """A dashboard where two people can sign in, and one of them may measure."""
    from oidc_provider_mock import User, run_server_in_thread

    people = [
        User(sub=name, claims={"email": f"{name}@example.com", "email_verified": True}) for name in ("ann", "bob")
    ]
    port = free_port()
    base = f"http://localhost:{port}{path}"  # the redirect and the page must be of one origin
    with run_server_in_thread(user_claims=people) as provider:
        (folder / ".streamlit").mkdir()
        issuer = f"http://localhost:{provider.server_port}"
        (folder / ".streamlit" / "secrets.toml").write_text(SECRETS.format(base=base, issuer=issuer))
        settings = {"RIGHTSIZE_PROFILING": "1", "RIGHTSIZE_PROFILING_PEOPLE": "ann@example.com"}
        with dashboard(folder, port, path, HOME=str(folder), **settings):
            yield base


def sign_in(page: Page, base: str, name: str) -> None:
    page.goto(f"{base}/measure")
    page.get_by_role("button", name="Sign in").click(timeout=WAIT_MS)
    page.locator("input[name=sub]").fill(name)
    page.get_by_role("button", name="Authorize").click()
    page.wait_for_url(f"{base}/**", timeout=WAIT_MS)
    page.goto(f"{base}/measure")


@pytest.mark.parametrize("path", ["", "/tools/sizes"])
def test_whoever_is_named_may_measure_and_nobody_else(page: Page, tmp_path: Path, path: str) -> None:
    with signed(tmp_path, path) as base:
        sign_in(page, base, "ann")
        expect(page.get_by_role("tab", name="A running server")).to_be_visible(timeout=WAIT_MS)
        page.context.clear_cookies()
        page.goto(f"{base}/measure")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=WAIT_MS)
        expect(page.get_by_role("tab", name="A running server")).to_have_count(0)
        sign_in(page, base, "bob")
        expect(page.get_by_text("You are signed in, but not among those who may measure")).to_be_visible(
            timeout=WAIT_MS
        )
