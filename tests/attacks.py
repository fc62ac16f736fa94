"""What strangers once stopped, fooled or spoke through the dashboard with, done to one process on loopback.

Each does one thing over the wire, as whoever has no right does it, and returns what it was answered.
"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import re
import socket
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from uuid import uuid4

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import ConnectionClosed

from estimators.architecture import catalogue
from estimators.precision import Weights
from pricing.offers import PriceQuery, PurchaseOption
from pricing.snapshot import load_snapshot
from tests.browser.conftest import dashboard
from tests.servers.aws import AwsServer, SpotEntry
from tests.servers.hub import HubServer
from tests.visitor import Drawn, Visitor, address_of

HUB_PASSWORD = "hunter-of-the-hub"
AWS_SECRET = "test-secret"
TOKEN = str(uuid4())
IDS = [entry.id for entry in catalogue.entries()]
FILE = (
    b'--zqx\r\nContent-Disposition: form-data; name="file"; filename="a.csv"\r\nContent-Type: text/csv\r\n\r\n'
    + b"7,8\n" * 1_225_000
    + b"\r\n--zqx--\r\n"
)
BUTTON = re.compile("Set |Measure |Keep ")  # labels of those that start or keep something
_numbers = itertools.count(2)


@dataclass(frozen=True, slots=True)
class Target:
    """One dashboard with a Hub and an AWS, all on loopback, and a database that several have written to."""

    base: str
    folder: Path
    process: psutil.Process
    hub: HubServer
    aws: AwsServer

    @property
    def memory_bytes(self) -> int:
        return int(self.process.memory_info().rss)

    @property
    def log(self) -> str:
        return (self.folder / "dashboard.log").read_text(encoding="utf-8")

    @property
    def database(self) -> Path:
        return self.folder / "data" / "rightsize.db"


@contextmanager
def target(folder: Path) -> Iterator[Target]:
    with HubServer() as hub, AwsServer() as aws:
        aws.sell("g6.xlarge", "us-east-1", "0.7000")
        address = hub.url.replace("://", f"://ann:{HUB_PASSWORD}@")
        settings = {"HF_ENDPOINT": address, "HF_HUB_OFFLINE": "0", "HF_HOME": str(folder / "hub"), **aws.environment}
        settings["RIGHTSIZE_PROFILING"], settings["RIGHTSIZE_PROFILING_TOKEN"] = "1", TOKEN
        with dashboard(folder, **settings) as base:
            yield Target(base, folder, psutil.Process().children()[-1], hub, aws)


def ask(
    base: str, path: str, method: str = "GET", body: bytes | str | None = None, **headers: str
) -> tuple[int, str, dict[str, str]]:
    """(status, text, headers) of one request, whose path goes out as it is written."""
    host, port = address_of(base)
    connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): text for name, text in headers.items()})
        reply = connection.getresponse()
        return reply.status, reply.read().decode("utf-8", "replace"), dict(reply.getheaders())
    finally:
        connection.close()


def plan_of(base: str, **keys: str) -> dict[str, object]:
    """What the JSON route says of a scenario."""
    found: dict[str, object] = json.loads(ask(base, f"/api/v1/estimate?{urlencode(keys)}")[1])
    return found


def served(base: str) -> float:
    """Seconds in which another visitor is drawn a page nobody has asked for."""
    with Visitor(base) as visit:
        found = visit.open("", f"concurrency={next(_numbers)}")
        assert found.says("Llama 3.1 8B in BF16"), found.texts
        return found.seconds


def dear_link(models: int = 20) -> str:
    """As dear as a link gets without being refused at once: every region, way to pay, vendor and precision."""
    return urlencode(
        {
            "models": ",".join(IDS[:models]),
            "regions": ",".join(load_snapshot().regions),
            "ways": ",".join(PurchaseOption),
            "vendors": "NVIDIA,AMD,AWS",
            "precisions": ",".join(Weights),
            "rate": str(random.randint(100_000, 1_000_000)),
            "ttft": "0.2",
            "tpot": "0.01",
            "e2e": "3",
        }
    )


def dear_questions(base: str, models: Sequence[int] = (30, 20)) -> list[Drawn]:
    found = []
    for number in models:
        with Visitor(base) as visit:
            found.append(visit.open("recommend", dear_link(number)))
    return found


def dear_questions_of_who_leaves(base: str, times: int = 2) -> None:
    for _ in range(times):
        with Visitor(base) as visit:
            visit.ask("recommend", dear_link())
            time.sleep(0.2)


def uploads(base: str, times: int = 120, *, page: str = "") -> list[int]:
    """Statuses of bodies put to a visit's own session, with a pair of tokens that anybody can make."""
    token = "2|00000000|00000000000000000000000000000000|1"
    with Visitor(base) as visit:
        visit.open(page)
        headers = {
            "Cookie": f"_streamlit_xsrf={token}",
            "X_Xsrftoken": token,
            "Content_Type": "multipart/form-data; boundary=zqx",
        }
        statuses = []
        for _ in range(times):
            path = f"/_stcore/upload_file/{visit.session}/{uuid4()}"
            try:
                statuses.append(ask(base, path, "PUT", FILE, **headers)[0])
            except (OSError, http.client.HTTPException):  # hung up on before it was read
                statuses.append(0)
        return statuses


