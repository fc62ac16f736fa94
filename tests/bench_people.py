"""How many people one process serves: `python -m tests.bench_people 1 20 50 100`. Figures to read, not assertions;
with `--keep` before the numbers they are kept, with their date, in people.csv and in the README.

Each person is what a browser is to the server: a socket that speaks Streamlit's own protocol. All open the same link
at once; then each changes "People at once" every five seconds, to a number nobody had before, and waits for the end of
the run. The same people then use a bare page of as many boxes and texts, so that the ratio says what is ours.
"""

from __future__ import annotations

import asyncio
import csv
import itertools
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

from app.measuring.accuracy import between
from tests.browser.conftest import dashboard
from tests.conftest import ROOT

BARE_PAGE = "tests/bench_bare_page.py"
PEOPLE = (1, 20, 50, 100)
MOVED = "People at once"
THINK_S = 5.0
THINK_ALONE_S = 1.0
CHANGES, CHANGES_ALONE = 3, 12  # of each person; of one who is alone
LONGEST_S = 300.0
VISITS, VISITS_BEFORE, VISITS_AT_ONCE = 1_000, 300, 10  # Streamlit keeps 128 that have left for those who come back


@dataclass(slots=True)
class Person:
    """One visit: the boxes as the page drew them, and what is in them."""

    socket: ClientConnection
    boxes: dict[str, WidgetState] = field(default_factory=dict)
    moved: str = ""  # id of the box that is changed
    texts: int = 0
    cached: set[str] = field(default_factory=set)

    async def run(self, value: int | None = None) -> float:
        """Ask for a run, with `value` in the box that is changed; returns the seconds until it has ended."""
        asked = BackMsg()
        if value is not None:
            self.boxes[self.moved].double_value = value
            asked.rerun_script.query_string = f"concurrency={value}"
        return await self.ask(asked)

    async def ask(self, asked: BackMsg) -> float:
        """Send this with what is in the boxes; returns the seconds until the run it asks for has ended."""
        asked.rerun_script.widget_states.widgets.extend(self.boxes.values())
        asked.rerun_script.cached_message_hashes.extend(self.cached)
        started = time.perf_counter()
        await self.socket.send(asked.SerializeToString())
        async with asyncio.timeout(LONGEST_S):
            while not self._is_end(ForwardMsg.FromString(await self.socket.recv(decode=False))):
                pass
        return time.perf_counter() - started

    def _is_end(self, message: ForwardMsg) -> bool:
        kind = message.WhichOneof("type")
        if kind == "delta" and message.delta.WhichOneof("type") == "new_element":
            self._read(message)
        return kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY

    def _read(self, message: ForwardMsg) -> None:
        if message.metadata.cacheable:
            self.cached.add(message.hash)
        element = message.delta.new_element
        kind = str(element.WhichOneof("type"))
        if kind == "exception":
            raise RuntimeError(element.exception.message)
        drawn = getattr(element, kind)
        if kind not in ("number_input", "text_input", "text_area", "selectbox"):
            self.texts += 1
            return
        if drawn.label == MOVED:
            self.moved = drawn.id
        if drawn.id in self.boxes and not drawn.set_value:
            return  # it keeps what was typed
        box = self.boxes.setdefault(drawn.id, WidgetState(id=drawn.id))
        if kind == "selectbox" and drawn.options:
            box.string_value = drawn.raw_value if drawn.set_value else drawn.options[drawn.default]
        elif kind in ("text_input", "text_area"):
            box.string_value = drawn.value if drawn.set_value else drawn.default
        elif kind == "number_input" and drawn.id != self.moved and (drawn.set_value or drawn.HasField("default")):
            box.double_value = drawn.value if drawn.set_value else drawn.default


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """What some people saw, and what the process spent on it. Times in seconds."""

    people: int
    opened_s: tuple[float, ...]
    changed_s: tuple[float, ...]
    cpu_s: float  # of a change
    memory_bytes: int
    boxes: int
    texts: int


def quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


