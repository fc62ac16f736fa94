"""Up to six scenarios side by side, from links or the current one, with what differs marked. No Streamlit."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

from app.exploring.decision_link import Decision, read_decision
from app.exploring.drafting_load import overloaded
from app.format import MEMORY_PER_GPU, PER_MILLION, gib, p95, seconds, usd
from app.planning.plan import Plan
from app.planning.remembered import VersionedSources, remembered_plan
from app.planning.sentences import (
    load_phrase,
    machine_phrase,
    model_name,
    option_name,
    precision_name,
    source_phrase,
    verdict,
)
from app.scenario import Problem, Scenario, decode, with_page_defaults
from estimators.latency.estimate import TIMES
from estimators.provenance import Refusal

MOST_SCENARIOS = 6
LONGEST_LINK = 8_000  # characters
MOST_PARAMETERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One scenario of a comparison, with what its link could not be used for."""

    plan: Plan
    decision: Decision | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRow:
    """One line of the comparison. `best` are the columns that win it; empty where nothing wins."""

    name: str
    cells: tuple[str, ...]
    differs: bool
    best: tuple[int, ...] = ()


def opened(link: str, sources: VersionedSources) -> Compared:
    """The scenario behind a pasted link or bare query. Raises `Refusal` for text that holds no parameters.

    Nothing is fetched: only the part after the question mark is read.
    """
    text = link.strip()
    if len(text) > LONGEST_LINK:
        raise Refusal("The link is too long.", field="link", remedy=f"Paste up to {LONGEST_LINK:,} characters.")
    try:
        query = urlsplit(text).query if "?" in text else text
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise Refusal("That is not a link.", field="link", remedy="Paste what Copy link gave you.") from None
    if not pairs or not re.match(r"[?]?[a-z_]+=", query):
        raise Refusal("The link holds no scenario.", field="link", remedy="Paste what Copy link gave you.")
    return compared_of({key: value for key, value in pairs if not key.startswith("embed")}, sources)


def compared_of(raw: Mapping[str, str], sources: VersionedSources) -> Compared:
    """The scenario of flat parameters, with the decision they carry."""
    decoded = decode(raw)
    decision, scenario, dropped = read_decision(raw, decoded.scenario)
    return Compared(
        plan=remembered_plan(with_page_defaults(scenario), sources),
        decision=decision,
        problems=(*decoded.problems, *dropped),
    )


def rows(compared: Sequence[Compared]) -> tuple[ComparedRow, ...]:
    """The comparison, line by line: what was asked, what it came to, and which column wins where less is better."""
    plans = [entry.plan for entry in compared]
    drowned = [overloaded(plan) for plan in plans]

    def timed(key: str) -> ComparedRow:
        return _measured(p95(TIMES[key]), [_latency(plan, key) for plan in plans], seconds, drowned)

    return (
        _row("Verdict", [verdict(plan) for plan in plans]),
        _row("Model", [model_name(plan.asked) for plan in plans]),
        _row("Precision", [precision_name(p.precision.weights) if p.precision else "unknown" for p in plans]),
        _row("KV cache", [p.precision.kv.value if p.precision else "unknown" for p in plans]),
        _row("Load", [load_phrase(plan.asked) for plan in plans]),
        _row("Machines", [machine_phrase(plan.chosen) if plan.chosen else "none" for plan in plans]),
        _row("Region and payment", [f"{p.asked.region}, {option_name(p.asked.buy)}" for p in plans]),
        _row("Engine", [_engine(plan) for plan in plans]),
        _row("Speculative decoding", [_drafting(plan.asked) for plan in plans]),
        _measured("A month", [_usd_month(plan) for plan in plans], usd, drowned),
        _measured(PER_MILLION, [_usd_million(plan) for plan in plans], usd, drowned),
        _measured(MEMORY_PER_GPU, [_memory(plan) for plan in plans], gib),
        *map(timed, TIMES),
        _row("Objectives", [_objectives(plan) for plan in plans]),
        _row("Price", [_price(plan) for plan in plans]),
        _row("Decided, from the link", [_decided(entry) for entry in compared]),
    )


