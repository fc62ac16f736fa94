"""Streamlit's files from memory: the same bytes and kinds as from the disk, and nothing beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from app.kept_files import KeptFiles

SCRIPT = "export const said = 'the same again'\n" * 100
ELSEWHERE = "from the app behind"


async def behind(_request: Request) -> Response:
    return PlainTextResponse(ELSEWHERE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "files" / "js").mkdir(parents=True)
    (tmp_path / "files" / "js" / "index.Ab1.js").write_text(SCRIPT)
    (tmp_path / "files" / "font.Cd2.woff2").write_bytes(bytes(5000))
    (tmp_path / "secret.txt").write_text("not for anybody")
    return tmp_path / "files"


def client(folder: Path, base: str = "") -> TestClient:
    return TestClient(KeptFiles(Starlette(routes=[Route("/{rest:path}", behind)]), folder=folder, base=base))


@pytest.mark.parametrize(
    ("base", "path"), [("", ""), ("/", ""), ("tools/sizes", "/tools/sizes"), ("/tools/", "/tools")]
)
def test_a_file_is_served_whole_under_the_path_of_the_page_to_be_kept_for_good(
    folder: Path, base: str, path: str
) -> None:
    for _ in range(2):
        reply = client(folder, base).get(f"{path}/static/js/index.Ab1.js", headers={"accept-encoding": "identity"})
        assert reply.text == SCRIPT
        assert reply.headers["content-type"] == "text/javascript; charset=utf-8"
        assert reply.headers["cache-control"] == "public, immutable, max-age=31536000"


def test_who_takes_it_gets_a_text_packed_once_that_is_done_and_a_font_as_it_is(folder: Path) -> None:
    served = client(folder)
    found = served.app
    assert isinstance(found, KeptFiles)
    for path in ("/static/js/index.Ab1.js", "/static/font.Cd2.woff2"):
        replies = []
        for _ in range(3):
            replies.append(served.get(path, headers={"accept-encoding": "gzip"}))
            found._packing.submit(str).result()  # after whatever is being packed
        assert {reply.content for reply in replies} == {(folder / path.removeprefix("/static/")).read_bytes()}
        packed = [reply.headers.get("content-encoding") for reply in replies]
        assert packed == ([None, None, "gzip"] if path.endswith(".js") else [None] * 3)
    plain = served.get("/static/js/index.Ab1.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "accept-encoding"


@pytest.mark.parametrize(
    "path",
    ["/static/../secret.txt", "/static/%2e%2e/secret.txt", "/static/js", "/static/js/none.js", "/js/index.Ab1.js"],
)
def test_what_is_no_file_of_the_folder_goes_on(folder: Path, path: str) -> None:
    assert client(folder).get(path).text == ELSEWHERE


@pytest.mark.parametrize("name", ["range", "if-none-match", "if-modified-since"])
def test_what_is_asked_conditionally_goes_on(folder: Path, name: str) -> None:
    assert client(folder).get("/static/js/index.Ab1.js", headers={name: "x"}).text == ELSEWHERE
    assert client(folder).post("/static/js/index.Ab1.js").status_code == 405
