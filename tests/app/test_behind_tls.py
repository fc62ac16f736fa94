"""The dashboard behind a proxy that ends TLS, as docs/nginx.conf has it: page, socket, files, cookies, origins."""

from __future__ import annotations

import http.client
import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from websockets.exceptions import InvalidStatus

from estimators.measuring.jobs.authority import SWITCH, TICKET, TOKEN
from tests.browser.conftest import can_send_from, dashboard, free_port
from tests.replicas import NAME, NEEDS_NGINX, Edge, nginx
from tests.visitor import Visitor

pytestmark = [pytest.mark.slow, pytest.mark.skipif(NEEDS_NGINX, reason="apt-get install nginx-light")]
SECRET = "a-token-of-enough-characters"
PORTAL = "https://portal.example.com"
FORM = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="log.csv"\r\n\r\n1,2\r\n--edge--\r\n'


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def cookie(self, name: str) -> tuple[str, set[str]]:
        """Its value, and its attributes."""
        said = next(text for text in self.headers.get_all("set-cookie", []) if text.startswith(f"{name}="))
        value, *attributes = said.split("; ")
        return value, set(attributes)


@dataclass(frozen=True, slots=True)
class Site:
    """The dashboard by the name that is on its certificate, which is checked."""

    edge: Edge
    tls: ssl.SSLContext
    behind: int  # the port of the dashboard itself

    @property
    def base(self) -> str:
        return f"https://{NAME}:{self.edge.tls_port}"

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, *, tls: bool = True, **more: str) -> Reply:
        port = self.edge.tls_port if tls else self.edge.port
        link = http.client.HTTPSConnection("127.0.0.1", port, context=self.tls, timeout=30)
        if not tls:
            link = http.client.HTTPConnection("127.0.0.1", port, timeout=30)  # type: ignore[assignment]
        link.request(
            method, path, body, {"Host": f"{NAME}:{port}", **{k.replace("_", "-"): v for k, v in more.items()}}
        )
        reply = link.getresponse()
        return Reply(reply.status, reply.headers, reply.read())

    @contextmanager
    def visit(self, origin: str = "") -> Iterator[tuple[Visitor, str]]:
        """A visit as a browser makes it, and the cookie that keeps it at its process."""
        cookie = self.ask("/").cookie("replica")[0]
        with Visitor(self.base, origin=origin or None, cookie=cookie, tls=self.tls) as visitor:
            yield visitor, cookie


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port, folder = free_port(), tmp_path_factory.mktemp("tls")
    settings = {"RIGHTSIZE_HOSTS": NAME, "RIGHTSIZE_FRAME_ANCESTORS": PORTAL, SWITCH: "1", TOKEN: SECRET}
    with dashboard(folder, port, **settings), nginx(folder, free_port(), (port, port)) as edge:
        yield Site(edge, ssl.create_default_context(cafile=edge.certificate), port)


def test_the_page_and_what_it_may_load(site: Site) -> None:
    reply = site.ask("/")
    assert (reply.status, b"<title>" in reply.body) == (200, True)
    rules = reply.headers["content-security-policy"].split("; ")
    assert f"frame-ancestors {PORTAL}" in rules
    assert any(rule.startswith("connect-src 'self'") and f"wss://{NAME}" in rule for rule in rules)


def test_a_visit_over_tls_is_drawn_its_answer(site: Site) -> None:
    with site.visit() as (visitor, _):
        assert visitor.open("", "concurrency=2").says("Llama 3.1 8B in BF16")


@pytest.mark.parametrize("origin", ["https://evil.example", f"https://{NAME}.evil.example", "null", PORTAL])
def test_a_page_of_another_origin_gets_no_socket(site: Site, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused, site.visit(origin):
        pass
    assert refused.value.response.status_code == 403
    assert site.ask("/api/v1/estimate?model=8B", Origin=origin).status == 403


def test_an_upload_and_a_download(site: Site) -> None:
    with site.visit() as (visitor, cookie):
        visitor.open("load")
        path = f"/_stcore/upload_file/{visitor.session}/{uuid.uuid4()}"
        form = {"Content_Type": "multipart/form-data; boundary=edge", "Cookie": cookie}
        assert site.ask(path, "PUT", FORM, **form, Origin=site.base).status == 204
        assert site.ask(path, "PUT", FORM, **form, Origin="https://evil.example").status == 403
        offered = next(text for text in visitor.open("levers").texts if text.startswith("/media/"))
        file = site.ask(offered, Cookie=cookie)
        assert (file.status, file.headers["content-disposition"].startswith("attachment")) == (200, True)
        assert len(file.body) > 200


@pytest.mark.parametrize("tls", [True, False])
def test_cookies_of_tls_are_sent_over_tls_alone(site: Site, tls: bool) -> None:
    reply = site.ask(f"/measure?token={SECRET}", tls=tls)
    assert (reply.status, reply.headers["location"]) == (303, "./measure")
    for name in (TICKET, "replica"):
        attributes = reply.cookie(name)[1]
        assert "HttpOnly" in attributes
        assert ("Secure" in attributes) is tls


def test_what_a_visitor_says_of_the_scheme_is_not_passed_on(site: Site) -> None:
    """nginx says what it saw itself, whatever was written before it."""
    reply = site.ask(f"/measure?token={SECRET}", tls=False, X_Forwarded_Proto="https")
    assert "Secure" not in reply.cookie(TICKET)[1]


@pytest.mark.skipif(not can_send_from("127.0.0.2"), reason="one loopback address on this system")
@pytest.mark.parametrize(("peer", "is_believed"), [("127.0.0.1", True), ("127.0.0.2", False)])
def test_what_another_peer_says_of_the_scheme_is_not_believed(site: Site, peer: str, is_believed: bool) -> None:
    link = http.client.HTTPConnection("127.0.0.1", site.behind, timeout=30, source_address=(peer, 0))
    link.request("GET", f"/measure?token={SECRET}", headers={"Host": NAME, "X-Forwarded-Proto": "https"})
    with link.getresponse() as reply:
        assert ("Secure" in Reply(reply.status, reply.headers, b"").cookie(TICKET)[1]) is is_believed
