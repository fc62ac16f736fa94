"""Percentiles as publications print them, beside the estimate's own: how far its spread is off, and its value.

The spread is a percentile over the median: it has no fitted constant, but how much lengths vary where a loop does not
print it (`length_sigma`) was chosen on these loops, and rates are those of the fit that saw the publication. The value
stands on the mean that a fit without the publication gives. `python -m estimators.fitting.percentiles` rebuilds
the record that the accuracy command and page read.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import NormalDist, median

from estimators.fitting.held_out import checked
from estimators.fitting.latency_cases import FitCase, make_case
from estimators.fitting.latency_measured import row_of, table
from estimators.fitting.tables import RECORDS, write_table
from estimators.latency.calibration import case_rates
from estimators.latency.numeric import FLOATS
from estimators.latency.quantiles import alone, among_others
from estimators.latency.serving import Request, Scheduler, Server, Steady
from estimators.provenance import number, read_table
from estimators.workload import Load

PRINTED, RECORD = RECORDS / "percentiles.csv", RECORDS / "percentile_record.csv"
LEVELS = {"p90_s": 0.90, "p95_s": 0.95, "p99_s": 0.99}
_CLASSES, _DRAWS = 20, 100  # lengths of equal share that requests are put into, and levels of each
_NAMES = {"ttft": "first token", "tpot": "time per token of a request", "e2e": "whole request", "gap": "between tokens"}
_METRIC = {"gap": "tpot"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentileScore:
    """How far percentiles of one kind of load and figure are from printed ones."""

    load: str
    figure: str
    level: int
    rows: int
    publications: int
    printed: float  # median of percentile over median
    estimated: float
    error: float  # median of |estimated / printed - 1| of that
    value_error: float  # the same of the percentile itself, its mean without the publication


def scores() -> list[PercentileScore]:
    """What `record` last wrote, by load, figure and level."""
    groups: dict[tuple[str, str, int], list[dict[str, str]]] = {}
    for row in read_table(RECORD):
        groups.setdefault((row["load"], _NAMES[row["figure"]], int(row["level"])), []).append(row)
    return [_score(key, rows) for key, rows in groups.items()]


def _score(key: tuple[str, str, int], rows: Sequence[dict[str, str]]) -> PercentileScore:
    def off(estimated: str, printed: str) -> float:
        return median(abs(float(row[estimated]) / float(row[printed]) - 1.0) for row in rows)

    return PercentileScore(
        load=key[0], figure=key[1], level=key[2], rows=len(rows),
        publications=len({row["publication"] for row in rows}),
        printed=median(float(row["spread_printed"]) for row in rows),
        estimated=median(float(row["spread"]) for row in rows),
        error=off("spread", "spread_printed"), value_error=off("without_publication_s", "printed_s"),
    )  # fmt: skip


def left_out() -> list[tuple[str, str]]:
    """(row, why) of printed percentiles that nothing can be held against."""
    return [(row["id"], row["left_out"]) for row in read_table(PRINTED) if row["left_out"]]


def record(today: str) -> None:
    """Writes every printed percentile beside the estimate's."""
    header = ("load", "figure", "level", "id", "publication", "printed_s", "spread_printed", "spread",
              "without_publication_s", "source", "as_of")  # fmt: skip
    write_table(RECORD, header, [(*line, "percentiles.csv", today) for line in sorted(_lines())])


def _lines() -> Iterator[tuple[object, ...]]:
    cells = {row["id"]: row for row in table()}
    means = {(figure.id, figure.metric): figure.without_publication for figure in checked()}
    for printed in read_table(PRINTED):
        case = None if printed["left_out"] else make_case(row_of(cells[printed["id"]]))
        mean = means.get((printed["id"], _METRIC.get(printed["figure"], printed["figure"])))
        if case is None or mean is None:
            continue
        sigma, most = number(printed["length_sigma"]), number(printed["most_output"])
        estimate = _Percentiles(case, printed["figure"], sigma, most)
        if estimate.beyond:
            continue
        load = case.row.kind.replace("_", " ")
        for column, level in LEVELS.items():
            if printed[column]:
                late, spread = float(printed[column]), estimate.at(level) / estimate.at(0.5)
                over = late / float(printed["p50_s"])
                value = mean * estimate.at(level) / estimate.mean
                yield (load, printed["figure"], round(100 * level), printed["id"], case.row.publication,
                       printed[column], f"{over:.4g}", f"{spread:.4g}", f"{value:.4g}")  # fmt: skip


