"""Two processes behind nginx, as docs/nginx.conf has them: who stays where, and what is left when one is killed."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.bench_two_processes import inputs_lost, seen_by_the_other, sharing, through_a_kill
from tests.postgresql import missing
from tests.replicas import NEEDS_NGINX, Browser, Replicas, arrive, asked, two_processes

PEOPLE = 14  # of whom some are on either
SERVED_AGAIN_S = 10.0

pytestmark = [pytest.mark.slow, pytest.mark.skipif(NEEDS_NGINX, reason="apt-get install nginx-light")]


@pytest.fixture(scope="module")
def served() -> Iterator[Replicas]:
    with two_processes() as replicas:
        yield replicas


def asked_direct(replicas: Replicas, path: str, body: bytes) -> list[int]:
    """What each process by itself answers."""
    return [asked(base + path, body=body)[0] for base in replicas.bases]


FORM = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="log.csv"\r\n\r\n1,2\r\n--edge--\r\n'


async def upload_path(browser: Browser) -> str:
    """Where the visitor's page sends a log, once it shows the box for one."""
    page = BackMsg()
    page.rerun_script.page_name = "load"
    await browser.ask(page)
    await browser.ask(BackMsg())  # and back to the first screen
    return f"/_stcore/upload_file/{browser.session}/{uuid.uuid4()}"


async def some_on_each(replicas: Replicas) -> list[Browser]:
    """Visitors of whom two are on the one process and two on the other."""
    found: list[list[Browser]] = [[], []]
    while min(map(len, found)) < 2:
        browser = await arrive(replicas.base)
        statuses = await asyncio.to_thread(asked_direct, replicas, await upload_path(browser), FORM)
        assert sorted(statuses) == [204, 403]  # one of them has the visit
        found[statuses.index(204)].append(browser)
    return [*found[0], *found[1]]


def test_each_visitor_uploads_at_the_process_the_page_is_connected_to(served: Replicas) -> None:
    async def use() -> None:
        for browser in await some_on_each(served):
            path = await upload_path(browser)
            assert (await asyncio.to_thread(asked, served.base + path, browser.cookie, FORM))[0] == 204
            await browser.socket.close()

    asyncio.run(use())


def test_a_process_that_is_killed_costs_nobody_an_input(served: Replicas) -> None:
    """Whoever was on it is served by the other within ten seconds, with what the boxes held and what was just asked."""
    found = asyncio.run(through_a_kill(served, PEOPLE, changes=1, think_s=0.5))
    assert found.cut_off > 0
    assert found.inputs_lost == 0
    assert found.again_s < SERVED_AGAIN_S

    async def reload() -> None:
        """Another who opens the page anew, with nothing but the address and the cookie of the process that is gone."""
        question = {"concurrency": "77", "ttft": "2.5", "region": "eu-west-1"}
        browser = await arrive(served.base, "concurrency=77&ttft=2.5&region=eu-west-1")
        assert inputs_lost(browser, question) == 0
        await browser.socket.close()

    asyncio.run(reload())


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_what_one_process_keeps_in_a_shared_database_is_with_the_other() -> None:
    """A measurement at once; a price when the other next looks, every fifteen seconds."""
    with sharing() as replicas:
        seen = seen_by_the_other(replicas)
    assert seen.measurement_s < 5
    assert seen.price_s < 15 + 15