async def serve(base: str, people: int, fresh: Iterator[int], server: psutil.Process) -> Served:
    """Open the page `people` times at once, then let each change it in its own time."""
    address = f"{base.replace('http', 'ws', 1)}/_stcore/stream"
    sockets = [connect(address, max_size=None, compression=None, ping_interval=None) for _ in range(people)]
    present = [Person(socket) for socket in await asyncio.gather(*sockets)]
    opened = await asyncio.gather(*(person.run() for person in present))
    boxes, texts = len(present[0].boxes), present[0].texts
    changes, think = (CHANGES_ALONE, THINK_ALONE_S) if people == 1 else (CHANGES, THINK_S)

    async def use(person: Person) -> list[float]:
        due, times = time.perf_counter() + random.uniform(0, think), []
        for _ in range(changes):
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            times.append(await person.run(next(fresh)))
            due += think
        return times

    before = sum(server.cpu_times()[:2])
    changed = [seconds for times in await asyncio.gather(*map(use, present)) for seconds in times]
    spent = sum(server.cpu_times()[:2]) - before
    memory = server.memory_info().rss
    await asyncio.gather(*(person.socket.close() for person in present))
    return Served(
        people=people,
        opened_s=tuple(opened),
        changed_s=tuple(changed),
        cpu_s=spent / len(changed),
        memory_bytes=memory,
        boxes=boxes,
        texts=texts,
    )


def crowd(sizes: Sequence[int], script: str = "app/server.py", *, boxes: int = 0, texts: int = 0) -> list[Served]:
    """Each number of people in turn on one fresh process of `script`; `boxes` and `texts` are the bare page's."""
    fresh, bare = itertools.count(2), {"BARE_BOXES": str(boxes), "BARE_TEXTS": str(texts)}
    with tempfile.TemporaryDirectory() as folder, dashboard(Path(folder), 0, "", script, **bare) as base:
        server = psutil.Process().children()[-1]
        asyncio.run(serve(base, 1, fresh, server))  # what only the first visitor waits for
        return [asyncio.run(serve(base, people, fresh, server)) for people in sizes]


