"""A load in people's units - people, tasks a day, tokens a month - as the rate and lengths the planner knows.

Lengths may differ between requests: the planner sizes for their mean, and the 95th percentile of a time is taken over
the lengths as well. No Streamlit, no own I/O.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from app.exploring.arrivals import WINDOW, Arrivals
from app.exploring.traffic_log import LoggedRequest, TrafficLog
from app.format import significant
from app.planning.plan import OBJECTIVES, Plan
from app.planning.remembered import VersionedSources, remembered_plan
from app.scenario import Scenario, encode_page
from estimators.memory.footprint import LONGEST_CONTEXT
from estimators.provenance import Refusal, Term
from pricing.commitments import week_of
from pricing.cost import HOURS_PER_MONTH, SECONDS_PER_HOUR
from pricing.hours import HOURS_PER_WEEK

ENTERED = "entered on the page"
LOGGED = "timestamps of the log"
CLASSES = 20  # of equal share that a log's lengths are put into: the longest twentieth is what a p95 leaves out
SHARES = (0.25, 0.5, 0.25)  # of short, typical and long
MOST_TIGHTENINGS = 8  # times that the limits at the mean lengths are tightened for the long requests
LATE = 0.95
MEAN = "mean"  # beside the objectives' p95: the mean time of a whole request


class Unit(StrEnum):
    """What a load is counted in."""

    PEOPLE = "people"
    TASKS = "tasks a day"
    TOKENS = "million output tokens a month"


@dataclass(frozen=True, slots=True, kw_only=True)
class PeopleLoad:
    """A load as people say it."""

    unit: Unit = Unit.PEOPLE
    amount: float = 500
    each: float = 12  # requests per person and hour, or calls per task
    peak: float = 2  # the busiest minutes over the mean of a busy hour
    week: str = "always"
    prompt: str = "1024"  # tokens: a mean, or short/typical/long
    output: str = "128"
    prefix: float = 0.0  # share of the input that is cached
    turns: int = 1  # of a conversation, each carrying all before it
    system: int = 0  # tokens that every request starts with, cached


def traffic_of(values: Mapping[str, Any]) -> PeopleLoad:
    """What the page's keys hold, the rest as it starts."""
    start = PeopleLoad()
    return PeopleLoad(
        unit=Unit(values.get("load_unit", start.unit)),
        amount=values.get("load_amount", start.amount),
        each=values.get("load_each", start.each),
        peak=values.get("load_peak", start.peak),
        week=values.get("week", start.week),
        prompt=values.get("load_in", start.prompt),
        output=values.get("load_out", start.output),
        prefix=values.get("load_cached", start.prefix),
        turns=values.get("load_turns", start.turns),
        system=values.get("load_system", start.system),
    )


def keys_of(load: PeopleLoad) -> dict[str, str]:
    """The page's keys for a load, as a link writes them: what `traffic_of` reads back."""
    return encode_page(
        {
            "load_unit": load.unit, "load_amount": load.amount, "load_each": load.each, "load_peak": load.peak,
            "week": load.week, "load_in": load.prompt, "load_out": load.output, "load_cached": load.prefix,
            "load_turns": load.turns, "load_system": load.system,
        }
    )  # fmt: skip


def boxes_of(asked: PeopleLoad, log: TrafficLog, *, timed: bool) -> PeopleLoad:
    """What the boxes hold for the load of a log, as near as they come: a link carries these and no log.

    Lengths are the means of the shortest quarter, the middle half and the longest quarter; the rate, where the log has
    one, is that of so many people who ask once an hour.
    """
    came = log.arrivals if timed else None
    ins, outs, cached = ([getattr(one, name) for one in log.exchanges] for name in ("prompt", "output", "cached"))
    load = replace(
        asked,
        prompt=_thirds(ins),
        output=_thirds(outs),
        prefix=min(0.9999, round(sum(cached) / sum(ins), 4)),
        turns=1,
        system=0,
    )
    if came is None:
        return load
    busy = came.hour_rate
    return replace(
        load,
        unit=Unit.PEOPLE,
        amount=float(f"{busy * SECONDS_PER_HOUR:.6g}"),
        each=1.0,
        peak=round(came.peak_rate / busy, 4),
        week=came.week or asked.week,
    )


