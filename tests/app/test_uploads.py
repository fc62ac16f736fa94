"""Files that nobody's page asked for: refused before they are read, bounded per visit and in all."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from app.uploads import (
    LINGERING_S,
    MOST_OF_A_MESSAGE,
    MOST_OF_ALL,
    MOST_OF_MESSAGES,
    MOST_OF_ONE,
    SMALL,
    MessageGate,
    UploadGate,
    show_uploader,
)
from tests.conftest import ROOT

FILE = 4_900_000


@dataclass
class File:
    data: bytes


@dataclass
class Storage:
    """As Streamlit's, which keeps whatever reaches it."""

    file_storage: dict[str, dict[str, File]] = field(default_factory=dict)
    bodies_read: int = 0
    over: set[str] = field(default_factory=set)  # visits that ended

    def remove_session_files(self, session_id: str) -> None:
        del self.file_storage[session_id]

    async def put(self, request: Request) -> Response:
        self.bodies_read += 1
        session, name = request.path_params["session"], request.path_params["file"]
        self.file_storage.setdefault(session, {})[name] = File(await request.body())
        return Response(status_code=204)

    async def delete(self, request: Request) -> Response:
        del self.file_storage[request.path_params["session"]][request.path_params["file"]]
        return Response(status_code=204)


@pytest.fixture
def storage() -> Storage:
    return Storage()


@pytest.fixture
def client(storage: Storage) -> TestClient:
    path = "/base/_stcore/upload_file/{session}/{file}"
    routes = [Route(path, storage.put, methods=["PUT"]), Route(path, storage.delete, methods=["DELETE"])]
    gate = Middleware(UploadGate, files=lambda: storage, active=lambda session: session not in storage.over)
    return TestClient(Starlette(routes=routes, middleware=[gate]))


def put(client: TestClient, session: str, size: int = FILE, name: str = "") -> int:
    return client.put(f"/base/_stcore/upload_file/{session}/{name or uuid4()}", content=bytes(size)).status_code


def test_a_visit_whose_page_asks_for_no_file_sends_none(client: TestClient, storage: Storage) -> None:
    assert {put(client, str(uuid4())) for _ in range(20)} == {403}
    assert put(client, "..") in (403, 404)
    assert storage.bodies_read == 0


def test_a_visit_that_shows_an_uploader_sends_one_and_another_in_its_place(
    client: TestClient, storage: Storage
) -> None:
    session = str(uuid4())
    show_uploader(session)
    assert [put(client, session) for _ in range(5)] == [204, 204, 413, 413, 413]
    name = next(iter(storage.file_storage[session]))
    assert client.delete(f"/base/_stcore/upload_file/{session}/{name}").status_code == 204
    assert put(client, session) == 204
    assert storage.bodies_read == 3


def test_what_is_too_long_or_does_not_say_how_long_it_is_is_not_read(client: TestClient, storage: Storage) -> None:
    session = str(uuid4())
    show_uploader(session)
    assert put(client, session, MOST_OF_ONE + 1) == 413
    reply = client.put(f"/base/_stcore/upload_file/{session}/x", content=iter([b"x"] * 10))
    assert reply.status_code == 411
    assert storage.bodies_read == 0


def test_all_visits_together_are_bounded_and_what_one_that_ended_left_makes_room(
    client: TestClient, storage: Storage
) -> None:
    sessions = [str(uuid4()) for _ in range(60)]
    for session in sessions:
        show_uploader(session)
    statuses = [put(client, session) for session in sessions for _ in range(2)]
    assert set(statuses) == {204, 503}
    assert sum(len(file.data) for kept in storage.file_storage.values() for file in kept.values()) <= MOST_OF_ALL
    storage.over = set(sessions[:2])
    assert put(client, sessions[-1]) == 204
    assert sessions[0] not in storage.file_storage


def test_every_page_that_asks_for_a_file_may_be_sent_one() -> None:
    """Only one place draws an uploader, and it is the one that opens the gate."""
    views = (ROOT / "app" / "views").glob("*.py")
    assert [view.name for view in views if "file_uploader(" in view.read_text(encoding="utf-8")] == ["parts.py"]


# What boxes hold


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def boxes(now: list[float]) -> TestClient:
    """A page that says how much it was sent."""

    async def page(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.send_text(str(len(await socket.receive_bytes())))
        except WebSocketDisconnect:
            pass

    return TestClient(MessageGate(Starlette(routes=[WebSocketRoute("/", page)]), clock=lambda: now[0]))


def sends(client: TestClient, *sizes: int) -> list[int]:
    """What arrived of messages of these sizes, of one visit."""
    arrived = []
    with client.websocket_connect("/") as socket:
        for size in sizes:
            socket.send_bytes(bytes(size))
            try:
                arrived.append(int(socket.receive_text()))
            except WebSocketDisconnect:
                break
    return arrived


def test_a_page_is_sent_what_its_boxes_hold_as_often_as_it_runs(boxes: TestClient) -> None:
    assert sends(boxes, *[MOST_OF_A_MESSAGE] * 20, SMALL) == [*[MOST_OF_A_MESSAGE] * 20, SMALL]


def test_more_than_a_page_holds_ends_the_visit(boxes: TestClient) -> None:
    assert sends(boxes, 100, MOST_OF_A_MESSAGE + 1, 100) == [100]


def test_large_messages_of_all_visits_are_bounded_and_small_ones_pass(boxes: TestClient, now: list[float]) -> None:
    fit = MOST_OF_MESSAGES // MOST_OF_A_MESSAGE
    assert [len(sends(boxes, MOST_OF_A_MESSAGE)) for _ in range(fit + 3)] == [1] * fit + [0] * 3
    assert sends(boxes, SMALL, SMALL) == [SMALL, SMALL]
    now[0] = LINGERING_S + 1  # Streamlit has forgotten them
    assert sends(boxes, MOST_OF_A_MESSAGE) == [MOST_OF_A_MESSAGE]
