"""Keeps the record of calibrations: `python -m app.exploring.record_calibration`, after tables or formulas changed.

A link made with a version of the record is told from one that nobody's version made, so every version that people
make links with needs its row. A row is added where the tables are new, or where the same tables give other figures
of the reference plans: a formula changed, and the version's first number rises.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import parse_qsl

from app.exploring.calibration import RECORD, Calibration, formula_version, recorded
from app.exploring.decision_link import figures_of
from app.planning.planner import plan
from app.scenario import decode
from app.sources import LocalSources
from estimators.architecture.hub.client import HubClient
from pricing.table import OfferTable

COMMAND = "python -m app.exploring.record_calibration"
# One plan for each way a figure is made; prices are given, so that no book speaks.
REFERENCE_PLANS = (
    "model=meta-llama/Llama-3.1-8B-Instruct&instance=g6.xlarge&price=1",
    "model=mistralai/Mixtral-8x7B-Instruct-v0.1&instance=g6e.12xlarge&rate=9&ttft=2&prompt=2000&prefix=0.3&price=1",
    "model=meta-llama/Llama-3.3-70B-Instruct&weights=int4&kv=fp8&spec=eagle&concurrency=8&instance=g6e.12xlarge&price=1",
    "model=openai/gpt-oss-120b&gpu=H100&gpus=2&concurrency=30&engine=sglang&buy=owned&price=1",
    "model=deepseek-ai/DeepSeek-R1&instance=p5en.48xlarge&ep=8&concurrency=64&price=1",
    "model=meta-llama/Llama-3.1-405B-Instruct&instance=p5.48xlarge&gpus=8&pp=2&concurrency=4&price=1",
    "model=Qwen/Qwen3-32B&weights=fp8&instance=p5.48xlarge&gpus=1&engine=tensorrt-llm&concurrency=16&price=1",
    "model=Qwen/Qwen3-8B&instance=g5.xlarge&engine=transformers&price=1",
    "params=30&active=3&weights=int8&load=batch&concurrency=500&instance=g6.12xlarge&price=1",
)
SAME = 0.001  # figures this close came of the same formulas; a processor's rounding stays far below


def reference_figures() -> str:
    """The figures of the reference plans: one plan a word, its figures between slashes."""
    sources = LocalSources(OfferTable(()), HubClient(offline=True))  # type: ignore[arg-type]
    plans = (plan(decode(dict(parse_qsl(query))).scenario, sources) for query in REFERENCE_PLANS)
    return " ".join("/".join(f"{figure:.6g}" for figure in figures_of(answer).values()) for answer in plans)


def moved(then: str, now: str) -> bool:
    """Whether a figure changed by more than `SAME`, came or went."""
    before, after = ([float(figure) for figure in text.replace("/", " ").split()] for text in (then, now))
    if len(before) != len(after):
        return True
    return not all(math.isclose(was, is_now, rel_tol=SAME) for was, is_now in zip(before, after, strict=True))


def missing(version: str, known: Mapping[str, Calibration], figures: str) -> str | None:
    """The version that the record lacks, or None where it is complete."""
    row = known.get(version)
    if row is None:
        return version
    if not moved(row.figures, figures):
        return None
    number, _, digest = version.partition("-")
    return f"{int(number) + 1}-{digest}"


def record(path: Path, version: str, figures: str, today: date) -> None:
    with path.open("a", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerow((version, figures, COMMAND, today.isoformat()))


def main() -> None:
    figures = reference_figures()
    version = missing(formula_version(), recorded(), figures)
    if version is None:
        print(f"{formula_version()} is on record.")
        return
    record(RECORD, version, figures, datetime.now(UTC).date())
    print(f"{version} is now on record: commit {RECORD.name}.")


if __name__ == "__main__":
    main()
