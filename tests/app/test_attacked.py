"""What strangers once did, one after another to one process: others are served, at right prices, and the log says what
happened without a secret."""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests import attacks
from tests.attacks import Target, ask, plan_of, served
from tests.hostile import ALL, PAYLOADS, acts_in_markdown
from tests.visitor import Visitor

pytestmark = pytest.mark.slow
LINES = tuple(text for text in PAYLOADS if "zqx1" in text)  # what would begin a line as a heading or a list
RIGHT_USD_MONTH = 511.0  # one g6.xlarge at the live price of 0.70 an hour, 730 hours


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    with attacks.target(tmp_path_factory.mktemp("attacked")) as target:
        served(target.base)
        wait_for_prices(target)
        yield target


@pytest.fixture(autouse=True)
def _others_are_served(attacked: Target) -> Iterator[None]:
    """After each attack, and at the right price."""
    yield
    served(attacked.base)
    plan = plan_of(attacked.base, model="meta-llama/Llama-3.1-8B-Instruct", instance="g6.xlarge")
    assert plan["usd_per_month"] == pytest.approx(RIGHT_USD_MONTH)
    assert plan["price_source"] == "live"
    assert ask(attacked.base, "/livez")[:2] == (200, "ok")


def wait_for_prices(target: Target) -> None:
    end = time.monotonic() + 60
    while plan_of(target.base, model="8B", instance="g6.xlarge")["price_source"] != "live":
        assert time.monotonic() < end
        time.sleep(0.2)


def test_questions_of_everything(attacked: Target) -> None:
    refused, stopped = attacks.dear_questions(attacked.base)
    assert refused.says("one question weighs up to 30,000")
    assert stopped.says("This question was stopped after 2.2 s of work")
    before = attacked.process.cpu_times().user
    attacks.dear_questions_of_who_leaves(attacked.base)
    time.sleep(0.7)
    settled = attacked.process.cpu_times().user
    time.sleep(1.0)
    assert attacked.process.cpu_times().user - settled < 0.3  # nobody is there, and nothing is worked out
    assert settled - before < 2 * 2.2


def test_files_that_nobody_asked_for(attacked: Target) -> None:
    before = attacked.memory_bytes
    assert set(attacks.uploads(attacked.base, 20)) <= {403, 0}
    assert attacked.memory_bytes - before < 50e6
    assert attacks.uploads(attacked.base, 4, page="load").count(204) == 2
    assert attacks.large_messages(attacked.base, 8) <= 5


def test_pages_of_other_origins(attacked: Target) -> None:
    before = time.monotonic()
    assert set(attacks.foreign_handshakes(attacked.base)) == {403}
    assert time.monotonic() - before < 20
    for port in (b"1", b"65536"):
        reply = attacks.raw(attacked.base, b"GET / HTTP/1.1\r\nHost: 127.0.0.1:" + port + b".zqx.example\r\n\r\n")
        assert reply.startswith((b"HTTP/1.1 403", b"HTTP/1.1 400"))


def test_regions_there_are_none_of(attacked: Target) -> None:
    before, memory = len(attacked.aws.operations), attacked.memory_bytes
    attacks.unknown_regions(attacked.base, 15)
    assert len(attacked.aws.operations) - before < 12  # what is read of us-east-1 again at the most
    assert attacked.memory_bytes - memory < 50e6


def test_ids_that_are_none(attacked: Target) -> None:
    for model in ("1.", "3-", "org/name-", "a..b", "_a/b", "org/.", "a/b/c", "-", "x" * 300, "99999T", "0B"):
        status, text, _ = ask(attacked.base, f"/api/v1/estimate?model={model}")
        assert status in (200, 422), model
        assert "went wrong" not in text
        with Visitor(attacked.base) as visit:
            assert not visit.open("", f"model={model}").says("went wrong"), model


def test_configs_that_take_for_ever(attacked: Target) -> None:
    for name, said in attacks.hostile_configs(attacked).items():
        assert said["error"] or said["fits"] is not None, name
        assert "went wrong" not in str(said["error"])


