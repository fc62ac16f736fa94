"""How well measuring works on this machine: `python -m app.measuring.bench` measures, prints and keeps the figures.

Every figure goes the way a person's click goes: queue, runner, worker, store. Run it on a quiet machine; how busy it
was stands beside each figure.
"""

from __future__ import annotations

import csv
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from app.measuring.accuracy import between
from app.measuring.estimates import device_estimates
from app.measuring.jobs import ROOT, device_assignment, measurement_store, start
from app.measuring.models import SAMPLE, config_of_measured
from estimators.architecture import catalogue
from estimators.measuring.comparison import compare
from estimators.measuring.device.machine import cpu_name
from estimators.measuring.jobs.job_request import DeviceJob, spare_threads
from estimators.measuring.jobs.job_state import JobState, Status
from estimators.measuring.jobs.process import device_key, lock_path, try_lock
from estimators.measuring.jobs.store import MeasurementStore
from estimators.measuring.measurement import Measurement
from estimators.precision import Weights

TABLE = ROOT / "estimators" / "measuring" / "data" / "figures.csv"
COLUMNS = ("figure", "case", "value", "unit", "target", "source", "as_of")
MODELS = ("HuggingFaceTB/SmolLM2-135M-Instruct", "HuggingFaceTB/SmolLM2-360M-Instruct", "Qwen/Qwen2.5-0.5B-Instruct")
REPEATS = 5
REQUESTS = 200
EVERY_S = 0.2
BLOCKS = 10  # of requests with and without the measurement, in turn
IDLE_MODEL = MODELS[2]  # keeps the device busy for as long as requests are sent

Row = dict[str, object]


def job(model: str, weights: Weights = Weights.BF16, **more: object) -> DeviceJob:
    config = config_of_measured(model, catalogue.load_config)
    shape = {"prompt_tokens": 256, "output_tokens": 32, "threads": spare_threads()} | more
    return DeviceJob(model=model, config=config, weights=weights, **shape)  # type: ignore[arg-type]


def finished(store: MeasurementStore, job_id: int) -> JobState:
    while (state := store.job(job_id)) is None or state.open:
        time.sleep(0.05)
    return state


def measured(store: MeasurementStore, asked: DeviceJob) -> Measurement:
    state = finished(store, start(store, device_assignment(asked), "figures"))
    if state.status is not Status.DONE:
        raise SystemExit(f"{asked.model}: {state.message}")
    return store.find(state.results)[0]


def row(figure: str, case: str, value: float, unit: str, target: str) -> Row:
    busy = os.getloadavg()[0]
    source = f"python -m app.measuring.bench; {cpu_name()}, {os.cpu_count()} cores, load average {busy:.1f}"
    made = (figure, case, f"{value:.4g}", unit, target, source, f"{datetime.now(UTC):%Y-%m-%d}")
    print(f"{figure:<44} {case:<52} {value:8.3g} {unit:<8} target {target} (load {busy:.1f})", flush=True)
    return dict(zip(COLUMNS, made, strict=True))


def repeated_medians(store: MeasurementStore) -> Iterator[Row]:
    """Largest over smallest of the medians of one case, less one."""
    made = [measured(store, job(MODELS[0], benchmark=False)) for _ in range(REPEATS)]
    case = f"{MODELS[0]}, bf16, 256 + 32 tokens, {REPEATS} times"
    for name, spreads in (("first token", [m.ttft_s for m in made]), ("a token", [m.itl_s for m in made])):
        medians = [spread.median for spread in spreads if spread is not None]
        yield row(f"repeated medians, {name}", case, 100 * (max(medians) / min(medians) - 1), "%", "5")


def first_figure(store: MeasurementStore) -> Iterator[Row]:
    """From the click to the measurement in the store, micro-benchmark of the device included."""
    asked = job(SAMPLE, prompt_tokens=512, output_tokens=64)
    started = time.monotonic()
    measured(store, asked)
    yield row("click to first figure", f"{SAMPLE}, bf16, 512 + 64 tokens", time.monotonic() - started, "second", "30")


def estimates(store: MeasurementStore) -> Iterator[Row]:
    """How far the estimate from the micro-benchmark is from the measurement."""
    for weights in (Weights.BF16, Weights.FP32):
        for model in MODELS:
            asked = job(model, weights)
            made = measured(store, asked)
            for found in compare(made, **device_estimates(store, made, asked.config)):
                if found.key in ("ttft_s", "itl_s") and found.ratio:
                    case = f"{model}, {weights.value}, 256 + 32 tokens"
                    yield row(f"estimate off, {found.label.lower()}", case, 100 * (1 / found.ratio - 1), "%", "25")


