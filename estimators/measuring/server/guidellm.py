"""GuideLLM as a program beside us, where it is installed: its report is read like any other.

What it is told lies in a file of a folder that only this user can read, a key with it: nothing on a command line. It
follows no redirect and goes to the address that was checked; where TLS needs the name, it verifies the certificate.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from estimators.measuring.foreign import MAX_REPORT_BYTES, text
from estimators.measuring.jobs.environment import ROOT, worker_environment
from estimators.measuring.measurement import Measurement
from estimators.measuring.server.connection import ServerFailure
from estimators.measuring.server.endpoint import Client
from estimators.measuring.server.guard import Endpoint
from estimators.measuring.server.prompts import synthetic_prompt
from estimators.measuring.server.reports import read_guidellm
from estimators.measuring.server.sweep import EndpointUnusable, Progress, SweepPlan, check_plan, probed
from estimators.provenance import Refusal

OVERRIDE = "RIGHTSIZE_GUIDELLM"
START_S = 60.0  # beside a level's own seconds: its processes start and its report is written
_PROGRESS = re.compile(r"successful=(\d+)")


def find_guidellm(environment: Mapping[str, str] = os.environ) -> str | None:
    """Path of the program: RIGHTSIZE_GUIDELLM, else of `make serving-setup`, else on PATH; None where there is none."""
    named = environment.get(OVERRIDE)
    own = str(ROOT / ".venv-serving" / "bin" / "guidellm")
    return shutil.which(named or own) or (None if named else shutil.which("guidellm"))


def scenario(endpoint: Endpoint, plan: SweepPlan, model: str, concurrency: int, folder: Path, api_key: str) -> object:
    """One load level in the words of GuideLLM 0.8: prompts from a file and tokens counted by the server, so that no
    tokenizer is fetched."""
    shown = endpoint.shown
    backend: dict[str, object] = {"kind": "openai_http", "model": model, "max_tokens": plan.output_tokens}
    backend |= {"follow_redirects": False, "verify": True, "http2": False}
    if endpoint.scheme == "http":  # the address that was checked; the name goes along as a header
        address = f"[{endpoint.address}]" if ":" in endpoint.address else endpoint.address
        shown = f"http://{address}:{endpoint.port}{endpoint.path}"
        backend["extras"] = {"headers": {"Host": endpoint.authority}}
    if api_key:
        backend["api_key"] = api_key
    return {
        "spec": {
            "backend": backend | {"target": shown},
            "profile": {"kind": "concurrent", "streams": concurrency},
            "data": [{"kind": "json_file", "path": str(folder / "prompts.jsonl")}],
            "constraints": [
                {"kind": "max_requests", "count": concurrency * plan.requests_per_stream},
                {"kind": "max_duration", "seconds": plan.seconds_per_level},
            ],
            "outputs": [{"kind": "json", "path": str(folder / "report.json")}],
        }
    }


def measure_with_guidellm(
    program: str, client: Client, endpoint: Endpoint, plan: SweepPlan, progress: Progress, api_key: str = ""
) -> Iterator[Measurement]:
    """One measurement per concurrency, each as it is there. Raises `Refusal` when a run fails, hangs, or none succeeds.

    Our own client asks first, for the model's name and for the words that make the prompt as long as asked.
    """
    check_plan(plan)
    progress(0.0, "asking the server for its model")
    try:
        model, words, _ = probed(client, plan)
    except ServerFailure as failure:
        raise EndpointUnusable(str(failure), field="endpoint", remedy="Check that the server runs.") from None
    levels = len(plan.concurrencies)
    for position, concurrency in enumerate(plan.concurrencies):
        asked = concurrency * plan.requests_per_stream

        def told(answered: int, position: int = position, concurrency: int = concurrency, asked: int = asked) -> None:
            share = (position + min(1.0, answered / asked)) / levels
            progress(share, f"GuideLLM, {concurrency} in flight: {answered} of {asked} answered")

        told(0)
        with tempfile.TemporaryDirectory(prefix="rightsize-guidellm-") as name:
            folder = Path(name)
            seeds = range(plan.seed + 1_000_003 * concurrency, plan.seed + 1_000_003 * concurrency + asked + 64)
            prompts = (json.dumps({"prompt": synthetic_prompt(words, seed)}) for seed in seeds)
            (folder / "prompts.jsonl").write_text("\n".join(prompts) + "\n", encoding="utf-8")
            wanted = scenario(endpoint, plan, model, concurrency, folder, api_key)
            (folder / "scenario.json").write_text(json.dumps(wanted), encoding="utf-8")
            run(program, folder, plan.seconds_per_level + START_S, told)
            found = read_guidellm((folder / "report.json").read_bytes())
        yield from found.measurements(
            engine=plan.engine, weights=plan.weights, accelerator=plan.accelerator, gpus=plan.gpus, model=model
        )
    progress(1.0, "done")


def run(program: str, folder: Path, seconds: float, told: Callable[[int], None]) -> None:
    """Runs one level to its report, telling requests answered as its log does. Raises `Refusal`."""
    words: list[str] = []
    ran = subprocess.Popen(
        [program, "run", "--config", str(folder / "scenario.json"), "--disable-progress"],
        env=worker_environment() | {"GUIDELLM__LOGGING__CONSOLE_LOG_LEVEL": "INFO"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    late = threading.Event()

    def give_up() -> None:
        late.set()
        ran.kill()

    watch = threading.Timer(seconds, give_up)
    watch.start()
    try:
        with ran:
            for line in ran.stderr or ():
                words = [*words, line][-12:]
                if answered := _PROGRESS.search(line):
                    told(int(answered[1]))
    finally:
        watch.cancel()
    if late.is_set():
        raise Refusal(f"GuideLLM did not finish within {seconds:g} s.", field="endpoint")
    report = folder / "report.json"
    if ran.returncode or not report.exists() or report.stat().st_size > MAX_REPORT_BYTES:
        raise Refusal(f"GuideLLM failed: {text(''.join(words)[-600:]) or 'it said nothing'}", field="endpoint")