def large_messages(base: str, times: int = 40) -> int:
    """How many messages of 7 MB, each of its own visit that stays open, were taken."""
    message = BackMsg()
    message.rerun_script.query_string = "x" * 7_000_000
    taken, open_visits = 0, []
    for _ in range(times):
        visit = Visitor(base)
        open_visits.append(visit)
        with suppress(ConnectionClosed):
            visit.send(message)
            visit._socket.recv(timeout=30)
            taken += 1
    for visit in open_visits:
        visit.close()
    return taken


def foreign_handshakes(base: str, times: int = 20) -> list[int]:
    """Statuses of sockets opened by pages elsewhere, and under names that only resolve here."""

    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13",
        "Sec_WebSocket_Key": "enF4enF4enF4enF4enF4eg==",
    }  # fmt: skip

    def status(number: int) -> int:
        name = f"{number}.zqx.example"
        own = {"Host": name, "Origin": f"http://{name}"} if number % 2 else {"Origin": f"https://{name}"}
        return ask(base, "/_stcore/stream", **upgrade, **own)[0]

    with ThreadPoolExecutor(10) as pool:
        return list(pool.map(status, range(times)))


def unknown_regions(base: str, times: int = 60) -> None:
    for number in range(times):
        with Visitor(base) as visit:
            visit.open("", f"region=aa-north-{number}")


def hostile_configs(of: Target) -> dict[str, dict[str, object]]:
    """What is said of models whose rules nobody can apply."""
    config = {**catalogue.load_config("Qwen/Qwen2.5-7B-Instruct")}
    rules = {"many": [f"re:x{number}" for number in range(4_000)], "long": [f"re:{'a' * 3_000}"], "slow": ["re:(a+)+$"]}
    for name, ignore in rules.items():
        packed = {
            "quant_method": "compressed-tensors", "format": "int-quantized", "ignore": ignore,
            "config_groups": {"group_0": {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "int"}}},
        }  # fmt: skip
        of.hub.add_model(f"hostile/{name}", config={**config, "quantization_config": packed})
    return {name: plan_when_read(of.base, f"hostile/{name}") for name in rules}


def plan_when_read(base: str, model: str) -> dict[str, object]:
    """The plan of a model of the Hub once it has been read; the route does not wait for a slow one."""
    end = time.monotonic() + 60
    while True:
        found = plan_of(base, model=model, instance="g6.xlarge")
        if "is being read" not in str(found.get("error")) or time.monotonic() > end:
            return found
        time.sleep(0.2)


def slow_hub(of: Target, times: int = 40) -> tuple[float, float]:
    """Seconds of `/` and of the JSON route while so many models are waited for."""
    of.hub.fail("/api/models/slow/", delay_seconds=8)
    with ThreadPoolExecutor(times) as pool:
        for number in range(times):
            pool.submit(plan_of, of.base, model=f"slow/m{number}")
        time.sleep(1)
        started = time.monotonic()
        assert ask(of.base, "/")[0] == 200
        page = time.monotonic() - started
        assert plan_of(of.base, model="8B", instance="g6.xlarge", concurrency="3")["fits"] is True
        return page, time.monotonic() - started - page


def absurd_prices(of: Target, region: str = "us-west-2") -> list[str]:
    """Sixty machines, five at each absurd price that AWS now says; none of them is to be believed."""
    low, odd = ("0.0000001", "0.0008048", "1e-400", "-1"), ("1_0", "\u0663", "NaN", "")
    said = (*low, *odd, "999999999", "80480", "1e9", "9" * 128)
    offers = load_snapshot().find(PriceQuery(region=region, option=PurchaseOption.ON_DEMAND))
    sold = [offer.instance_type for offer in offers][:60]
    for instance_type, price in zip(sold, itertools.cycle(said), strict=False):
        of.aws.sell(instance_type, region, price)
    of.aws.spot.append(SpotEntry("g6.xlarge", f"{region}a", "0.0001", at="2999-01-01T00:00:00.000Z"))
    return sold


