"""A decision kept as a file, held against today: does it still stand, within the tolerance of whoever kept it?

The file holds the content of a decision link: every input, the price, and the figures that were decided on.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal, InvalidOperation

from app.documents import Parsed, flat_of, shown
from app.exploring.calibration import Standing
from app.exploring.decision_link import Decision, Review, figures_of, freeze, read_decision, review, unpinned
from app.format import gib, seconds, usd
from app.planning.plan import Candidate, Plan
from app.planning.remembered import VersionedSources, remembered_plan
from app.planning.sentences import machine_phrase, source_phrase, verdict
from app.planning.words import LIMITS
from app.scenario import FROZEN, KEYS, QUESTION_KEYS, decode
from estimators.provenance import Refusal
from pricing.offers import PurchaseOption

VERSION = "1"  # of this file
MOST_PERCENT = Decimal(1000)
_TEXTS: Mapping[str, Callable[[float], str]] = {
    "usd_month": usd,
    "memory": gib,
    "ttft": seconds,
    "tpot": seconds,
    "e2e": seconds,
}
_NAMES = {**LIMITS, "usd_month": "monthly cost"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """By how many percent a figure may be worse than decided, and another machine cheaper, before it counts."""

    price: Decimal = Decimal(5)
    memory: Decimal = Decimal(5)
    speed: Decimal = Decimal(20)
    ranking: Decimal = Decimal(5)

    def of(self, figure: str) -> Decimal:
        return {"usd_month": self.price, "memory": self.memory}.get(figure, self.speed)


TOLERANCES = tuple(field.name for field in fields(Tolerance))


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPlan:
    decision: Decision
    tolerance: Tolerance


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at. `stands` is whether the decision survives it."""

    about: str  # "price", "fit", "limits", "memory", "speed", "ranking"
    stands: bool
    said: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldAgainstToday:
    kept: KeptPlan
    verdict: str  # today's
    findings: tuple[Finding, ...]

    @property
    def stands(self) -> bool:
        return all(finding.stands for finding in self.findings)


def kept_text(plan: Plan, today: date, sources: VersionedSources) -> str:
    """The file of a plan. Raises `Refusal` where there is no plan to keep."""
    flat = freeze(plan, today, sources)
    if "decision" not in flat:
        raise plan.refusal or Refusal("There is no plan to keep.", field="model")
    usual = Tolerance()
    lines = [
        f"# {verdict(plan)}",
        f"# Kept on {today.isoformat()}. `check` re-prices and re-estimates it; tolerances are in percent.",
        f"rightsize: {VERSION}",
        "tolerance:",
        *(f"  {name}: {getattr(usual, name)}" for name in TOLERANCES),
        "decision:",
        *(f"  {key}: {json.dumps(text)}" for key, text in flat.items()),
    ]
    return "\n".join(lines) + "\n"


def read_kept(document: Parsed, sources: VersionedSources, changed: Mapping[str, str] | None = None) -> KeptPlan:
    """The decision of a file; `changed` tolerances come before its own. Raises `Refusal` naming what is not right: a
    file of another version, a key that is none, figures that its own inputs do not come to."""
    if not isinstance(document, dict) or "decision" not in document:
        raise Refusal("This is no kept plan.", field="file", remedy="Write one with --keep plan.yaml.")
    if unknown := [key for key in document if key not in ("rightsize", "tolerance", "decision")]:
        raise Refusal(f"{shown(unknown[0])} is not a part of a kept plan.", field=shown(unknown[0]))
    version = document.get("rightsize")
    if str(version) != VERSION:
        said = f"A kept plan of version {shown(version)}; this program reads version {VERSION}."
        raise Refusal(said, field="rightsize", remedy="Keep it again with this version.")
    decision = document["decision"]
    if not isinstance(decision, dict):
        raise Refusal("The decision is no mapping of keys.", field="decision")
    flat, problems = flat_of(decision, (*KEYS, *FROZEN, *QUESTION_KEYS), texts=True)
    decoded = decode(flat)
    for problem in (*problems, *decoded.problems):
        raise Refusal(f"{problem.message}.".replace("..", "."), field=problem.key)
    found, _, dropped = read_decision(flat, decoded.scenario)
    for problem in dropped:
        raise Refusal(problem.message, field=problem.key, remedy="Keep it again after a change of inputs.")
    if found is None:
        raise Refusal("The decision has no mark or no date.", field="decision", remedy="Write it with --keep.")
    if found.scenario.model is None and found.scenario.params is None:
        raise Refusal("The decision names no model.", field="model", remedy="Write it with --keep.")
    return KeptPlan(decision=found, tolerance=_tolerance(document.get("tolerance"), changed or {}))


