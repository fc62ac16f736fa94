"""The accuracy tables that the commands wrote, as rows for the page and the README. Pure reading."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.measuring.peers import beside, tool
from estimators.architecture.layouts import TABLE
from estimators.fitting import held_out, latency_accuracy, memory_accuracy, percentiles
from estimators.fitting.latency_accuracy import MissedRows, groups_behind, noise
from estimators.fitting.spread import Coverage
from estimators.provenance import read_table

TABLES = {
    "vllm_logs": "vLLM logs, many versions and machines",
    "vllm_0_19_h100": "vLLM 0.19 on H100, one sweep",
    "transformers_memory": "plain transformers on A100",
}
BEGIN, END = "<!-- accuracy:begin -->", "<!-- accuracy:end -->"
CLASS_CHECKS = TABLE.with_name("class_checks.csv")
LATENCY_COMMAND = "python -m estimators.fitting.latency_accuracy"
GROUPS: Mapping[str, Callable[[held_out.Checked], str]] = {
    "accelerator": lambda figure: figure.accelerator,
    "precision": lambda figure: figure.precision,
    "engine": lambda figure: figure.engine,
    "kind of load": lambda figure: figure.kind.replace("_", " "),
    "shape": lambda figure: f"{_size(figure.prompt_tokens)} in, {_size(figure.output_tokens)} out",
    "model": lambda figure: figure.model,
}


def _size(tokens: float) -> str:
    return next(
        (name for limit, name in ((256, "short"), (1536, "medium"), (6144, "long")) if tokens <= limit), "very long"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryScore:
    """Relative errors of one measure on one table of measurements."""

    measure: str
    table: str
    rows: int
    median_error: float
    p90_error: float
    worst_error: float
    left_out: str
    command: str
    as_of: str


@lru_cache(maxsize=1)
def memory_scores() -> tuple[MemoryScore, ...]:
    """What `python -m estimators.fitting.memory_accuracy` last wrote."""
    return tuple(
        MemoryScore(
            measure=row["measure"],
            table=TABLES.get(row["table"], row["table"]),
            rows=int(row["rows"]),
            median_error=float(row["median_error"]),
            p90_error=float(row["p90_error"]),
            worst_error=float(row["worst_error"]),
            left_out=row["left_out"],
            command=row["source"],
            as_of=row["as_of"],
        )
        for row in memory_accuracy.recorded()
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassCheck:
    """One model type: what its class in transformers builds, and what the reader makes of the same config."""

    model_type: str
    params: int | None  # at the default configuration, on the meta device; None where that builds nothing
    read_params: int | None
    cache: int | None  # elements per token; None where no pass runs without data
    read_cache: int | None
    sizes: int  # configurations of other sizes, on which nothing was fitted
    exact: int
    worst: float  # largest relative error of the parameters among them
    reading: str
    source: str
    as_of: str


@lru_cache(maxsize=1)
def class_checks() -> tuple[ClassCheck, ...]:
    """What `python -m tools.layouts` last wrote, by type."""

    def whole(text: str) -> int | None:
        return int(text) if text else None

    return tuple(
        ClassCheck(
            model_type=row["model_type"],
            params=whole(row["params"]),
            read_params=whole(row["read_params"]),
            cache=whole(row["cache"]),
            read_cache=whole(row["read_cache"]),
            sizes=int(row["sizes"]),
            exact=int(row["exact"]),
            worst=float(row["worst"]),
            reading=row["reading"],
            source=row["source"],
            as_of=row["as_of"],
        )
        for row in read_table(CLASS_CHECKS)
    )


def class_summary() -> str:
    """The checks in a sentence."""
    checks = class_checks()
    built = [check for check in checks if check.params is not None]
    same = sum(check.params == check.read_params for check in built)
    cached = [check for check in checks if check.cache is not None]
    kept = sum(check.cache == check.read_cache for check in cached)
    sizes, exact = sum(check.sizes for check in checks), sum(check.exact for check in checks)
    return (
        f"{len(checks)} model types read from their configs: {same} of {len(built)} default configurations and "
        f"{exact} of {sizes} others have exactly the parameters of the built class, {kept} of {len(cached)} its cache "
        "per token."
    )


@lru_cache(maxsize=1)
def speed_scores() -> tuple[tuple[str, str, held_out.ErrorScore], ...]:
    """What is judged, what it should reach, and its error without the publication, from the committed table."""
    return tuple(latency_accuracy.figures())


@lru_cache(maxsize=1)
def left_out_scores() -> tuple[tuple[str, dict[str, held_out.ErrorScore]], ...]:
    """The same figures by what was left out."""
    return tuple(latency_accuracy.left_out_otherwise())


@lru_cache(maxsize=1)
def interval_scores() -> tuple[Coverage, ...]:
    """How often the 80 % intervals held, on publications they were not made from."""
    return tuple(held_out.interval_record())


@lru_cache(maxsize=1)
def percentile_scores() -> tuple[percentiles.PercentileScore, ...]:
    """How far percentiles of requests and of gaps between tokens are from printed ones."""
    return tuple(percentiles.scores())


@lru_cache(maxsize=8)
def group_scores(group: str) -> tuple[held_out.ErrorScore, ...]:
    """Held-out error of every published figure by a property of its row."""
    return tuple(held_out.grouped(held_out.checked(), GROUPS[group]))


@lru_cache(maxsize=1)
def worst_figures() -> tuple[held_out.Checked, ...]:
    return tuple(held_out.worst(held_out.checked(), 20))


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A figure short of its reach: how far repeated publications of a case differ, and the rows it comes from."""

    what: str
    reach: str
    noise: str
    groups: tuple[MissedRows, ...]


