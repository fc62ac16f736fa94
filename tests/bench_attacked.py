"""What attacks cost one process: `python -m tests.bench_attacked`. Figures to read, not assertions.

The dearest question link and what others feel beside it, memory after each of four attacks, absurd prices believed, and
starts with databases that are broken, slow or somebody else's. Quiet and attacked spells take turns, so that a busy
machine is as busy in both.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests import attacks
from tests.attacks import Target
from tests.bench_people import quantile
from tests.browser.conftest import dashboard

SPELLS, SPELL_S = 4, 8.0


def spell(base: str) -> list[float]:
    """Seconds in which pages of others were drawn, one after another."""
    times, end = [], time.monotonic() + SPELL_S
    while time.monotonic() < end:
        times.append(attacks.served(base))
        time.sleep(0.1)
    return times


def bench_dear(of: Target) -> Iterator[tuple[str, str]]:
    quiet: list[float] = []
    beside: list[float] = []
    dear: list[float] = []

    def keep_asking(stop: threading.Event) -> None:
        while not stop.is_set():
            dear.extend(drawn.seconds for drawn in attacks.dear_questions(of.base, (20,)))

    before = of.process.cpu_times()
    alone = attacks.dear_questions(of.base, (20, 20, 20))
    after = of.process.cpu_times()
    cpu_s = (after.user + after.system - before.user - before.system) / len(alone)
    yield "the dearest question link, alone", f"{min(one.seconds for one in alone):.1f} s, {cpu_s:.1f} s of a processor"
    for _ in range(SPELLS):
        quiet += spell(of.base)
        stop = threading.Event()
        thread = threading.Thread(target=keep_asking, args=(stop,))
        thread.start()
        beside += spell(of.base)
        stop.set()
        thread.join()
    said = [f"{quantile(times, 0.5):.2f} / {quantile(times, 0.95):.2f} s" for times in (quiet, beside)]
    yield "a page of others, p50 / p95, quiet", said[0]
    rise = quantile(beside, 0.95) / quantile(quiet, 0.95) - 1
    yield "the same beside dear questions without end", f"{said[1]}, p95 {rise:+.0%}"


def bench_memory(of: Target) -> Iterator[tuple[str, str]]:
    kinds: dict[str, Callable[[], object]] = {
        "five dear questions": lambda: attacks.dear_questions(of.base, (20,) * 5),
        "120 files of 4.9 MB": lambda: attacks.uploads(of.base),
        "40 messages of 7 MB": lambda: attacks.large_messages(of.base),
        "200 foreign handshakes": lambda: attacks.foreign_handshakes(of.base, 200),
        "60 regions there are none of": lambda: attacks.unknown_regions(of.base),
    }
    for kind, attack in kinds.items():
        before = of.memory_bytes
        attack()
        time.sleep(2)
        yield f"memory after {kind}", f"{(of.memory_bytes - before) / 1e6:+.0f} MB"


def bench_prices(of: Target) -> tuple[str, str]:
    absurd = attacks.absurd_prices(of)
    with attacks.Visitor(of.base) as visit:
        while not visit.open("prices", "region=us-west-2").says("not believed"):
            time.sleep(0.5)
    plans = [attacks.plan_of(of.base, model="0.5B", instance=kind, region="us-west-2") for kind in absurd]
    return "absurd prices believed", f"{sum(plan['price_source'] == 'live' for plan in plans)} of {len(absurd)}"


def bench_starts() -> Iterator[tuple[str, str]]:
    """Seconds to healthy, beside those with nothing set."""
    deaf = socket.socket()
    deaf.bind(("127.0.0.1", 0))
    deaf.listen(1)
    with tempfile.TemporaryDirectory() as folder:
        broken = Path(folder) / "broken.db"
        broken.write_bytes(os.urandom(8192))
        urls = {
            "nothing set": "",
            "a file that is no database": f"sqlite:///{broken}",
            "a PostgreSQL that never answers": f"postgresql://a:b@127.0.0.1:{deaf.getsockname()[1]}/x",
            "a PostgreSQL that is not there": "postgresql://a:b@127.0.0.1:9/x",
            "an address with @ in its password": "postgresql://a:p@ss:word@127.0.0.1/x",
            "another kind of database": "mysql://a:b@127.0.0.1/x",
        }
        for name, url in urls.items():
            place = Path(folder) / str(len(name))
            place.mkdir()
            started = time.monotonic()
            with dashboard(place, DATABASE_URL=url, RIGHTSIZE_LIVE_PRICES="0"):
                yield f"start with {name}", f"{time.monotonic() - started:.1f} s"


def main() -> None:
    def say(what: str, figure: str) -> None:
        print(f"{what:<52} {figure}", flush=True)

    with tempfile.TemporaryDirectory() as folder, attacks.target(Path(folder)) as of:
        attacks.served(of.base)
        for what, figure in bench_dear(of):
            say(what, figure)
        for what, figure in bench_memory(of):
            say(what, figure)
        say(*bench_prices(of))
    for what, figure in bench_starts():
        say(what, figure)


if __name__ == "__main__":
    main()
