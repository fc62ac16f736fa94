"""`make bench`: how fast the project is on this machine. Figures to read, not assertions.

Prints cold start to healthy, one `estimate`, a warm plan, `batch` rows per second with the machine named, the price
book's load and search, a long log, p50/p95 of a widget change in a real browser, and how many people one process
serves.
`python -m tests.bench 1 20` asks of those numbers of people only, `python -m tests.bench 0` of none: at most two
minutes for the page and as much for the bare one beside it.
"""

from __future__ import annotations

import csv
import io
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench_decisions import bench_decisions
from tests.bench_logs import bench_logs
from tests.bench_people import BARE_PAGE, PEOPLE, bench_people, quantile
from tests.browser.conftest import ROOT, SHELL, WHOLE, dashboard, installed
from tests.browser.pages import SETTLED, open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

ROWS = 2_000
CHANGES = 30
VIEWS = 7


def say(what: str, figure: str) -> None:
    print(f"{what:<58} {figure}", flush=True)


def bench_commands() -> None:
    command = [sys.executable, "-m", "app", "estimate", "--model", "meta-llama/Llama-3.1-8B-Instruct", "--json"]
    runs = []
    for _ in range(5):
        started = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        runs.append(time.perf_counter() - started)
    say("estimate, one process, automatic machine", f"{statistics.median(runs):.2f} s")