@lru_cache(maxsize=1)
def misses() -> tuple[Miss, ...]:
    short = [target for target in latency_accuracy.targets() if not target.reached]
    return tuple(
        Miss(
            what=target.what,
            reach=target.reach,
            noise=noise(target),
            groups=tuple(groups_behind(target)),
        )
        for target in short
    )


def figures() -> tuple[held_out.Checked, ...]:
    return held_out.checked()


def as_markdown() -> str:
    """The tables of the README."""
    parts = (_speed_lines(), _peer_lines(), _interval_lines(), _percentile_lines(), _memory_lines())
    return "\n\n".join("\n".join(lines) for lines in parts)


def _speed_lines() -> Iterator[str]:
    yield "Speed, against published benchmarks that the fit never saw: the whole publication left out, and every"
    yield "publication weighing alike, however many rows it prints."
    yield ""
    yield "| what | rows | publications | median error | of rows | within 20 % | to reach |"
    yield "|---|---|---|---|---|---|---|"
    for what, reach, found in speed_scores():
        shares = f"{found.median:.1%} | {found.of_rows:.1%} | {found.within_20:.0%}"
        yield f"| {what} | {found.rows:,} | {found.publications} | {shares} | {reach} |"
    yield ""
    yield "The same, by what was left out (median with publications alike, and of rows):"
    yield ""
    yield f"| what | nothing | {' | '.join(held_out.LEFT_OUT.values())} |"
    yield "|---|---|---|---|---|---|"
    for what, scores in left_out_scores():
        yield f"| {what} | {' | '.join(f'{s.median:.1%}, {s.of_rows:.1%}' for s in scores.values())} |"


def _peer_lines() -> Iterator[str]:
    yield f"Beside {tool()}, on the rows that both answer, ours still without the publication (ours, theirs):"
    yield ""
    header = "what | rows | publications | median error | of rows | within 20 % | theirs all measured"
    yield f"| {header} | it does not answer |"
    yield "|---|---|---|---|---|---|---|---|"
    for found in beside():
        ours, theirs = found.ours, found.theirs
        errors = f"{ours.median:.1%}, {theirs.median:.1%} | {ours.of_rows:.1%}, {theirs.of_rows:.1%}"
        within = f"{ours.within_20:.0%}, {theirs.within_20:.0%} | {found.measured:.0%}"
        yield f"| {found.what} | {ours.rows:,} | {ours.publications} | {errors} | {within} | {found.refusals} |"
    yield ""
    yield "It is nearer than ours on the rows, ten or more, of:"
    yield ""
    for found in beside():
        yield f"- {found.what}: {', '.join(found.ahead) or 'none'}"


def _interval_lines() -> Iterator[str]:
    yield "<details><summary>The 80 % intervals, on publications they were not made from</summary>"
    yield ""
    yield "| load | figure | publications | rows | held, of rows | publications alike | median half width |"
    yield "|---|---|---|---|---|---|---|"
    for found in interval_scores():
        held = f"{found.covered:.0%} | {found.alike:.0%} | {found.half_width:.0%}"
        load = found.kind.replace("_", " ")
        yield f"| {load} | {found.metric} | {found.publications} | {found.rows:,} | {held} |"
    yield ""
    yield "</details>"


def _percentile_lines() -> Iterator[str]:
    yield "<details><summary>Percentiles: how far above the median, ours beside those printed</summary>"
    yield ""
    yield "| load | figure | percentile | publications | rows | printed | estimated | off | value off |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for found in percentile_scores():
        spread = f"{found.printed:.2f} | {found.estimated:.2f} | {found.error:.0%} | {found.value_error:.0%}"
        yield f"| {found.load} | {found.figure} | p{found.level} | {found.publications} | {found.rows} | {spread} |"
    yield ""
    yield "</details>"


def _memory_lines() -> Iterator[str]:
    yield "Memory, against what servers logged:"
    yield ""
    yield "| what | measured by | rows | median error | 90th percentile |"
    yield "|---|---|---|---|---|"
    for found in memory_scores():
        errors = f"{found.median_error:.2%} | {found.p90_error:.2%}"
        yield f"| {found.measure} | {found.table} | {found.rows:,} | {errors} |"


def between(text: str, begin: str, end: str, made: str) -> str:
    """A text with what stands between two markers made anew."""
    before, rest = text.split(begin)
    _, after = rest.split(end)
    return f"{before}{begin}\n{made}\n{end}{after}"


def into_readme(text: str) -> str:
    """The README with its accuracy tables made anew."""
    return between(text, BEGIN, END, as_markdown())


def main() -> None:
    readme = Path(__file__).parents[2] / "README.md"
    readme.write_text(into_readme(readme.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
