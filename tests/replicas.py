"""Two processes behind nginx, as docs/nginx.conf has them, and visitors who outlive one of them as a browser does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qsl, urlencode

import psutil
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException
from websockets.typing import Subprotocol

from tests.bench_people import LONGEST_S, Person
from tests.browser.conftest import dashboard, free_port
from tests.conftest import ROOT

NAME = "sizes.example.com"
NEEDS_NGINX = shutil.which("nginx") is None
# How Streamlit 1.67's page comes back: seconds of its first wait, which doubles; the longest; between two pings.
FIRST_WAIT_S, LONGEST_WAIT_S, PING_S = 0.5, 4.0, 0.1
PINGED = ("/_stcore/health", "/_stcore/host-config")


@dataclass(frozen=True, slots=True)
class Replicas:
    """The address of nginx, and the processes behind it with theirs."""

    base: str
    bases: tuple[str, ...]
    processes: tuple[psutil.Process, ...]


@dataclass(frozen=True, slots=True)
class Edge:
    """nginx as docs/nginx.conf has it, which also ends TLS; the certificate is for `NAME` and 127.0.0.1."""

    port: int
    tls_port: int
    certificate: Path


@contextlib.contextmanager
def two_processes(first: Mapping[str, str] = MappingProxyType({}), **both: str) -> Iterator[Replicas]:
    """`first` are settings of the first process alone."""
    ports, own = (free_port(), free_port()), free_port()
    with contextlib.ExitStack() as stack:
        folders = [Path(stack.enter_context(tempfile.TemporaryDirectory())) for _ in range(3)]
        bases = tuple(
            stack.enter_context(dashboard(folder, port, **both, **alone))
            for folder, port, alone in zip(folders, ports, (first, {}), strict=False)
        )
        processes = tuple(
            next(p for p in psutil.Process().children() if f"--server.port={port}" in p.cmdline()) for port in ports
        )
        stack.enter_context(nginx(folders[-1], own, ports))
        yield Replicas(f"http://127.0.0.1:{own}", bases, processes)


@contextlib.contextmanager
def nginx(folder: Path, port: int, behind: Sequence[int]) -> Iterator[Edge]:
    edge = Edge(port, free_port(), folder / "edge.crt")
    site = (ROOT / "docs" / "nginx.conf").read_text(encoding="utf-8")
    for written, used in (
        ("127.0.0.1:8500", f"127.0.0.1:{port}"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{edge.tls_port} ssl;"),
        ("listen [::]:443 ssl;", ""),
        ("/etc/nginx/rightsize", f"{folder}/edge"),
        *zip(("127.0.0.1:8501", "127.0.0.1:8502"), (f"127.0.0.1:{number}" for number in behind), strict=True),
    ):
        assert written in site
        site = site.replace(written, used)
    certify(edge.certificate, folder / "edge.key")
    paths = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # Its workers would be nobody, who may not write into a folder of root's: long answers would be cut.
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user} pid {folder}/pid; error_log {folder}/error.log; daemon off; worker_processes 1;"
        f"events {{}} http {{ access_log off; {paths} {site} }}",
        encoding="utf-8",
    )
    process = subprocess.Popen(["nginx", "-e", f"{folder}/error.log", "-c", f"{folder}/nginx.conf"])
    try:
        until = time.monotonic() + 10
        while time.monotonic() < until:
            with contextlib.suppress(OSError):
                asked(f"http://127.0.0.1:{port}/livez")
                break
            time.sleep(0.05)
        yield edge
    finally:
        process.terminate()
        process.wait(10)


def certify(certificate: Path, key: Path) -> None:
    """Writes a certificate that nobody but itself has signed, good for an hour."""
    own, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    meant = [x509.DNSName(NAME), x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(
            name, name, own.public_key(), x509.random_serial_number(), now, now + timedelta(hours=1)
        )
        .add_extension(x509.SubjectAlternativeName(meant), critical=False)
        .sign(own, hashes.SHA256())
    )
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    key.write_bytes(own.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def asked(url: str, cookie: str = "", body: bytes | None = None) -> tuple[int, str]:
    """(status, the cookie that was set)"""
    request = urllib.request.Request(url, data=body, method="PUT" if body is not None else "GET")
    if cookie:
        request.add_header("Cookie", cookie)
    if body is not None:
        request.add_header("Content-Type", "multipart/form-data; boundary=edge")
    try:
        with urllib.request.urlopen(request, timeout=15) as reply:
            return reply.status, str(reply.headers["Set-Cookie"]).partition(";")[0]
    except urllib.error.HTTPError as error:
        return error.code, ""


@dataclass(slots=True)
class Browser(Person):
    """One who also keeps what a browser does (cookie, address bar, session) and comes back as Streamlit's page does.

    When its socket goes the page waits, pings, connects anew and names the session it had. Only where a run had been
    asked for and not answered does it ask again, with what its boxes hold; else with the next change.
    """

    base: str = ""
    cookie: str = ""
    address: str = ""  # what stands behind the question mark
    session: str = ""
    link: dict[str, str] = field(default_factory=dict)  # what a copied link of the page as drawn says
    came_back: int = 0

    def _is_end(self, message: ForwardMsg) -> bool:
        kind = message.WhichOneof("type")
        if kind == "new_session":
            self.session = message.new_session.initialize.session_id
            self.link = {}
        elif kind == "page_info_changed":
            self.address = message.page_info_changed.query_string
        elif copied := re.search(r'data-query="([^"]+)"', message.delta.new_element.html.body):
            self.link = dict(parse_qsl(unescape(copied[1])))
        return Person._is_end(self, message)

    async def change(self, people: int) -> float:
        """So many in the box "People at once"; returns the seconds until that is answered, whatever came between."""
        self.boxes[self.moved].double_value = people
        self.address = urlencode(dict(parse_qsl(self.address)) | {"concurrency": str(people)})
        started = time.perf_counter()
        while True:
            wanted = BackMsg()
            wanted.rerun_script.query_string = self.address
            try:
                await self.ask(wanted)
                return time.perf_counter() - started
            except (OSError, WebSocketException):
                await self.come_back()

    async def think(self, seconds: float) -> None:
        """Nothing is asked for; a socket that goes meanwhile is made anew at once."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while True:
                    await self.socket.wait_closed()
                    await self.come_back()

    async def come_back(self) -> None:
        longest = FIRST_WAIT_S
        while True:
            await asyncio.sleep(random.uniform(longest / 2, longest))
            longest = min(LONGEST_WAIT_S, 2 * longest)
            while not all([await self._answers(path) for path in PINGED]):
                await asyncio.sleep(PING_S)
            with contextlib.suppress(OSError, WebSocketException):
                self.socket = await open_socket(self.base, self.cookie, self.session)
                self.came_back += 1
                return

    async def _answers(self, path: str) -> bool:
        with contextlib.suppress(OSError):
            return (await asyncio.to_thread(asked, self.base + path, self.cookie))[0] == 200
        return False


async def open_socket(base: str, cookie: str, session: str = "") -> ClientConnection:
    """As the page does it, which names the session it had where a browser names protocols."""
    spoken = [Subprotocol(word) for word in ("streamlit", "PLACEHOLDER_AUTH_TOKEN", session) if word]
    return await connect(
        f"{base.replace('http', 'ws', 1)}/_stcore/stream",
        max_size=None,
        compression=None,
        ping_interval=None,
        open_timeout=LONGEST_S,
        subprotocols=spoken,
        additional_headers={"Cookie": cookie},
    )


async def arrive(base: str, address: str = "", cookie: str = "") -> Browser:
    """Opens a link: the cookie that came with the first answer goes with all that follows."""
    cookie = cookie or (await asyncio.to_thread(asked, f"{base}/livez"))[1]
    browser = Browser(await open_socket(base, cookie), base=base, cookie=cookie, address=address)
    opened = BackMsg()
    opened.rerun_script.query_string = address
    await browser.ask(opened)
    return browser
