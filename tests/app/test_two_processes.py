"""Two processes behind nginx, as docs/nginx.conf has them: who stays where, and what is left when one is killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from tests.bench_people import Person
from tests.browser.conftest import dashboard, free_port
from tests.conftest import ROOT

FOLD = "All plans, why the cheaper ones fail, pictures, report"
SERVED_AGAIN_S = 10.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("nginx") is None, reason="apt-get install nginx-light"),
]


@dataclass(slots=True)
class Visitor(Person):
    """One who also keeps what a browser would: its cookie and the texts."""

    cookie: str = ""
    session: str = ""
    said: list[str] = field(default_factory=list)
    fold: str = ""

    def _is_end(self, message: ForwardMsg) -> bool:
        if message.WhichOneof("type") == "new_session":
            self.session = message.new_session.initialize.session_id
            self.said = []
        expandable = message.delta.add_block.expandable
        if expandable.label == FOLD:
            self.fold = expandable.id
        element = message.delta.new_element
        if element.WhichOneof("type") == "markdown":
            self.said.append(element.markdown.body)
        return Person._is_end(self, message)

    @property
    def load(self) -> str:
        """The sentence that names the load of the plan that is shown."""
        return next(said for said in self.said if "Load: " in said)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[psutil.Process]]]:
    """(the address of nginx, the two processes)"""
    with contextlib.ExitStack() as stack:
        ports, own = [free_port(), free_port()], free_port()
        for number, port in enumerate(ports):
            stack.enter_context(dashboard(tmp_path_factory.mktemp(f"process_{number}"), port))
        processes = [
            next(p for p in psutil.Process().children() if f"--server.port={port}" in p.cmdline()) for port in ports
        ]
        stack.enter_context(nginx(tmp_path_factory.mktemp("nginx"), own, ports))
        yield f"http://127.0.0.1:{own}", processes


@contextlib.contextmanager
def nginx(folder: Path, port: int, behind: list[int]) -> Iterator[None]:
    site = (ROOT / "docs" / "nginx.conf").read_text(encoding="utf-8")
    for written, used in zip((8500, 8501, 8502), (port, *behind), strict=True):
        assert f":{written}" in site
        site = site.replace(f":{written}", f":{used}")
    paths = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"pid {folder}/pid; error_log {folder}/error.log; daemon off; worker_processes 1;"
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
        yield
    finally:
        process.terminate()
        process.wait(10)


def asked(url: str, cookie: str = "", body: bytes | None = None) -> tuple[int, str]:
    """(status, the cookie that was set)"""
    request = urllib.request.Request(url, data=body, method="PUT" if body is not None else "GET")
    if cookie:
        request.add_header("Cookie", cookie)
    if body is not None:
        request.add_header("Content-Type", "multipart/form-data; boundary=edge")
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, str(reply.headers["Set-Cookie"]).partition(";")[0]
    except urllib.error.HTTPError as error:
        return error.code, ""


async def arrive(base: str, cookie: str = "", query: str = "") -> Visitor:
    """Open the page as a browser does: the cookie that came with the first answer goes with all that follows."""
    cookie = cookie or (await asyncio.to_thread(asked, f"{base}/livez"))[1]
    socket = await connect(
        f"{base.replace('http', 'ws', 1)}/_stcore/stream", max_size=None, compression=None, ping_interval=None,
        additional_headers={"Cookie": cookie},
    )  # fmt: skip
    visitor = Visitor(socket, cookie=cookie)
    opened = BackMsg()
    opened.rerun_script.query_string = query
    await visitor.ask(opened)
    return visitor


async def holding(visitor: Visitor, people: int) -> Visitor:
    """The visitor with so many people in the box, and the fold open that offers the report."""
    visitor.boxes[visitor.fold] = WidgetState(id=visitor.fold, bool_value=True)
    await visitor.run(people)
    return visitor


def asked_direct(processes: list[psutil.Process], path: str, body: bytes | None = None) -> list[int]:
    """What each process by itself answers."""
    ports = [next(a for a in p.cmdline() if "server.port" in a).partition("=")[2] for p in processes]
    return [asked(f"http://127.0.0.1:{port}{path}", body=body)[0] for port in ports]


FORM = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="log.csv"\r\n\r\n1,2\r\n--edge--\r\n'


async def upload_path(visitor: Visitor) -> str:
    """Where the visitor's page sends a log, once it shows the box for one."""
    page = BackMsg()
    page.rerun_script.page_name = "load"
    await visitor.ask(page)
    await visitor.ask(BackMsg())  # and back to the first screen
    return f"/_stcore/upload_file/{visitor.session}/{uuid.uuid4()}"


async def some_on_each(base: str, processes: list[psutil.Process], people: int) -> list[list[Visitor]]:
    """Visitors on the one and on the other process, each with more people in the box than the one before."""
    found: list[list[Visitor]] = [[], []]
    while min(map(len, found)) < 2:
        visitor = await holding(await arrive(base), people)
        path = await upload_path(visitor)
        statuses = await asyncio.to_thread(asked_direct, processes, path, FORM)
        assert sorted(statuses) == [204, 403]  # one of them has the visit
        found[statuses.index(204)].append(visitor)
        people += 1
    return found


def test_each_visitor_uploads_at_the_process_the_page_is_connected_to(
    served: tuple[str, list[psutil.Process]],
) -> None:
    base, processes = served

    async def use() -> None:
        for visitor in (visitor for those in await some_on_each(base, processes, 11) for visitor in those):
            path = await upload_path(visitor)
            assert (await asyncio.to_thread(asked, base + path, visitor.cookie, FORM))[0] == 204
            await visitor.socket.close()

    asyncio.run(use())


def test_a_process_that_is_killed_costs_nobody_an_input(served: tuple[str, list[psutil.Process]]) -> None:
    """Whoever was on it is served by the other within ten seconds, with what the address bar holds."""
    base, processes = served

    async def use() -> None:
        lost, kept = await some_on_each(base, processes, 111)
        os.kill(processes[0].pid, signal.SIGKILL)
        killed = time.monotonic()
        for number, visitor in enumerate(kept):
            await visitor.run(31 + number)
            assert f"Load: {31 + number} requests" in visitor.load
        for visitor in lost:
            with pytest.raises(WebSocketException):
                await visitor.run(1)
            number = int(visitor.load.partition("Load: ")[2].split()[0])
            again = await arrive(base, visitor.cookie, f"concurrency={number}")
            assert again.load == visitor.load
            assert time.monotonic() - killed < SERVED_AGAIN_S
            await again.run(number + 50)
            assert f"Load: {number + 50} requests" in again.load
            await again.socket.close()
        for visitor in kept:
            await visitor.socket.close()

    asyncio.run(use())
