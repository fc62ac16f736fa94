"""How many people two processes behind nginx serve, beside one, and what it costs them when one of the two is killed:
`python -m tests.bench_two_processes`. Figures to read; with `--keep` they are kept, with their date, in
two_processes.csv and in the README.

As docs/nginx.conf has them; needs nginx and PostgreSQL (`apt-get install nginx-light postgresql`) and takes about six
minutes. For the kill everybody has a question of their own and asks for another at the same moment, and a fifth of a
second later one of the processes gets SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextlib
import csv
import itertools
import os
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psutil

from app.measuring.accuracy import between
from estimators.measuring.measurement import Measurement, export_json
from tests.attacks import plan_of
from tests.bench_people import CHANGES, THINK_S, quantile, serve
from tests.browser.conftest import dashboard
from tests.conftest import ROOT
from tests.postgresql import postgresql
from tests.profiling_samples import measurement
from tests.replicas import Browser, Replicas, arrive, two_processes
from tests.servers.aws import AwsServer
from tests.visitor import Visitor

PEOPLE = (100, 150)
KILLED_WITH = 100  # people
ASKED_BEFORE_S = 0.2
LINK = {"region": "eu-west-1", "hours": "700"}  # inputs of everybody's link, beside those each has alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What so many people saw: what was served to them, and how long their changes took."""

    served_by: str
    people: int
    p50_ms: int
    p95_ms: int
    cut_off: int | None = None  # people whose process was killed
    inputs_lost: int | None = None
    again_s: float | None = None  # from the kill until the last of all is served again
    measurement_seen_s: float | None = None  # from when one process keeps it until the other shows it
    price_seen_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """Seconds of every change but those that were asked for as one of two processes was killed, and what that cost."""

    before_s: tuple[float, ...]
    after_s: tuple[float, ...]
    again_s: float
    cut_off: int
    inputs_lost: int


def one_process() -> list[Figures]:
    with tempfile.TemporaryDirectory() as folder, dashboard(Path(folder)) as base:
        return list(used("one process", base))


def used(by: str, base: str) -> Iterator[Figures]:
    fresh, process = itertools.count(2), psutil.Process()
    for _ in range(4):  # what only the first visitor of each process waits for
        asyncio.run(serve(base, 1, fresh, process))
    for people in PEOPLE:
        yield figures(by, people, asyncio.run(serve(base, people, fresh, process)).changed_s)


def figures(by: str, people: int, seconds: Sequence[float]) -> Figures:
    p50, p95 = (round(1e3 * quantile(seconds, share)) for share in (0.5, 0.95))
    return Figures(served_by=by, people=people, p50_ms=p50, p95_ms=p95)


async def through_a_kill(
    replicas: Replicas, people: int, *, changes: int = CHANGES, think_s: float = THINK_S
) -> Killed:
    """Everybody uses the page; all ask at once and a process is killed; then everybody uses what is left."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(people))  # as many browsers, each with its pings
    fresh = itertools.count(11)
    questions = [LINK | {"concurrency": str(next(fresh)), "ttft": f"{30 + n / 100:g}"} for n in range(people)]
    for _ in range(4):
        await (await arrive(replicas.base)).socket.close()
    browsers = await asyncio.gather(*(arrive(replicas.base, link(question)) for question in questions))

    async def use(browser: Browser, question: dict[str, str]) -> list[float]:
        times, pause = [], random.uniform(0, think_s)
        for _ in range(changes):
            await browser.think(pause)
            question["concurrency"] = str(next(fresh))
            times.append(await browser.change(int(question["concurrency"])))
            pause = max(0.0, think_s - times[-1])
        return times

    async def all_use() -> tuple[float, ...]:
        several = await asyncio.gather(*map(use, browsers, questions))
        return tuple(seconds for times in several for seconds in times)

    async def ask_again(browser: Browser, question: dict[str, str]) -> float:
        question["concurrency"] = str(next(fresh))
        await browser.change(int(question["concurrency"]))
        return time.perf_counter()

    before = await all_use()
    asking = [asyncio.create_task(ask_again(*pair)) for pair in zip(browsers, questions, strict=True)]
    await asyncio.sleep(ASKED_BEFORE_S)
    replicas.processes[0].kill()
    killed = time.perf_counter()
    again = max(await asyncio.gather(*asking)) - killed
    replicas.processes[0].wait()
    lost = sum(map(inputs_lost, browsers, questions))
    after = await all_use()
    lost += sum(map(inputs_lost, browsers, questions))
    await asyncio.gather(*(browser.socket.close() for browser in browsers))
    cut_off = sum(browser.came_back > 0 for browser in browsers)
    return Killed(before_s=before, after_s=after, again_s=again, cut_off=cut_off, inputs_lost=lost)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Seconds until what one process had kept in the shared database was shown by the other."""

    measurement_s: float
    price_s: float


TOKEN = str(uuid.uuid4())
LONGEST_S = 60.0


@contextlib.contextmanager
def sharing() -> Iterator[Replicas]:
    """Two processes that share a PostgreSQL, of which the first alone reads live prices."""
    with AwsServer() as aws, postgresql() as url:
        aws.sell("g6.xlarge", "us-east-1", "0.7000")
        both = {"DATABASE_URL": url, "RIGHTSIZE_PROFILING": "1", "RIGHTSIZE_PROFILING_TOKEN": TOKEN}
        with two_processes(aws.environment, **both) as replicas:
            yield replicas