async def come_and_go(base: str, visits: int) -> None:
    """So many people open the page and leave, a few at a time."""
    address = f"{base.replace('http', 'ws', 1)}/_stcore/stream"

    async def visit() -> None:
        async with connect(address, max_size=None, compression=None, ping_interval=None) as socket:
            await Person(socket).run()

    for _ in range(visits // VISITS_AT_ONCE):
        await asyncio.gather(*(visit() for _ in range(VISITS_AT_ONCE)))


def bench_visits(visits: int = VISITS) -> tuple[str, str]:
    """(what, by how much the process grows over so many visits that come and go)."""
    with tempfile.TemporaryDirectory() as folder, dashboard(Path(folder)) as base:
        server = psutil.Process().children()[-1]
        asyncio.run(come_and_go(base, VISITS_BEFORE))
        before = server.memory_info().rss
        asyncio.run(come_and_go(base, visits))
        after = server.memory_info().rss
    grown = f"{(after - before) / 1e6:+.0f} MB, from {before / 1e6:.0f} to {after / 1e6:.0f} MB"
    return f"memory over {visits:,} visits opened and closed", grown


KEPT = Path(__file__).with_name("people.csv")
COLUMNS = (
    "people",
    "page",
    "p50_ms",
    "p95_ms",
    "opened_p50_ms",
    "opened_p95_ms",
    "cpu_ms",
    "memory_mb",
    "source",
    "as_of",
)
BEGIN, END = "<!-- people:begin -->", "<!-- people:end -->"


def both_pages(sizes: Sequence[int]) -> tuple[list[Served], list[Served]]:
    """Ours, then a bare page of as many boxes and texts."""
    ours = crowd(sizes)
    return ours, crowd(sizes, BARE_PAGE, boxes=ours[0].boxes, texts=ours[0].texts)


def bench_people(sizes: Sequence[int] = PEOPLE, *, keep: bool = False) -> Iterator[tuple[str, str]]:
    """(what, figures of the first screen and of the bare page) for each number of people."""
    busy = os.getloadavg()[0]  # by others, before this begins
    ours, bare = both_pages(sizes)
    if keep:
        keep_figures(ours, bare, busy)
    yield "the first screen", f"{ours[0].boxes} boxes, {ours[0].texts} other elements; the bare page has as many"
    for own, plain in zip(ours, bare, strict=True):
        people = f"{own.people} {'person' if own.people == 1 else 'people'}"
        yield f"{people}, a change, p50 / p95", _pair(own.changed_s, plain.changed_s)
        yield f"{people}, the page opened at once, p50 / p95", _pair(own.opened_s, plain.opened_s)
        cpu = f"{own.cpu_s * 1e3:.0f} ms (bare {plain.cpu_s * 1e3:.0f} ms, ratio {own.cpu_s / plain.cpu_s:.1f})"
        memory = f"{own.memory_bytes / 1e6:.0f} MB (bare {plain.memory_bytes / 1e6:.0f} MB)"
        yield f"{people}, CPU of a change; memory", f"{cpu}; {memory}"


def _pair(own: tuple[float, ...], plain: tuple[float, ...]) -> str:
    said = [f"{quantile(times, 0.5) * 1e3:.0f} / {quantile(times, 0.95) * 1e3:.0f} ms" for times in (own, plain)]
    return f"{said[0]} (bare {said[1]}, ratio {statistics.median(own) / statistics.median(plain):.1f})"


def keep_figures(ours: Sequence[Served], bare: Sequence[Served], busy: float) -> None:
    """Into people.csv and the README, in place of those that were there."""
    source = f"python -m tests.bench_people; {os.cpu_count()} cores, load average {busy:.1f} before it began"
    with KEPT.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for page, several in (("ours", ours), ("bare", bare)):
            for served in several:
                times = (quantile(t, q) for t in (served.changed_s, served.opened_s) for q in (0.5, 0.95))
                figures = [f"{value:.0f}" for value in (*(1e3 * t for t in times), 1e3 * served.cpu_s)]
                memory = f"{served.memory_bytes / 1e6:.0f}"
                writer.writerow((served.people, page, *figures, memory, source, datetime.now(UTC).date().isoformat()))
    readme = ROOT / "README.md"
    readme.write_text(into_readme(readme.read_text(encoding="utf-8")), encoding="utf-8")


def as_markdown() -> str:
    """The figures that are kept, those of the bare page in brackets."""
    with KEPT.open(newline="", encoding="utf-8") as file:
        rows = {(row["page"], row["people"]): row for row in csv.DictReader(file)}
    lines = [
        "| people | a change, p50 / p95 | opened at once, p50 / p95 | CPU of a change | memory |",
        "|---|---|---|---|---|",
    ]
    for (page, people), own in rows.items():
        if page == "bare":
            continue
        plain = rows["bare", people]
        changed, opened = (
            f"{own[one]} / {own[other]} ms ({plain[one]} / {plain[other]})"
            for one, other in (("p50_ms", "p95_ms"), ("opened_p50_ms", "opened_p95_ms"))
        )
        cpu, memory = f"{own['cpu_ms']} ms ({plain['cpu_ms']})", f"{own['memory_mb']} MB ({plain['memory_mb']})"
        lines.append(f"| {people} | {changed} | {opened} | {cpu} | {memory} |")
    made = next(iter(rows.values()))
    return "\n".join((*lines, "", f"{made['as_of']}, {made['source'].partition('; ')[2]}."))


def into_readme(text: str) -> str:
    """The README with its table of these figures made anew."""
    return between(text, BEGIN, END, as_markdown())


def main() -> None:
    sizes = tuple(int(text) for text in sys.argv[1:] if text != "--keep") or PEOPLE
    for what, figures in bench_people(sizes, keep="--keep" in sys.argv):
        print(f"{what:<52} {figures}", flush=True)
    print("{:<52} {}".format(*bench_visits()), flush=True)


if __name__ == "__main__":
    main()
