"""A load in people's units, said: the sentence, the classes of lengths and the notes. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from app.exploring.finding import PageFinding
from app.exploring.load_units import ServedLoad
from app.exploring.traffic_log import TrafficLog
from app.format import percent, seconds, significant, usd
from app.planning.plan import OBJECTIVES
from app.planning.sentences import machine_phrase, model_name
from estimators.latency.estimate import SHORT_TIMES


def load_sentence(served: ServedLoad) -> str:
    """The load in the planner's words, and the plan of it."""
    load, plan = served.load, served.plan
    cached = f", {percent(load.prefix)} of them cached" if load.prefix else ""
    first = (
        f"{significant(load.rate)} requests a second at the peak, on average {load.prompt:,} tokens in{cached} and "
        f"{load.output:,} out"
    )
    chosen = plan.chosen
    if plan.refusal is not None or chosen is None or chosen.cost is None:
        return f"{first}: {plan.refusal or 'no machine has a price here.'}"
    misses = "".join(f"; the limit on {SHORT_TIMES[key].lower()} is missed over these lengths" for key in served.missed)
    return (
        f"{first}: {model_name(plan.asked)} on {machine_phrase(chosen)}, {usd(chosen.cost.usd_per_month)} a "
        f"month{misses}."
    )


def load_finding(served: ServedLoad, log: TrafficLog | None = None) -> PageFinding:
    """The load's classes as the page, the terminal and the report show them."""
    rows = []
    for number, length in enumerate(served.load.lengths):
        times = served.times[number] if served.times else {}
        rows.append(
            (
                percent(length.share),
                f"{length.prompt:,.0f}",
                f"{length.cached:,.0f}",
                f"{length.output:,.0f}",
                *(seconds(times[key]) if times else "" for key in OBJECTIVES),
            )
        )
    if served.late:
        rows.append(("p95 over all", "", "", "", *(seconds(served.late[key]) for key in OBJECTIVES)))
    return PageFinding(
        title="The load in your units",
        sentence=load_sentence(served),
        heads=(
            "Share",
            "Tokens in",
            "Cached",
            "Tokens out",
            *(f"p95 {SHORT_TIMES[key].lower()}" for key in OBJECTIVES),
        ),
        rows=tuple(rows),
        notes=tuple(_notes(served, log)),
    )


def _notes(served: ServedLoad, log: TrafficLog | None) -> Iterator[str]:
    load = served.load
    yield "; ".join(f"{term.label.lower()}: {term.formula} = {significant(term.value)}" for term in load.terms) + "."
    yield f"Over the whole week it is {significant(load.mean_rate)} requests a second; Commit bills by the hour."
    if log is not None:
        yield log.said
    if len(load.lengths) > 1:
        yield (
            "A request waits as one of mean length does, then takes its own prefill and its own number of tokens; the "
            "95th percentile is over requests of all lengths."
        )
    for key, limit in served.tightened.items():
        yield (
            f"Chosen with p95 {SHORT_TIMES[key].lower()} under {seconds(limit)} at the mean lengths, so that it is "
            "kept over all of them."
        )