def _thirds(lengths: Sequence[int]) -> str:
    """ "1024", or short/typical/long: 100, 200, 300, 1000 are 100/250/1000."""
    ordered = sorted(lengths)
    ends = [round(share * len(ordered)) for share in itertools.accumulate(SHARES, initial=0.0)]
    parts = [ordered[a:b] for a, b in itertools.pairwise(ends)]
    if not all(parts) or ordered[0] == ordered[-1]:
        return str(round(math.fsum(ordered) / len(ordered)))
    return "/".join(str(round(math.fsum(part) / len(part))) for part in parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """Requests of one length: their share of all, tokens in (of them cached) and out."""

    share: float
    prompt: float
    cached: float
    output: float
    most: int  # tokens of the longest of them


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLoad:
    """The load in the planner's words: requests a second at the peak, lengths, and how they came about."""

    rate: float
    mean_rate: float  # over all hours of the week
    lengths: tuple[Length, ...]
    terms: tuple[Term, ...]

    @property
    def prompt(self) -> int:
        return max(1, round(sum(length.share * length.prompt for length in self.lengths)))

    @property
    def output(self) -> int:
        return max(1, round(sum(length.share * length.output for length in self.lengths)))

    @property
    def prefix(self) -> float:
        """Cached tokens in in all tokens in."""
        cached = sum(length.share * length.cached for length in self.lengths)
        return round(cached / sum(length.share * length.prompt for length in self.lengths), 4)

    @property
    def longest(self) -> int:
        """Tokens of the longest request."""
        return max(length.most for length in self.lengths)

    @property
    def keys(self) -> dict[str, str]:
        """The keys of the vocabulary that say it."""
        return {
            "rate": f"{self.rate:.6f}".rstrip("0").rstrip("."),
            "prompt": str(self.prompt),
            "output": str(self.output),
            "prefix": f"{self.prefix:.4f}".rstrip("0").rstrip("."),
        }


def load_of(traffic: PeopleLoad, log: TrafficLog | None = None, *, timed: bool = True) -> PlannedLoad:
    """The planner's load; its rate is a log's where its requests have moments, unless `timed` is off.

    Raises `Refusal`, naming the key, for what is out of range.
    500 people at 12 requests an hour, twice that at the peak: 500 x 12 / 3600 x 2 = 3.33 requests a second.
    """
    lengths = _of_log(log) if log is not None else lengths_of(traffic)
    load = PlannedLoad(rate=0.0, mean_rate=0.0, lengths=lengths, terms=())
    came = log.arrivals if log is not None and timed else None
    mean = _busy_rate(traffic, load.output) if came is None else _logged_hour(came)
    busy = mean.value
    rate = busy * traffic.peak if came is None else came.peak_rate
    if not 1e-6 <= rate <= 1e6:
        raise Refusal(
            f"That is {rate:.3g} requests a second.",
            field="load_amount",
            remedy="The planner takes 0.000001 to 1,000,000.",
        )
    if load.longest > LONGEST_CONTEXT:
        raise Refusal(
            f"The longest request has {load.longest:,} tokens.", field="load_in", remedy=f"Up to {LONGEST_CONTEXT:,}."
        )
    if came is not None:
        return replace(load, rate=rate, mean_rate=came.mean_rate, terms=(mean, _logged_peak(came)))
    at_peak = Term(
        label="At the peak",
        value=rate,
        unit="requests/s",
        formula=f"busy hour x peak factor = {significant(busy)} x {traffic.peak:g}",
        source=ENTERED,
    )
    return replace(load, rate=rate, mean_rate=busy * week_of(traffic.week).mean, terms=(mean, at_peak))


def _logged_hour(came: Arrivals) -> Term:
    formula = f"requests of the busiest hour / 3600 = {came.in_hour:,} / 3600"
    return Term(label="In a busy hour", value=came.hour_rate, unit="requests/s", formula=formula, source=LOGGED)


def _logged_peak(came: Arrivals) -> Term:
    formula = f"requests of the busiest {WINDOW} minutes / {60 * WINDOW} = {came.in_window:,} / {60 * WINDOW}"
    return Term(label="At the peak", value=came.peak_rate, unit="requests/s", formula=formula, source=LOGGED)


def _busy_rate(traffic: PeopleLoad, output: int) -> Term:
    """Requests a second in a full hour of the week."""
    week = week_of(traffic.week)
    full = math.fsum(week.shares)  # hours of full load a week
    if traffic.unit is Unit.PEOPLE:
        rate = traffic.amount * traffic.each / SECONDS_PER_HOUR
        formula = f"people x requests an hour / 3600 = {traffic.amount:g} x {traffic.each:g} / 3600"
    elif traffic.unit is Unit.TASKS:
        days = _days(traffic.week)
        rate = traffic.amount * traffic.each * days / (full * SECONDS_PER_HOUR)
        formula = (
            f"tasks x calls x days / hours of full load / 3600 = {traffic.amount:g} x {traffic.each:g} x {days} / "
            f"{full:.4g} / 3600"
        )
    else:
        hours = full / HOURS_PER_WEEK * float(HOURS_PER_MONTH)
        rate = traffic.amount * 1e6 / output / (hours * SECONDS_PER_HOUR)
        formula = (
            f"tokens / tokens out of a request / hours of full load / 3600 = {traffic.amount:g} x 10^6 / {output} / "
            f"{hours:.4g} / 3600"
        )
    return Term(label="In a busy hour", value=rate, unit="requests/s", formula=formula, source=ENTERED)


def _days(week: str) -> int:
    """Working days of a week's text: those a day's tasks are done on."""
    return 7 if week == "always" else int(week.partition("@")[0].partition("x")[2])


def lengths_of(traffic: PeopleLoad) -> tuple[Length, ...]:
    """Classes of length: short, typical and long where they are given so, each in every turn of a conversation."""
    ins, outs = _three("load_in", traffic.prompt), _three("load_out", traffic.output)
    classes = [(share, ins[i], outs[i]) for i, share in enumerate(SHARES)]
    if len(set(ins)) == len(set(outs)) == 1:
        classes = [(1.0, ins[0], outs[0])]
    return tuple(
        Length(share=share / traffic.turns, prompt=prompt, cached=cached, output=output, most=round(prompt + output))
        for share, new, output in classes
        for prompt, cached in _turns(traffic, new, output)
    )


def _turns(traffic: PeopleLoad, new: float, output: float) -> Iterator[tuple[float, float]]:
    """(tokens in, of them cached) of each turn: S + i m + (i - 1) o, all but the new m cached after the first.

    No system prompt, 100 new tokens and 300 out: 100, 500, 900 ..., of which 0, 400, 800 ... are cached.
    """
    for turn in range(1, traffic.turns + 1):
        prompt = traffic.system + turn * new + (turn - 1) * output
        cached = prompt - new if turn > 1 else max(traffic.system, traffic.prefix * prompt)
        yield prompt, min(cached, prompt - 1)


def _three(key: str, text: str) -> tuple[float, float, float]:
    """ "1024" -> the same thrice; "200/1000/8000" -> short, typical, long."""
    parts = [int(part) for part in text.split("/")]
    if len(parts) == 1:
        return (parts[0],) * 3
    if sorted(parts) != parts:
        raise Refusal(f"{text} is not in the order short/typical/long.", field=key, remedy="Write 200/1000/8000.")
    return parts[0], parts[1], parts[2]


def _of_log(log: TrafficLog) -> tuple[Length, ...]:
    """Classes of equal share of a log's requests, by length."""
    ordered = sorted(log.exchanges, key=lambda one: (one.prompt - one.cached + one.output, one.prompt))
    parts = min(CLASSES, len(ordered))
    ends = [round(part * len(ordered) / parts) for part in range(parts + 1)]
    return tuple(_mean(ordered[a:b], (b - a) / len(ordered)) for a, b in itertools.pairwise(ends))


def _mean(part: Sequence[LoggedRequest], share: float) -> Length:
    return Length(
        share=share,
        prompt=math.fsum(one.prompt for one in part) / len(part),
        cached=math.fsum(one.cached for one in part) / len(part),
        output=math.fsum(one.output for one in part) / len(part),
        most=max(one.prompt + one.output for one in part),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedLoad:
    """The plan of a load. `times` are each class's, `late` the 95th percentile over them, in seconds by key."""

    load: PlannedLoad
    plan: Plan
    times: tuple[Mapping[str, float], ...]
    late: Mapping[str, float]
    tightened: Mapping[str, float]  # limits at the mean lengths, so that the long requests keep the ones asked
    missed: tuple[str, ...]  # objectives that are not kept over these lengths


def serve_load(asked: Scenario, load: PlannedLoad, sources: VersionedSources) -> ServedLoad:
    """The cheapest machines for the scenario under the load that keep the objectives over all its lengths.

    The planner sizes for the mean lengths, with an engine set up for the longest; where the long ones would be late,
    for tighter limits. A class waits as the mean does, then takes its own prefill and its own number of tokens.
    """
    scenario = scenario_of(asked, load)
    wanted = {key: limit for key in OBJECTIVES if (limit := getattr(scenario, key)) is not None}
    limits = dict(wanted)
    best = _served(scenario, load, wanted, limits, sources)
    for _ in range(MOST_TIGHTENINGS):
        if not best.missed:
            break
        limits |= {key: 0.99 * limits[key] * wanted[key] / best.late[key] for key in best.missed}
        tighter = _served(replace(scenario, **limits), load, wanted, limits, sources)
        if not tighter.late:
            break
        best = tighter
    return best


def _served(
    scenario: Scenario,
    load: PlannedLoad,
    wanted: Mapping[str, float],
    limits: Mapping[str, float],
    sources: VersionedSources,
) -> ServedLoad:
    found = remembered_plan(scenario, sources)
    times = _times(found, load, sources)
    late = _late(load, times)
    missed = tuple(key for key, limit in wanted.items() if late and late[key] > limit)
    tightened = {key: limits[key] for key in wanted if limits[key] < wanted[key]}
    return ServedLoad(load=load, plan=found, times=times, late=late, tightened=tightened, missed=missed)


def scenario_of(scenario: Scenario, load: PlannedLoad) -> Scenario:
    """The scenario under this load, nothing else changed."""
    longest = load.longest if len(load.lengths) > 1 else None
    return replace(
        scenario,
        rate=float(load.keys["rate"]),
        concurrency=None,
        load=None,
        prompt=load.prompt,
        output=load.output,
        prefix=load.prefix,
        max_len=max(longest, load.prompt + load.output) if longest else scenario.max_len,
        replicas=None,
    )


def _machine_of(plan: Plan) -> Scenario:
    return replace(plan.resolved, price=None, price_as_of=None)


def _times(found: Plan, load: PlannedLoad, sources: VersionedSources) -> tuple[Mapping[str, float], ...]:
    """p95 of each class: T_i = T + prefill_i - prefill, T that of the mean lengths; e2e_i = T_i + (out_i - 1) tpot."""
    chosen = found.chosen
    if found.refusal is not None or chosen is None or chosen.latency is None:
        return ()
    latency = chosen.latency
    if len(load.lengths) == 1:
        return ({key: getattr(latency, f"{key}_p95_s") for key in OBJECTIVES} | {MEAN: latency.e2e_s.value},)
    mean = _alone(found, load.prompt, load.prefix, sources)
    made = []
    for length in load.lengths:
        prompt = max(1, round(length.prompt))
        own = _alone(found, prompt, min(length.cached / length.prompt, 0.9999), sources)
        ttft = max(own, latency.ttft_p95_s + own - mean)
        steps = max(0.0, length.output - 1)
        made.append(
            {
                "ttft": ttft,
                "tpot": latency.tpot_p95_s,
                "e2e": ttft + steps * latency.tpot_p95_s,
                MEAN: max(own, latency.ttft_s.value + own - mean) + steps * latency.tpot_s.value,
            }
        )
    return tuple(made)


def _alone(found: Plan, prompt: int, prefix: float, sources: VersionedSources) -> float:
    """Time to the first token of one request alone on the plan's machine."""
    one = replace(
        _machine_of(found), prompt=prompt, prefix=round(prefix, 4), output=1, rate=None, concurrency=1, replicas=1,
        ttft=None, tpot=None, e2e=None,
    )  # fmt: skip
    alone = remembered_plan(one, sources).chosen
    return alone.latency.ttft_s.value if alone is not None and alone.latency is not None else 0.0


def _late(load: PlannedLoad, times: tuple[Mapping[str, float], ...]) -> dict[str, float]:
    if not times:
        return {}
    shares = [length.share for length in load.lengths]
    return {
        key: percentile([(time[key], share) for time, share in zip(times, shares, strict=True)]) for key in OBJECTIVES
    }


def percentile(values: Sequence[tuple[float, float]], level: float = LATE) -> float:
    """The least value that `level` of the shares do not exceed: 1 for (1, 0.96), (9, 0.04); 9 for half each."""
    gathered = 0.0
    for value, share in sorted(values):
        gathered += share
        if gathered >= level - 1e-9:
            return value
    return max(value for value, _ in values)
