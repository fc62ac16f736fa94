"""The link of the start line: whoever holds its token may measure, and nobody else; the token leaves the address."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.__main__ import main
from app.start_link import StartLink
from estimators.measuring.jobs.authority import SWITCH, TICKET, TOKEN, NotAuthorised, authorise, ticket
from estimators.measuring.server.guard import EndpointPolicy, EndpointRefused, check_endpoint
from tests.conftest import ROOT

SECRET = "a-token-of-enough-characters"
HELD = {SWITCH: "1", TOKEN: SECRET}


async def page(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(request.url))


def client(address: str | None = "localhost") -> TestClient:
    guard = Middleware(StartLink, address=lambda: address)
    routes = [Route("/measure", page), Route("/", page), Route("/api/v1/estimate", page)]
    return TestClient(Starlette(routes=routes, middleware=[guard]), follow_redirects=False)


@pytest.fixture(autouse=True)
def held(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in HELD.items():
        monkeypatch.setenv(name, value)


def test_the_token_is_exchanged_for_a_cookie_and_leaves_the_address() -> None:
    reply = client().get(f"/measure?prompt=64&token={SECRET}&model=8B")
    assert (reply.status_code, reply.headers["location"]) == (303, "./measure?prompt=64&model=8B")
    said = reply.headers["set-cookie"]
    assert said == f"{TICKET}={ticket()}; Path=/; HttpOnly; SameSite=Strict"
    assert SECRET not in str(reply.headers)
    authorise(ticket=ticket())


@pytest.mark.parametrize("given", ["", "not the token, but as long", SECRET[:-1]])
def test_another_token_gets_nothing_and_leaves_the_address_too(given: str) -> None:
    reply = client().get("/measure", params={"token": given})
    assert (reply.status_code, reply.headers["location"]) == (303, "./measure")
    assert "set-cookie" not in reply.headers


@pytest.mark.parametrize("address", [None, "", "0.0.0.0", "192.168.1.7", "rightsize.example.com"])
def test_beyond_this_machine_no_cookie_is_given(address: str | None) -> None:
    assert "set-cookie" not in client(address).get(f"/measure?token={SECRET}").headers


def test_what_has_no_token_and_what_is_no_page_is_passed_on() -> None:
    assert client().get("/measure?prompt=64").status_code == 200
    assert client().get("/api/v1/estimate?token=x").status_code == 200
    assert client().post(f"/measure?token={SECRET}").status_code == 405


def test_the_address_it_leads_to_is_always_our_own() -> None:
    reply = client().get(f"//evil.example/a:b?token={SECRET}")
    assert reply.headers["location"] == "./a%3Ab"


@pytest.mark.parametrize("held", ["", "a" * 64, SECRET, ticket({TOKEN: "another-token-of-enough"})])
def test_no_other_cookie_lets_anybody_measure(held: str) -> None:
    with pytest.raises(NotAuthorised):
        authorise(ticket=held, environment=HELD)


def test_without_a_token_the_cookie_of_no_token_opens_nothing() -> None:
    with pytest.raises(NotAuthorised):
        authorise(ticket=ticket({}), environment={SWITCH: "1"})


class Started:
    """What the server was started with."""

    environment: Mapping[str, str]

    def __call__(self, _program: str, command: list[str], environment: Mapping[str, str]) -> None:
        self.environment, self.command = environment, command
        raise SystemExit(0)  # as the process does not come back


def start(*flags: str) -> None:
    with pytest.raises(SystemExit):
        main(["serve", *flags])


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    found = Started()
    monkeypatch.setattr(os, "execve", found)  # the process would become the server
    monkeypatch.chdir(ROOT)
    for name in HELD:
        monkeypatch.delenv(name)
    return found


def test_on_this_machine_the_start_line_has_the_link(started: Started, capsys: pytest.CaptureFixture[str]) -> None:
    start("--port", "8600")
    token = started.environment[TOKEN]
    assert started.environment[SWITCH] == "1"
    assert len(token) >= 32
    assert f"http://localhost:8600/measure?token={token}\n" in capsys.readouterr().out
    assert token not in " ".join(started.command)  # which every process of this machine can read
    start()
    assert started.environment[TOKEN] != token


@pytest.mark.parametrize(
    ("address", "said"), [("0.0.0.0", {}), ("192.168.1.7", {}), ("localhost", {SWITCH: "0"}), ("127.0.0.1", HELD)]
)
def test_elsewhere_and_where_the_operator_has_spoken_nothing_is_switched_on(
    started: Started, address: str, said: dict[str, str], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    start("--address", address)
    assert {name: started.environment[name] for name in HELD if name in started.environment} == said
    assert capsys.readouterr().out == ""


def test_on_this_machine_its_own_servers_may_be_measured(started: Started, monkeypatch: pytest.MonkeyPatch) -> None:
    start()
    policy = EndpointPolicy.from_environment(started.environment)
    assert check_endpoint("http://localhost:8000", policy).port == 8000
    for elsewhere in ("http://192.168.1.7:8000", "http://169.254.169.254", "http://example.com"):
        with pytest.raises(EndpointRefused):
            check_endpoint(elsewhere, policy)
    monkeypatch.setenv("RIGHTSIZE_ENDPOINT_HOSTS", "models.example")
    start()
    assert EndpointPolicy.from_environment(started.environment) == EndpointPolicy(hosts=frozenset({"models.example"}))
