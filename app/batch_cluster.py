"""A batch of very many rows spread over a Ray cluster: the same rows, order and bytes as on this machine.

As a program it runs in the environment that has Ray. Specs and prices are read there once and sent to every node, so
that a node needs no network, no keys and no database, and all rows are answered from the same prices.
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from app.batch import Row, answer, run_batch
from app.planning.planner import Sources
from app.scenario import decode
from estimators.architecture.spec import ModelSpec
from estimators.measuring.jobs.environment import ROOT, cluster_environment, ray_address, ray_python
from estimators.measuring.measurement import Measurement
from estimators.provenance import Refusal
from estimators.workload import NAMED_DRAFTERS
from pricing.offers import PriceQuery
from pricing.table import OfferTable

MANY_ROWS = 10_000  # below, answering here takes seconds, about as long as connecting
ROWS_OF_A_PIECE = 100
PASSED = ("HF_", "AWS_", "RIGHTSIZE_", "DATABASE_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")  # to the Hub and store


def worth_spreading(cases: Path) -> bool:
    """Whether a cluster is named and the file has at least so many lines."""
    if not ray_address():
        return False
    try:
        with cases.open("rb") as file:
            return sum(1 for _ in islice(file, MANY_ROWS + 1)) > MANY_ROWS
    except OSError:
        return False


def in_ray_environment(cases: Path, output: Path) -> int:
    """Runs the batch in the environment that has Ray; its exit status."""
    try:
        command = [str(ray_python()), "-m", "app.batch_cluster", str(cases.resolve()), str(output.resolve())]
    except Refusal as refusal:
        print(f"error: {refusal}", file=sys.stderr)
        return 2
    mine = {key: value for key, value in os.environ.items() if key.startswith(PASSED)}
    return subprocess.call(command, cwd=ROOT, env=mine | cluster_environment() | _online(mine))


def _online(mine: Mapping[str, str]) -> dict[str, str]:
    """The Hub may be asked here, unlike from a measurement, unless this machine says otherwise."""
    return {key: mine.get(key, "0") for key in ("HF_HUB_OFFLINE",)} | {"TRANSFORMERS_OFFLINE": "0"}


@dataclass(frozen=True)
class RecordedSources:
    """Everything the rows of a batch read, answered from memory as it was answered once."""

    book: OfferTable
    specs: Mapping[str, ModelSpec]
    refusals: Mapping[str, Mapping[str, str]]  # arguments of a `Refusal`, which cannot travel itself
    sizes: Mapping[str, int | None]
    logs: tuple[Measurement, ...] = ()

    def spec(self, model: str) -> ModelSpec:
        if model in self.specs:
            return self.specs[model]
        raise Refusal(**self.refusals[model])

    def file_bytes(self, model: str) -> int | None:
        return self.sizes.get(model)


def record(models: Iterable[str], sources: Sources) -> RecordedSources:
    """The sources' answers to these models, refusals too, and all prices."""
    specs: dict[str, ModelSpec] = {}
    refusals: dict[str, Mapping[str, str]] = {}
    for model in models:
        try:
            specs[model] = sources.spec(model)
        except Refusal as refusal:
            refusals[model] = {"message": refusal.message, "field": refusal.field, "remedy": refusal.remedy}
    sizes = {model: sources.file_bytes(model) for model in specs}
    return RecordedSources(OfferTable(sources.book.find(PriceQuery())), specs, refusals, sizes)


def answer_piece(sources: RecordedSources, piece: Sequence[Row]) -> list[Row]:
    """Runs on a node: the answers to some rows."""
    return [answer(row, sources) for row in piece]


def pieces_of(rows: Iterable[Row], size: int = ROWS_OF_A_PIECE) -> Iterator[list[Row]]:
    left = iter(rows)
    while piece := list(islice(left, size)):
        yield piece


def main(arguments: Sequence[str]) -> int:
    """Answers the rows of the first file into the second; `python -m app batch` starts it."""
    from app.sources import shared_sources
    from estimators.measuring.jobs.cluster import connect, spread

    cases, output = map(Path, arguments)
    started, done = time.perf_counter(), 0
    partial = output.with_name(output.name + ".part")
    try:
        ray = connect(ray_address(), ["app", "estimators", "pricing"])
        nodes = sum(1 for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU"))

        def on_the_cluster(rows: Iterable[Row], sources: Sources) -> Iterator[Row]:
            recorded = record(models_of(cases), sources)
            for answered in spread(ray, answer_piece, recorded, pieces_of(rows)):
                yield from answered

        with (
            cases.open(newline="", encoding="utf-8-sig") as source,
            partial.open("w", newline="", encoding="utf-8") as target,
        ):
            for done in run_batch(source, target, shared_sources(), on_the_cluster):
                if done % 5000 == 0:
                    print(f"{done} rows", file=sys.stderr)
    except (OSError, UnicodeDecodeError, Refusal) as error:
        partial.unlink(missing_ok=True)
        print(f"error: {error}", file=sys.stderr)
        return 2
    partial.replace(output)
    print(f"{done} rows in {time.perf_counter() - started:.2f} s on {nodes} nodes -> {output}", file=sys.stderr)
    return 0


def models_of(cases: Path) -> list[str]:
    """Every model and draft the rows name, once each, as a scenario reads them."""
    found: dict[str, None] = {}
    seen: set[tuple[str, str]] = set()
    with cases.open(newline="", encoding="utf-8-sig") as source:
        for row in csv.DictReader(source):
            named = (row.get("model") or "", row.get("spec") or "")
            if named in seen:
                continue
            seen.add(named)
            asked = {key: value for key, value in zip(("model", "spec"), named, strict=True) if value.strip()}
            scenario = decode(asked).scenario
            draft = None if scenario.spec in NAMED_DRAFTERS else scenario.spec
            found |= dict.fromkeys(filter(None, (scenario.model, draft)))
    return list(found)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
