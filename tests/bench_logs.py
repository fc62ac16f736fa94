"""What a million lines of a vLLM server's log cost of a processor, in the terminal and as much of them as the page
takes: `python -m tests.bench_logs`, which `make bench` runs first, while this process is small. Figures to read.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from app.exploring.traffic_log import read_log
from app.uploads import MOST_OF_A_SESSION
from tests.conftest import ROOT

LINES = 1_000_000
NEWEST = date(2026, 11, 28)


def server_lines(count: int) -> Iterator[str]:
    """What vLLM 0.11 with --enable-log-requests prints: received and answered requests, added ones, throughput every
    ten seconds, and what else is said, half of it with a stamp of a collector in front."""
    draw, now = random.Random(5), datetime(2026, 11, 20, tzinfo=UTC)
    for number in range(count):
        now += timedelta(seconds=draw.expovariate(2.0))
        own = f"INFO {now:%m-%d %H:%M:%S}"
        stamped = f"{now.isoformat(timespec='milliseconds')} " if draw.random() < 0.5 else ""
        caller = f"10.0.{draw.randrange(256)}.{draw.randrange(256)}:{draw.randrange(1024, 65536)}"
        kind = draw.random()
        if number == 0:
            line = f"{own} [utils.py:233] vLLM API server version 0.11.0"
        elif kind < 0.35:
            path = draw.choice(("chat/completions", "completions", "responses"))
            line = f'INFO:     {caller} - "POST /v1/{path} HTTP/1.1" {draw.choice((200, 200, 200, 400))} OK'
        elif kind < 0.55:
            text = "".join(draw.choices("abcdefgh ,.", k=draw.randrange(20, 400)))
            line = (
                f"{own} [logger.py:40] Received request chatcmpl-{draw.getrandbits(64):x}: prompt: '{text}', params: "
                f"SamplingParams(n=1, temperature=0.7, max_tokens={draw.randrange(1, 4096)}, min_tokens=0)."
            )
        elif kind < 0.75:
            line = f"{own} [async_llm.py:321] Added request chatcmpl-{draw.getrandbits(64):x}."
        elif kind < 0.85:
            line = (
                f"(APIServer pid=1) {own} [loggers.py:259] Engine 000: Avg prompt throughput: "
                f"{draw.uniform(0, 9e3):.1f} tokens/s, Avg generation throughput: "
                f"{draw.uniform(0, 3e3):.1f} tokens/s, Running: {draw.randrange(90)} reqs, Waiting: 0 reqs, "
                f"GPU KV cache usage: {draw.uniform(0, 90):.1f}%, Prefix cache hit rate: {draw.uniform(0, 80):.1f}%"
            )
        elif kind < 0.95:
            line = f'INFO:     {caller} - "GET /{draw.choice(("health", "metrics"))} HTTP/1.1" 200 OK'
        else:
            line = f"WARNING {now:%m-%d %H:%M:%S} [protocol.py:82] The following fields were ignored: {{'user'}}"
        yield f"{stamped}{line}\n"


def bench_logs() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.log"
        with path.open("w", encoding="utf-8") as file:
            file.writelines(server_lines(LINES))
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        command = [sys.executable, "-m", "app", "load", "--model", "8B", "--log", str(path)]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        size = f"{path.stat().st_size / 2**20:.0f} MiB"
        yield f"load, a server's log of {LINES:,} lines ({size})", f"{spent.ru_utime - before:.2f} s"
        yield "the same, most memory held", f"{spent.ru_maxrss / 1024:.0f} MiB"
        with path.open(encoding="utf-8") as file:
            lines = file.read(MOST_OF_A_SESSION).splitlines()
        started = time.process_time()
        read_log(lines, NEWEST)
        yield f"{len(lines):,} lines of it, as much as a visit uploads", f"{time.process_time() - started:.2f} s"


if __name__ == "__main__":
    for what, figure in bench_logs():
        print(f"{what:<58} {figure}", flush=True)
