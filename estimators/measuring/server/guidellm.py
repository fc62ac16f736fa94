"""GuideLLM as a program beside us, where it is installed: its report is read like any other.

It looks hosts up again and follows redirects, and takes a key on its command line for all to see. So it is used from a
person's own shell only, and never with a key.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from estimators.measuring.foreign import MAX_REPORT_BYTES, text
from estimators.measuring.jobs.environment import worker_environment
from estimators.measuring.measurement import Measurement
from estimators.measuring.server.guard import Endpoint
from estimators.measuring.server.prompts import synthetic_prompt
from estimators.measuring.server.reports import read_guidellm
from estimators.measuring.server.sweep import SweepPlan
from estimators.provenance import Refusal

OVERRIDE = "RIGHTSIZE_GUIDELLM"


def find_guidellm(environment: Mapping[str, str] = os.environ) -> str | None:
    """Path of the program: RIGHTSIZE_GUIDELLM, else on PATH; None when it is not installed."""
    named = environment.get(OVERRIDE)
    return shutil.which(named) if named else shutil.which("guidellm")


def command(program: str, endpoint: Endpoint, plan: SweepPlan, folder: Path) -> list[str]:
    """GuideLLM 0.7 and 0.8: prompts from a file and tokens counted by the server, so that no tokenizer is fetched."""
    streams = ",".join(map(str, plan.concurrencies))
    requests = max(plan.concurrencies) * plan.requests_per_stream
    model = f",model={plan.model}" if plan.model else ""
    first = plan.concurrencies[0]
    options = {
        "--backend": f"kind=openai_http,target={endpoint.shown}{model},max_tokens={plan.output_tokens}",
        "--data": f"kind=json_file,path={folder / 'prompts.jsonl'}",
        "--profile": f"kind=concurrent,streams={first}",
        "--constraint": f"kind=max_requests,count={requests}",
        "--output": f"kind=json,path={folder / 'report.json'}",
    }
    words = [program, "run", *(word for pair in options.items() for word in pair)]
    return [*words, "--override", "profile.streams", streams, "--disable-progress"]


def measure_with_guidellm(
    program: str, endpoint: Endpoint, plan: SweepPlan, words: int, seconds: float
) -> tuple[Measurement, ...]:
    """Runs GuideLLM and reads what it wrote. Raises `Refusal` when it fails, hangs, or nothing succeeded."""
    with tempfile.TemporaryDirectory(prefix="rightsize-guidellm-") as name:
        folder = Path(name)
        count = sum(plan.concurrencies) * plan.requests_per_stream + 64
        prompts = (json.dumps({"prompt": synthetic_prompt(words, plan.seed + number)}) for number in range(count))
        (folder / "prompts.jsonl").write_text("\n".join(prompts) + "\n", encoding="utf-8")
        try:
            ran = subprocess.run(
                command(program, endpoint, plan, folder),
                env=worker_environment(),
                cwd=folder,
                capture_output=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Refusal(f"GuideLLM did not finish within {seconds:g} s.", field="endpoint") from None
        report = folder / "report.json"
        if ran.returncode or not report.exists() or report.stat().st_size > MAX_REPORT_BYTES:
            said = text(ran.stderr.decode("utf-8", "replace")[-600:])
            raise Refusal(f"GuideLLM failed: {said or 'it said nothing'}", field="endpoint")
        found = read_guidellm(report.read_bytes())
    about = {"accelerator": plan.accelerator, "gpus": plan.gpus, "model": plan.model}
    return found.measurements(engine=plan.engine, weights=plan.weights, **about)  # type: ignore[arg-type]