def test_one_bad_repository_is_its_own_fault(attacked: Target) -> None:
    attacked.hub.fail("/api/models/bad/", status=500)
    attacked.hub.fail("/api/models/worse/", status=200, body=b"<html>")
    attacked.hub.add_model("good/model", config=attacks.catalogue.load_config("Qwen/Qwen2.5-7B-Instruct"))
    for model in ("bad/one", "bad/two", "worse/one"):
        assert attacks.plan_when_read(attacked.base, model)["error"]
    assert attacks.plan_when_read(attacked.base, "good/model")["resident_params"] == 7_615_616_512


def test_a_hub_that_sends_us_elsewhere(attacked: Target) -> None:
    place = f"{attacked.aws.url}/latest/meta-data"
    attacked.hub.fail("/api/models/led/", status=302, headers={"Location": place})
    asked = len(attacked.aws.operations)
    assert "sends on to" in str(attacks.plan_when_read(attacked.base, "led/astray")["error"])
    assert "OffersFile" not in attacked.aws.operations[asked:]


def test_a_slow_hub_holds_nobody(attacked: Target) -> None:
    page, route = attacks.slow_hub(attacked)
    assert page < 6  # 0.01 where the machine is not busy; once as long as the Hub took
    assert route < 6


def test_text_that_wants_to_be_more(attacked: Target) -> None:
    for text in (ALL, *LINES):  # each by itself: test_text_from_outside.py
        with Visitor(attacked.base) as visit:
            query = attacks.urlencode({"models": text, "use": text, "owned": text, "quality": text, "budget": text})
            drawn = visit.open("recommend", query)
        quoted = [said for said in drawn.texts if "zqx" in said and not said.startswith(("{", "?"))]
        boxes = {text, text.strip()}
        assert not [said for said in quoted if said not in boxes and acts_in_markdown(said)]


def test_measurements_that_nobody_may_start(attacked: Target) -> None:
    pressed = list(attacks.crafted_starts(attacked.base))
    assert len(pressed) >= 15
    assert all("Profiling token" in drawn.boxes for drawn in pressed)
    with closing(sqlite3.connect(attacked.database)) as kept:
        assert kept.execute(
            "SELECT (SELECT count(*) FROM profile_job) + (SELECT count(*) FROM measurement)"
        ).fetchone() == (0,)


def test_boxes_that_hold_what_no_browser_puts_there(attacked: Target) -> None:
    for drawn in attacks.odd_states(attacked.base):
        assert not drawn.says("went wrong")
        assert not drawn.says("Traceback")


def test_rows_of_another_version(attacked: Target) -> None:
    with Visitor(attacked.base) as visit:
        visit.open("measure")  # makes the tables
    attacks.damage(attacked.database)
    for page in ("prices", "measure", ""):
        with Visitor(attacked.base) as visit:
            assert not visit.open(page).says("went wrong")


def test_prices_that_cannot_be(attacked: Target) -> None:
    absurd = attacks.absurd_prices(attacked)
    assert len(absurd) == 60
    with Visitor(attacked.base) as visit:
        visit.open("", "region=us-west-2")
        end = time.monotonic() + 60
        while not (drawn := visit.open("prices", "region=us-west-2")).says("not believed"):
            assert time.monotonic() < end
            time.sleep(0.5)
    assert not drawn.says("went wrong")
    plans = [plan_of(attacked.base, model="0.5B", instance=machine, region="us-west-2") for machine in absurd]
    assert {plan["price_source"] for plan in plans if plan["price_source"]} == {"snapshot"}


def test_paths_and_methods_there_are_none_of(attacked: Target) -> None:
    for path in (
        "/../../etc", "/..%2f..%2fetc/passwd", "/etc", "/a/b/c", "/%2e%2e/x", "//etc", "/static/..%2f..%2fx",
        "/static/../../app/server.py", "/static/%2e%2e/%2e%2e/app/main.py", "/static//etc/passwd",
        "/static/..%5c..%5cx", "/static/..%00/x", "/media/../../x.py", "/_stcore/../app/main.py",
        "/static/....//....//x", "/component/x/../../y",
    ):  # fmt: skip
        status, text, _ = ask(attacked.base, path)
        assert status in (400, 404), path
        assert not any(words in text for words in ("<script", "root:", "import ")), path
    for method in ("PUT", "DELETE", "PATCH", "POST", "TRACE"):
        assert ask(attacked.base, "/api/v1/estimate", method)[0] in (405, 415)
    assert ask(attacked.base, "/api/v1/estimate?model=8B&model=70B")[0] == 422