def cancelling(store: MeasurementStore) -> Iterator[Row]:
    """From asking to the device's lock being free, while a model runs."""
    job_id = start(store, device_assignment(job(IDLE_MODEL, benchmark=False)), "figures")
    while (state := store.job(job_id)) is None or not state.message.startswith("run"):
        time.sleep(0.02)
    started = time.monotonic()
    store.cancel(job_id)
    with lock_path(device_key("cpu")).open("w") as file:
        while not try_lock(file.fileno()):
            time.sleep(0.01)
        took = time.monotonic() - started
    finished(store, job_id)
    yield row("cancel to a free device", f"{IDLE_MODEL}, bf16, while it runs", took, "second", "5")


def other_people(store: MeasurementStore) -> Iterator[Row]:
    """Rise of the 95th percentile of estimate requests to a running dashboard while the CPU is measured.

    The measurement is held and let go in turn, so that whatever else the machine does weighs on both alike.
    """
    during: list[float] = []
    without: list[float] = []
    with dashboard() as address:
        requests(address, 30)
        job_id = start(
            store, device_assignment(job(IDLE_MODEL, seconds=240.0, prompt_tokens=1024, output_tokens=1024)), "figures"
        )
        while (state := store.job(job_id)) is None or not state.message.startswith("run"):
            time.sleep(0.05)
        for _ in range(BLOCKS):
            during += requests(address, REQUESTS // BLOCKS)
            with held_workers():
                without += requests(address, REQUESTS // BLOCKS)
        still = (state := store.job(job_id)) is not None and state.open
        store.cancel(job_id)
        finished(store, job_id)
    if not still:
        raise SystemExit("The measurement ended before the requests did: measure a larger model.")
    case = f"{REQUESTS} estimates at {1 / EVERY_S:.0f} a second, {1e3 * p95(without):.1f} ms without"
    yield row("other people's p95 during a measurement", case, 100 * (p95(during) / p95(without) - 1), "%", "20")


@contextmanager
def held_workers() -> Iterator[None]:
    """Stops the workers of measurements for a while."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            if b"estimators.measuring.device.worker" in path.read_bytes():
                found.append(int(path.parent.name))
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in found:
            os.kill(pid, signal.SIGCONT)


def p95(seconds: Sequence[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


def requests(address: str, count: int) -> list[float]:
    """Times of requests that come at fixed moments, each the question of the first screen for another prompt."""
    taken = []
    for number in range(count):
        due = time.monotonic() + EVERY_S
        scenario = f"model=meta-llama/Llama-3.1-8B-Instruct&prompt={512 + 7 * number}&output=64"
        started = time.monotonic()
        with urllib.request.urlopen(f"{address}/api/v1/estimate?{scenario}", timeout=30) as answer:  # noqa: S310
            answer.read()
        taken.append(time.monotonic() - started)
        time.sleep(max(0.0, due - time.monotonic()))
    return taken


@contextmanager
def dashboard() -> Iterator[str]:
    """A dashboard of this checkout on a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "app", "serve", "--address", "127.0.0.1", "--port", str(port)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **quiet)  # type: ignore[call-overload]
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{address}/_stcore/health", timeout=2).close()  # noqa: S310
                break
            except OSError:
                time.sleep(0.2)
        yield address
    finally:
        os.killpg(server.pid, 15)
        server.wait(10)


BEGIN, END = "<!-- figures:begin -->", "<!-- figures:end -->"


def as_markdown() -> str:
    """The figures, each at its worst case."""
    with TABLE.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    lines = ["| what | worst | target | of | on |", "|---|---|---|---|---|"]
    for figure in dict.fromkeys(found["figure"] for found in rows):
        cases = [found for found in rows if found["figure"] == figure]
        worst = max(cases, key=lambda found: abs(float(found["value"])))
        of = worst["case"] if len(cases) == 1 else f"{len(cases)} cases, {worst['case']}"
        unit = {"second": " s", "%": " %"}[worst["unit"]]
        busy = worst["source"].partition("; ")[2]
        value = f"{float(worst['value']):.2g}{unit}"
        lines.append(f"| {figure} | {value} | {worst['target']}{unit} | {of} | {busy}, {worst['as_of']} |")
    return "\n".join(lines)


def into_readme(text: str) -> str:
    """The README with its table of these figures made anew."""
    return between(text, BEGIN, END, as_markdown())


FIGURES = (first_figure, cancelling, repeated_medians, estimates, other_people)


def main(names: Sequence[str]) -> int:
    """Measures the figures named, or all, and replaces their rows in the table and in the README."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["RIGHTSIZE_DATA"] = folder
        os.environ.pop("DATABASE_URL", None)
        os.environ.pop("RAY_ADDRESS", None)
        store = measurement_store()
        made = [found for figure in FIGURES if not names or figure.__name__ in names for found in figure(store)]
    replaced = {found["figure"] for found in made}
    kept = []
    if TABLE.exists():
        with TABLE.open(newline="", encoding="utf-8") as file:
            kept = [old for old in csv.DictReader(file) if old["figure"] not in replaced]
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept + made)
    readme = ROOT / "README.md"
    readme.write_text(into_readme(readme.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