def damage(database: Path) -> None:
    """Rows of a version yet to come, and a damaged one, beside good ones."""
    with sqlite3.connect(database, timeout=30) as connection:
        what, seen = ("g6.xlarge", "us-east-1", "leased_by_the_minute", "price_list"), ("soon", "soon", None)
        connection.execute(
            "INSERT INTO price (instance_type, region, option, listing, usd_per_hour, upfront_usd, origin, note, "
            "first_seen, last_seen, ended) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            (*what, "abc", "", "x", "", *seen),
        )
        odd = {"id": "f" * 32, "measured_at": "soon", "model": "x", "engine": "abacus", "accelerator": "", "body": "{"}
        late = {
            "device": "http://10.0.0.7",
            "title": "x",
            "status": "dreaming",
            "share": "half",
            "message": "x",
            "asked_by": "",
            "cancel": 2,
        }
        rows = {"measurement": odd, "profile_job": {**late, "asked_at": "soon", "heartbeat": "soon", "results": "{"}}
        for table, row in rows.items():
            names, marks = ", ".join(row), ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} ({names}) VALUES ({marks})", tuple(row.values()))


def guesses(base: str, times: int = 40) -> list[Drawn]:
    """Wrong tokens typed into the box of the Measure page."""
    with Visitor(base) as visit:
        box = visit.open("measure").boxes["Profiling token"]
        return [visit.open("measure", **{box: ("string_value", f"wrong {number}")}) for number in range(times)]


def crafted_starts(base: str) -> Iterator[Drawn]:
    """Each button of the Measure page, which only who may measure is shown, pressed by who may not: with no token, a
    wrong one, and one in the address; and all of them at once."""
    with Visitor(base) as owner:
        box = owner.open("measure").boxes["Profiling token"]
        shown = owner.open("measure", **{box: ("string_value", TOKEN)}).boxes
    pressed = {shown[label]: ("trigger_value", True) for label in shown if BUTTON.match(label)}
    filled = {shown["Address"]: ("string_value", "http://localhost:8000"), shown["JSON"]: ("string_value", "{}")}
    for query, typed in (("", {}), ("", {box: ("string_value", "wrong")}), (f"profiling_token={TOKEN}", {})):
        for press in (*({button: how} for button, how in pressed.items()), pressed):
            with Visitor(base) as visit:
                yield visit.open("measure", query, **typed, **filled, **press)


_ODD_TEXTS = ("\ud7ff\x00<b>", "9" * 5000, "\u202e", "nan", "[x](https://zqx.example)", "-1", "a\tb\nc", "")
_ODD_NUMBERS = (-1.0, 1e308, 1e-308, 0.1, 2.0**53)
ODD_STATES: Mapping[str, Sequence[tuple[str, object]]] = {
    "number_input": [("double_value", number) for number in _ODD_NUMBERS],
    "checkbox": [("bool_value", True)],
    "button": [("trigger_value", True)],
    **{kind: [("string_value", text) for text in _ODD_TEXTS] for kind in ("text_input", "text_area", "selectbox")},
}
WRONG_KINDS: Sequence[tuple[str, object]] = (  # which Streamlit cannot read, before any page of ours runs
    ("double_value", float("nan")), ("double_value", float("inf")),
    ("json_value", "{"), ("json_trigger_value", "null"), ("bytes_value", b"\xff\x00"),
    ("int_array_value", [0, -1, 2**40]), ("double_array_value", [float("inf")]), ("string_array_value", ["x", ""]),
)  # fmt: skip


def odd_states(base: str, times: int = 8, *, wrong: bool = False) -> Iterator[Drawn]:
    """Boxes of several pages that hold what no browser puts there; with `wrong`, what is not even of their kind."""
    draw = random.Random(27)
    for page in ("", "load", "pipelines", "compare", "measure"):
        with Visitor(base) as visit:
            kinds = sorted((box, kind) for box, kind in visit.open(page).kinds.items() if kind in ODD_STATES)
            for _ in range(times):
                some = draw.sample(kinds, min(6, len(kinds)))
                yield visit.open(
                    page, **{box: draw.choice(WRONG_KINDS if wrong else ODD_STATES[kind]) for box, kind in some}
                )


def raw(base: str, *parts: bytes, pause_s: float = 0.0) -> bytes:
    """What comes back for bytes sent as they are."""
    with socket.create_connection(address_of(base), timeout=60) as line:
        for part in parts:
            line.sendall(part)
            time.sleep(pause_s)
        with suppress(TimeoutError, ConnectionError):
            return line.recv(65_536)
    return b""