def seen_by_the_other(replicas: Replicas) -> Seen:
    """A measurement pasted at the first process, and a price it reads, until the second has them."""
    first, second = replicas.bases
    with Visitor(first) as visit:
        visit.open()  # whoever looks at a region has its prices read
    until(lambda: price_of(first) == (0.7, "live"))
    price_s = until(lambda: price_of(second) == (0.7, "cached"))
    made = measurement()
    assert not shows(second, made)
    with Visitor(first) as visit:
        visit.open("measure", **{visit.open("measure").boxes["Profiling token"]: ("string_value", TOKEN)})
        box = visit.open("measure").boxes["JSON"]
        button = visit.open("measure", **{box: ("string_value", export_json([made]))}).boxes["Keep it"]
        assert visit.open("measure", **{button: ("trigger_value", True)}).says("1 of 1 measurements were new")
    return Seen(measurement_s=until(lambda: shows(second, made)), price_s=price_s)


def price_of(base: str) -> tuple[object, object]:
    found = plan_of(base, model="8B", instance="g6.xlarge")
    return found["usd_per_hour"], found["price_source"]


def shows(base: str, made: Measurement) -> bool:
    with Visitor(base) as visit:
        return visit.open("measure").says(f"{made.measured_at:%Y-%m-%d %H:%M} {made.model}")


def until(so: Callable[[], bool]) -> float:
    started = time.perf_counter()
    while not so():
        assert time.perf_counter() - started < LONGEST_S
        time.sleep(0.1)
    return time.perf_counter() - started


def link(question: dict[str, str]) -> str:
    return "&".join(f"{key}={value}" for key, value in question.items())


def inputs_lost(browser: Browser, question: dict[str, str]) -> int:
    """How many inputs of a question the page does not have, by the link it offers to copy."""
    return sum(browser.link.get(key) != value for key, value in question.items())


def several() -> Iterator[Figures]:
    yield from one_process()
    with two_processes() as replicas:
        yield from used("two behind nginx", replicas.base)
    with sharing() as replicas:
        seen = seen_by_the_other(replicas)
        for found in used("two, PostgreSQL shared", replicas.base):
            yield replace(found, measurement_seen_s=round(seen.measurement_s, 1), price_seen_s=round(seen.price_s, 1))
        killed = asyncio.run(through_a_kill(replicas, KILLED_WITH))
    yield figures("two, with a question of one's own", KILLED_WITH, killed.before_s)
    yield replace(
        figures("the one left when one is killed", KILLED_WITH, killed.after_s),
        cut_off=killed.cut_off,
        inputs_lost=killed.inputs_lost,
        again_s=round(killed.again_s, 1),
    )


KEPT = Path(__file__).with_name("two_processes.csv")
COLUMNS = (*Figures.__dataclass_fields__, "source", "as_of")
BEGIN, END = "<!-- two processes:begin -->", "<!-- two processes:end -->"


def keep_figures(made: Sequence[Figures], busy: float) -> None:
    """Into two_processes.csv and the README, in place of those that were there."""
    source = f"python -m tests.bench_two_processes; {os.cpu_count()} cores, load average {busy:.1f} before it began"
    with KEPT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        for row in made:
            writer.writerow(asdict(row) | {"source": source, "as_of": datetime.now(UTC).date().isoformat()})
    readme = ROOT / "README.md"
    readme.write_text(into_readme(readme.read_text(encoding="utf-8")), encoding="utf-8")


def as_markdown() -> str:
    """The figures that are kept."""
    with KEPT.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = ["| served by | people | a change, p50 / p95 |", "|---|---|---|"]
    lines += [f"| {row['served_by']} | {row['people']} | {row['p50_ms']} / {row['p95_ms']} ms |" for row in rows]
    cost = next(row for row in rows if row["again_s"])
    seen = next(row for row in rows if row["price_seen_s"])
    said = (
        f"Killed as all {cost['people']} had just asked, a process cut {cost['cut_off']} of them off: "
        f"{cost['again_s']} s later all were served again, with",
        f"{cost['inputs_lost']} of their inputs lost. What one process keeps in PostgreSQL the other shows "
        f"{seen['measurement_seen_s']} s later (a measurement) and",
        f"{seen['price_seen_s']} s later (a live price). {cost['as_of']}, {cost['source'].partition('; ')[2]}.",
    )
    return "\n".join((*lines, "", *said))


def into_readme(text: str) -> str:
    """The README with its table of these figures made anew."""
    return between(text, BEGIN, END, as_markdown())


def main() -> None:
    busy, made = os.getloadavg()[0], []
    for found in several():
        made.append(found)
        print(f"{found.served_by}, {found.people} people, p50 / p95   {found.p50_ms} / {found.p95_ms} ms", flush=True)
        if found.again_s is not None:
            print(f"   {found.cut_off} cut off, {found.inputs_lost} inputs lost, all served again in {found.again_s} s")
    if "--keep" in sys.argv:
        keep_figures(made, busy)


if __name__ == "__main__":
    main()