def _tolerance(stated: Parsed, changed: Mapping[str, str]) -> Tolerance:
    if stated is not None and not isinstance(stated, dict):
        raise Refusal("tolerance is no mapping of percentages.", field="tolerance")
    values: dict[str, Decimal] = {}
    for name, value in {**(stated or {}), **changed}.items():
        if name not in TOLERANCES:
            known = ", ".join(TOLERANCES)
            raise Refusal(f"{shown(name)} is no tolerance; there are {known}.", field=f"tolerance.{shown(name)}")
        try:
            percent = Decimal(str(value))
        except InvalidOperation:
            percent = Decimal(-1)
        if not percent.is_finite() or not 0 <= percent <= MOST_PERCENT:
            said = f"The tolerance of {name} is a percentage from 0 to {MOST_PERCENT}, not {shown(value)}."
            raise Refusal(said, field=f"tolerance.{name}")
        values[name] = percent
    return Tolerance(**values)


def check(kept: KeptPlan, sources: VersionedSources) -> HeldAgainstToday:
    """The decision at today's prices and by today's estimates. Raises `Refusal` for figures we never gave."""
    decision = kept.decision
    reviewed = review(decision, sources)
    _own(reviewed)
    owned = decision.scenario.buy is PurchaseOption.OWNED
    asked = decision.scenario if owned else replace(decision.scenario, price=None, price_as_of=None)
    today = remembered_plan(asked, sources)
    findings = (
        _fit(today),
        *_limits(today),
        *_figures(reviewed, today, kept.tolerance),
        *_ranking(decision, today, kept.tolerance, sources),
    )
    return HeldAgainstToday(kept=kept, verdict=verdict(today), findings=findings)


def _own(reviewed: Review) -> None:
    """Refuses a file of another hand, or of formulas that this version has never had."""
    if reviewed.calibration is Standing.UNKNOWN:
        raise Refusal(
            f"The formulas {shown(reviewed.decision.formula)} are of a newer version than this one, or of none.",
            field="formula",
            remedy="Check it with the version that kept it.",
        )
    for figure in reviewed.altered:
        said, ours = (_TEXTS[figure.key](value) for value in (figure.link or 0.0, figure.ours or 0.0))
        raise Refusal(
            f"The {_NAMES[figure.key]} is {said} in the file, and {ours} by its own inputs and price: it was altered.",
            field=f"decided_{figure.key}",
            remedy="Keep it again.",
        )


def _fit(today: Plan) -> Finding:
    chosen = today.chosen
    if today.refusal is not None:
        about = "price" if today.refusal.field == "region" else "fit"
        return Finding(about=about, stands=False, said=str(today.refusal))
    if chosen is None or not chosen.fits:
        return Finding(about="fit", stands=False, said=verdict(today))
    return Finding(about="fit", stands=True, said=f"fits {machine_phrase(chosen)}")


def _limits(today: Plan) -> Iterator[Finding]:
    for limit in today.chosen.objectives if today.chosen else ():
        if limit.met is not None and limit.value is not None:
            against = f"{seconds(limit.value)} against a limit of {seconds(limit.limit)}"
            yield Finding(about="limits", stands=limit.met, said=f"{_NAMES[limit.key]}: {against}")


def _figures(reviewed: Review, today: Plan, tolerance: Tolerance) -> Iterator[Finding]:
    """What was decided beside today's. Only what is worse counts: a lower price breaks no decision."""
    now = figures_of(today)
    for figure in reviewed.figures:
        if figure.link is None or figure.key not in now or figure.link <= 0:
            continue
        percent = round(100 * (now[figure.key] / figure.link - 1), 1) + 0.0  # never "-0.0"
        allowed = tolerance.of(figure.key)
        text = _TEXTS[figure.key]
        said = f"{_NAMES[figure.key]}: {text(now[figure.key])}, decided {text(figure.link)} ({percent:+.1f} %"
        said += f", tolerance {allowed} %)"
        if figure.key == "usd_month" and today.chosen and today.chosen.offer:
            said += f", {source_phrase(today.chosen.offer)}"
        about = {"usd_month": "price", "memory": "memory"}.get(figure.key, "speed")
        yield Finding(about=about, stands=percent <= float(allowed), said=said)


def _ranking(decision: Decision, today: Plan, tolerance: Tolerance, sources: VersionedSources) -> Iterator[Finding]:
    """Whether the machine that is the cheapest today is another than it was, and by more than is tolerated."""
    open_plan = remembered_plan(unpinned(decision.scenario), sources).chosen
    ours = _usd(today.chosen)
    if decision.cheapest is None or open_plan is None or not open_plan.eligible or ours is None:
        return
    best = _usd(open_plan)
    if open_plan.label == decision.cheapest or best is None:
        yield Finding(about="ranking", stands=True, said=f"{open_plan.label} is still the cheapest that does")
        return
    saves = 100 * (1 - best / ours)
    said = f"{machine_phrase(open_plan)} is now the cheapest that does: {usd(best)} a month, {saves:.1f} % less"
    allowed = float(tolerance.ranking)
    yield Finding(about="ranking", stands=saves <= allowed, said=f"{said} (tolerance {tolerance.ranking} %)")


def _usd(candidate: Candidate | None) -> float | None:
    month = candidate.usd_per_month if candidate else None
    return float(month) if month is not None else None
