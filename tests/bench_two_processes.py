"""How many people two processes behind nginx serve, beside one: `python -m tests.bench_two_processes`.

As docs/nginx.conf has them; needs nginx (`apt-get install nginx-light`) and takes about three minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import tempfile
from pathlib import Path

import psutil

from tests.app.test_two_processes import nginx
from tests.bench_people import Served, quantile, serve
from tests.browser.conftest import dashboard, free_port

PEOPLE = (100, 150)


def one_process() -> list[Served]:
    with tempfile.TemporaryDirectory() as folder, dashboard(Path(folder)) as base:
        return served(base)


def two_processes() -> list[Served]:
    ports, own = (free_port(), free_port()), free_port()
    with contextlib.ExitStack() as stack:
        for port in ports:
            stack.enter_context(dashboard(Path(stack.enter_context(tempfile.TemporaryDirectory())), port))
        stack.enter_context(nginx(Path(stack.enter_context(tempfile.TemporaryDirectory())), own, list(ports)))
        return served(f"http://127.0.0.1:{own}")


def served(base: str) -> list[Served]:
    fresh, process = itertools.count(2), psutil.Process().children()[0]
    for _ in range(4):  # what only the first visitor of each process waits for
        asyncio.run(serve(base, 1, fresh, process))
    return [asyncio.run(serve(base, people, fresh, process)) for people in PEOPLE]


def main() -> None:
    for name, measured in (("one process", one_process), ("two behind nginx", two_processes)):
        for found in measured():
            p50, p95 = (1e3 * quantile(found.changed_s, share) for share in (0.5, 0.95))
            print(f"{name}, {found.people} people, a change, p50 / p95   {p50:.0f} / {p95:.0f} ms", flush=True)


if __name__ == "__main__":
    main()