def cheapest_sentence(compared: Sequence[Compared]) -> str:
    """Which is the cheapest of those that serve their load, and how many times less than the dearest it costs; nothing
    where fewer than two have a cost."""
    costed = [
        (float(chosen.cost.usd_per_month), number, chosen)
        for number, entry in enumerate(compared, start=1)
        if (chosen := entry.plan.chosen) and chosen.fits and chosen.cost and not overloaded(entry.plan)
    ]
    if len(costed) < 2:
        return ""
    costed.sort(key=lambda item: item[:2])
    (least, number, chosen), (most, dearest, _) = costed[0], costed[-1]
    times = f", {most / least:.1f} times less than number {dearest}" if most > least * 1.005 else ""
    return f"Number {number} is the cheapest: ${least:,.0f} a month on {machine_phrase(chosen)}{times}."


def _row(name: str, cells: Sequence[str]) -> ComparedRow:
    return ComparedRow(name=name, cells=tuple(cells), differs=len(set(cells)) > 1)


def _measured(
    name: str, values: Sequence[float | None], text: Callable[[float], str], drowned: Sequence[bool] = ()
) -> ComparedRow:
    """A line of figures with the least of them marked. What does not serve its load (`drowned`) has no figure."""
    values = [None if drowned and drowned[i] else value for i, value in enumerate(values)]
    said = tuple(
        "overloaded" if drowned and drowned[i] else "unknown" if value is None else text(value)
        for i, value in enumerate(values)
    )
    known = [value for value in values if value is not None]
    differs = len(set(said)) > 1
    least = min(known, default=None)
    best = tuple(i for i, value in enumerate(values) if differs and least is not None and value == least)
    return ComparedRow(name=name, cells=said, differs=differs, best=best)


def _drafting(scenario: Scenario) -> str:
    if scenario.spec is None:
        return "none"
    acceptance = "published acceptance" if scenario.accept is None else f"acceptance {scenario.accept:g}"
    return f"{scenario.spec}, {scenario.spec_tokens or 3} tokens, {acceptance}"


def _engine(plan: Plan) -> str:
    return f"{plan.asked.engine.value} {plan.asked.engine_version or 'newest known'}"


def _usd_month(plan: Plan) -> float | None:
    usable = plan.chosen is not None and plan.chosen.fits and plan.chosen.cost is not None
    return float(plan.chosen.cost.usd_per_month) if usable and plan.chosen and plan.chosen.cost else None


def _usd_million(plan: Plan) -> float | None:
    cost = plan.chosen.cost if plan.chosen and plan.chosen.fits else None
    million = cost.usd_per_million_output_tokens if cost else None
    return float(million) if million is not None else None


def _memory(plan: Plan) -> float | None:
    memory = plan.chosen.memory if plan.chosen else None
    return float(memory.memory_bytes_per_gpu) if memory else None


def _latency(plan: Plan, key: str) -> float | None:
    latency = plan.chosen.latency if plan.chosen else None
    return float(getattr(latency, f"{key}_p95_s")) if latency else None


def _objectives(plan: Plan) -> str:
    checks = plan.chosen.objectives if plan.chosen else ()
    words = {True: "met", False: "missed", None: "not checked"}
    return "; ".join(f"{check.key.upper()} {seconds(check.limit)} {words[check.met]}" for check in checks) or "none"


def _price(plan: Plan) -> str:
    return source_phrase(plan.chosen.offer) if plan.chosen and plan.chosen.offer else "not priced"


def _decided(entry: Compared) -> str:
    decision = entry.decision
    if decision is None:
        return "no decision"
    cost = f"{usd(decision.usd_per_month)} a month" if decision.usd_per_month is not None else "no cost"
    return f"{cost} on {decision.on.isoformat()}"