class _Percentiles:
    """One figure of one case at any level, over requests whose lengths are log-normal where the row says so."""

    def __init__(self, case: FitCase, figure: str, sigma: float | None, most_output: float | None) -> None:
        self._case, self._figure = case, figure
        scheduler = Scheduler(
            chunk=case.chunk, mixes=case.mixes, running=case.running, poll=case.row.poll_steps,
            graph_context=case.graph_context,
        )  # fmt: skip
        request = Request(prompt=case.prompt, cached=case.cached, output=case.output)
        self._server = Server(case.shard, case_rates(case.context), scheduler, request, FLOATS)
        is_rate = case.row.kind == "open_loop"
        self.beyond = is_rate and case.load >= float(self._server.full().requests_per_s)
        self._state = self._server.arrivals(case.load) if is_rate else self._server.closed(case.load)
        self._steps = self._step_times() if figure == "gap" else []
        self._pool = sorted(self._drawn(sigma, most_output or math.inf)) if sigma else []

    @property
    def mean(self) -> float:
        return float(getattr(self._state, _METRIC.get(self._figure, self._figure)))

    def at(self, level: float) -> float:
        if self._steps:
            return next((seconds for seconds, reached in self._steps if reached >= level), self._steps[-1][0])
        if self._pool:
            return self._pool[min(len(self._pool) - 1, int(level * len(self._pool)))]
        return self._of(self._state, self._server.request, level)

    def _of(self, state: Steady, request: Request, level: float) -> float:
        if self._case.row.kind == "single_stream":
            found = alone(state, level)
        else:
            load = Load.RATE if self._case.row.kind == "open_loop" else Load.CONCURRENCY
            found = among_others(state, request, load, False, FLOATS, level)
        return float(dict(zip(("ttft", "tpot", "e2e"), found, strict=True))[self._figure])

    def _drawn(self, sigma: float, most_output: float) -> Iterator[float]:
        """Levels of every class of lengths: those of the typical request, and its own prefill instead of that one's."""
        server, typical = self._server, self._server.request
        for number_ in range(_CLASSES):
            times = math.exp(sigma * NormalDist().inv_cdf((number_ + 0.5) / _CLASSES))
            request = Request(
                prompt=typical.prompt * times, cached=typical.cached, output=min(most_output, typical.output * times)
            )
            own = Server(server.shard, server.rates, server.scheduler, request, FLOATS).prefill_alone
            later = float(own - server.prefill_alone) if self._figure == "ttft" else 0.0
            for draw in range(_DRAWS):
                yield later + self._of(self._state, request, (draw + 0.5) / _DRAWS)

    def _step_times(self) -> list[tuple[float, float]]:
        """(seconds, share of steps that take no longer): prompts join a step at random, so their number is Poisson."""
        server, state, request = self._server, self._state, self._server.request
        running, chunk = state.running, float(server.scheduler.chunk)
        step = 1.0 / ((1.0 - state.busy) / state.decode_step + state.busy / state.mixed_step)
        meant = float(state.requests_per_s * step)
        found, chance, reached = [], math.exp(-meant), 0.0
        for prompts in range(50):
            reached += chance
            tokens = min(chunk, prompts * float(request.prompt))
            seconds = float(server.mixed(running, tokens)) if prompts else float(state.decode_step)
            found.append((seconds, reached))
            chance *= meant / (prompts + 1)
        return found


if __name__ == "__main__":
    record(date.today().isoformat())  # noqa: DTZ011