def mixed_cases(rows: int) -> str:
    """Scenarios with the machine named that all succeed: no two of one length, and every kind of load."""
    models = (
        ("meta-llama/Llama-3.1-8B-Instruct", ("", "fp8", "int4")),
        ("Qwen/Qwen3-8B", ("", "fp8", "int8")),
        ("mistralai/Mixtral-8x7B-v0.1", ("", "fp8")),
        ("openai/gpt-oss-20b", ("",)),
        ("google/gemma-3-27b-it", ("", "int4")),
    )
    loads = (("concurrency", 1), ("concurrency", 16), ("rate", 0.5), ("rate", 12), ("load", "max"), ("load", "batch"))
    cases = io.StringIO()
    writer = csv.DictWriter(cases, ("model", "weights", "instance", "prompt", "output", "concurrency", "rate", "load"))
    writer.writeheader()
    for number in range(rows):
        model, weights = models[number % len(models)]
        key, value = loads[number // 5 % len(loads)]
        row = {"model": model, "weights": weights[number // 30 % len(weights)], key: value}
        machine = ("p5.48xlarge", "p5en.48xlarge", "p4de.24xlarge")[number // 7 % 3]
        writer.writerow(row | {"instance": machine, "prompt": 128 + number, "output": 64 + number % 300})
    return cases.getvalue()


def bench_batch() -> None:
    """CPU of this process: in the first run of it, and the median of five more."""
    from app.batch import run_batch
    from app.sources import shared_sources

    text, answers, rates = mixed_cases(ROWS), io.StringIO(), []
    for _ in range(6):
        answers = io.StringIO()
        started = time.process_time()
        done = max(run_batch(io.StringIO(text), answers, shared_sources()))
        rates.append(done / (time.process_time() - started))
    refused = sum(1 for row in csv.DictReader(io.StringIO(answers.getvalue())) if row["error"])
    say(f"batch, {done} rows with the machine named, {refused} refused", f"{statistics.median(rates[1:]):.0f} rows/s")
    say("the same, first run with its tables to read", f"{rates[0]:.0f} rows/s")


def bench_plan() -> None:
    """One plan with the machine named, each of another length, every table read."""
    from app.planning.planner import plan
    from app.scenario import Scenario
    from app.sources import shared_sources

    times = []
    for number in range(300):
        scenario = Scenario(model="meta-llama/Llama-3.1-8B-Instruct", gpu="H100", concurrency=16, prompt=500 + number)
        started = time.process_time()
        plan(scenario, shared_sources())
        times.append(time.process_time() - started)
    say("one plan with the machine named, warm", f"{statistics.median(times) * 1e3:.2f} ms")


def bench_book() -> None:
    from pricing.offers import PriceQuery, PurchaseOption
    from pricing.snapshot import load_snapshot

    started = time.perf_counter()
    book = load_snapshot()
    say("price book, first load", f"{(time.perf_counter() - started) * 1e3:.0f} ms")
    started = time.perf_counter()
    found = book.find(PriceQuery())
    say(f"price book, {len(found):,} offers ranked", f"{(time.perf_counter() - started) * 1e3:.1f} ms")
    started = time.perf_counter()
    book.find(PriceQuery(region="us-east-1", option=PurchaseOption.ON_DEMAND))
    say("price book, one region on demand", f"{(time.perf_counter() - started) * 1e3:.2f} ms")


def bench_explorer() -> None:
    """A book the size of every type in every region under every option, ranked by dollars per GiB-hour."""
    from dataclasses import replace

    from pricing.explorer import Filter, RankBy, explore
    from pricing.offers import Offer, PriceQuery, PurchaseOption
    from pricing.snapshot import load_snapshot
    from pricing.table import OfferTable

    known = load_snapshot().find(PriceQuery(option=PurchaseOption.ON_DEMAND))
    offers: dict[tuple[str, str, PurchaseOption], Offer] = {
        (offer.instance_type, offer.region, option): replace(offer, option=option)
        for offer in known
        for option in PurchaseOption
        if option is not PurchaseOption.OWNED
    }
    book = OfferTable(offers.values())
    times = []
    for _ in range(5):
        started = time.perf_counter()
        explore(book, Filter(), rank_by=RankBy.GIB_HOUR, limit=500)
        times.append(time.perf_counter() - started)
    say(f"{len(offers):,} offers filtered and ranked, first 500", f"{statistics.median(times) * 1e3:.0f} ms")


def bench_memory() -> None:
    """`estimate_memory` alone, with the config parsed."""
    from app.planning.planner import settings_of, workload_of
    from app.scenario import Scenario
    from estimators.architecture import catalogue
    from estimators.hardware.catalogue import find_accelerator
    from estimators.memory import estimate_memory
    from estimators.precision import resolve_precision
    from estimators.workload import Placement

    precisions = [resolve_precision(catalogue.load_spec(entry.id)) for entry in catalogue.entries()]
    chip, scenario = find_accelerator("H200"), Scenario()
    started = time.perf_counter()
    for number in range(1_000):
        precision = precisions[number % len(precisions)]
        estimate_memory(precision, chip, Placement(), workload_of(scenario, 1), settings_of(scenario))
    say("1,000 memory estimates over the catalogue", f"{time.perf_counter() - started:.2f} s")


def bench_page() -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        with dashboard(Path(folder)) as base:
            say("cold start to healthy", f"{time.perf_counter() - started:.2f} s")
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=installed(*WHOLE, SHELL), args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1400, "height": 900})
                started = time.perf_counter()
                open_page(page, base)
                say("first view of a cold process", f"{time.perf_counter() - started:.2f} s")
                times = []
                for number in range(CHANGES):
                    box = page.get_by_label("People at once", exact=True)
                    box.fill(str(2 + number))
                    started = time.perf_counter()
                    box.press("Enter")
                    page.get_by_text(f"Load: {2 + number} requests").first.wait_for(timeout=30_000)
                    times.append(time.perf_counter() - started)
                    page.locator(SETTLED).wait_for()
                say("widget change to new verdict, p50", f"{quantile(times, 0.5) * 1e3:.0f} ms")
                say("widget change to new verdict, p95", f"{quantile(times, 0.95) * 1e3:.0f} ms")
                page.context.close()
                bench_first_views(browser, base)
                browser.close()


def bench_first_views(browser: Browser, base: str) -> None:
    """Of sessions on a process that is warm, in browsers that were never here and in one that was, by turns with a
    page of Streamlit's that has as many boxes and texts."""
    whole = {"[data-testid=stTextInput] >> nth=0": "visible", "[data-testid=stSkeleton]": "hidden"}
    ours = {"#first-answer h1": "visible", ".st-key-verdict h2": "visible", "#first-answer": "hidden"} | whole
    bare = {"BARE_BOXES": "7", "BARE_TEXTS": "16"}
    with tempfile.TemporaryDirectory() as folder, dashboard(Path(folder), 0, "", BARE_PAGE, **bare) as plain:
        views: dict[str, list[list[float]]] = {"ours": [], "again": [], "bare": []}
        for _ in range(VIEWS):
            context = browser.new_context(viewport={"width": 1400, "height": 900})
            views["ours"].append(first_view(context, base, ours))
            views["again"].append(first_view(context, base, ours))
            context.close()
            context = browser.new_context(viewport={"width": 1400, "height": 900})
            views["bare"].append(first_view(context, plain, whole))
            context.close()
    for name, who in (("ours", "a browser that is new"), ("again", "one that was here before")):
        answer, verdict, *_, drawn = [statistics.median(times) for times in zip(*views[name], strict=True)]
        said = f"answer {answer:.2f} s, verdict {verdict:.2f} s, whole page {drawn:.2f} s"
        say(f"first view of a session, {who}", said)
    say("the same of the bare page, new", f"{statistics.median(times[-1] for times in views['bare']):.2f} s")


def first_view(context: BrowserContext, address: str, marks: Mapping[str, str]) -> list[float]:
    """Seconds from asking for the page until each of these is as it says."""
    page = context.new_page()
    started, times = time.perf_counter(), []
    page.goto(address, wait_until="commit")
    for selector, state in marks.items():
        page.locator(selector).wait_for(state="visible" if state == "visible" else "hidden", timeout=30_000)
        times.append(time.perf_counter() - started)
    page.close()
    return times


def main() -> None:
    for what, figure in bench_logs():
        say(what, figure)
    bench_book()
    bench_explorer()
    bench_memory()
    for what, figure in bench_decisions():
        say(what, figure)
    bench_plan()
    bench_batch()
    bench_commands()
    bench_page()
    people = [number for number in map(int, sys.argv[1:] or PEOPLE) if number > 0]
    for what, figure in bench_people(people) if people else ():
        say(what, figure)


if __name__ == "__main__":
    main()