def test_every_answer_has_the_same_headers_and_none_a_cookie(attacked: Target) -> None:
    asked = (
        ("/", "GET"), ("/memory", "GET"), ("/nothing/here", "GET"), ("/api/v1/estimate?model=8B", "GET"),
        ("/livez", "GET"), ("/api/v1/estimate?model=", "GET"), ("/_stcore/health", "GET"), ("/metrics", "GET"),
        ("/api/v1/estimate", "DELETE"),
        ("/_stcore/upload_file/x/y", "PUT"), ("/static/none.js", "GET"), ("/_stcore/stream", "GET"),
    )  # fmt: skip
    answered = [ask(attacked.base, path, method) for path, method in asked]
    assert len({status for status, _, _ in answered}) > 3
    for (path, _), (_, _, headers) in zip(asked, answered, strict=True):
        own = {name.lower(): text for name, text in headers.items()}
        assert "frame-ancestors 'self'" in own["content-security-policy"], path
        assert own["x-content-type-options"] == "nosniff", path
        assert "set-cookie" not in own, path


def test_tokens_guessed(attacked: Target) -> None:
    said = [drawn.says("Too many wrong tokens") for drawn in attacks.guesses(attacked.base, 30)]
    assert said[-1]
    assert not said[0]


def test_bodies_that_drip(attacked: Target) -> None:
    """A hundred connections that send a body a byte at a time hold nobody up."""
    head = (
        b"POST /api/v1/estimate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99\r\n\r\n{"
    )
    lines = [attacks.socket.create_connection(attacks.address_of(attacked.base)) for _ in range(100)]
    try:
        for line in lines:
            line.sendall(head)
        assert plan_of(attacked.base, model="8B", instance="g6.xlarge")["fits"] is True
        served(attacked.base)
    finally:
        for line in lines:
            line.close()


def test_a_database_deleted_while_it_is_used(attacked: Target) -> None:
    for part in attacked.database.parent.glob("rightsize.db*"):
        part.unlink()
    for page in ("prices", "measure"):
        with Visitor(attacked.base) as visit:
            assert not visit.open(page).says("went wrong")


def test_the_log_says_what_happened_and_no_secret(attacked: Target) -> None:
    """Of everything above."""
    log = attacked.log
    assert "refused: The request comes from a page of another origin" in log
    assert "is not believed" in log
    assert "a wrong profiling token was given" in log
    for secret in (
        attacks.HUB_PASSWORD,
        attacks.AWS_SECRET,
        attacks.TOKEN,
        "YW5uOm",
    ):  # the last: how "ann:" begins in a header
        assert secret not in log
    assert "Traceback" not in log


def test_boxes_of_the_wrong_kind_end_in_a_sentence(attacked: Target) -> None:
    """Streamlit raises over them, and the log says where in a line each, with nothing of what was sent."""
    before = len(attacked.log)
    said = [drawn for drawn in attacks.odd_states(attacked.base, 3, wrong=True) if drawn.says("went wrong")]
    assert said
    assert not any("Traceback" in text or ".py" in text for drawn in said for text in drawn.texts)
    for label, value in (("People at once", ("string_value", "1\nzqx ERROR")), ("Model", ("int_value", 99))):
        with Visitor(attacked.base) as visit:
            assert visit.open(**{visit.open().boxes[label]: value}).says("went wrong")
    written = attacked.log[before:]
    lines = [line for line in written.splitlines() if line.startswith("page failed")]
    assert len(lines) == len(said) + 2
    form = r"page failed: [A-Za-z]+Error of a box( of app/[\w/]+\.py:\d+)?, in \w+\.py:\d+"
    assert all(re.fullmatch(form, line) for line in lines)
    assert " of app/views/inputs.py:" in lines[-1]
    assert not any(words in written for words in ("Traceback", "zqx", "\x1b"))
