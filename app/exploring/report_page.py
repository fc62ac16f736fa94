"""A decision on one printed page, and the same plans as CSV and JSON. Pure: strings out, everything escaped."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from app.columns import as_json, as_text, columns_of
from app.exploring.calibration import formula_version
from app.exploring.finding import PageFinding
from app.exploring.validated import validated
from app.format import MEMORY_PER_GPU, MONTHLY_COST, PER_MILLION, gib, seconds, span, usd
from app.planning.drafting import Drafting, bound_words
from app.planning.plan import Candidate, Plan
from app.planning.quality_bar import Judgement
from app.planning.recommendation import Recommendation
from app.planning.sentences import conditions, load_phrase, reading_phrase, verdict
from app.planning.words import (
    LIMITS,
    cheaper_sentence,
    headline,
    left_text,
    name_of,
    purchase_of,
    value_text,
    ways_out,
    weighed_sentence,
)
from app.scenario import KEYS, Problem, encode
from app.text import in_html, in_spreadsheet
from estimators.latency.estimate import TIMES
from estimators.provenance import Term

MOST_CAVEATS, MOST_SOURCES = 3, 4  # on one page; the recommendation itself shows all
NOT_INCLUDED = "The monthly cost is of the machines alone: no storage, data transfer, load balancing or people."
_STYLE = """
@page { size: A4; margin: 12mm; }
:root { color-scheme: light; }
body { font: 9.5pt/1.3 "Source Sans 3", "Segoe UI", sans-serif; color: #1a1f24; max-width: 186mm; margin: 6mm auto;
       padding: 0 4mm; }
@media print { body { margin: 0; padding: 0; } }
h1 { font-size: 13.5pt; line-height: 1.2; margin: 0 0 1.5mm; }
h2 { font-size: 10pt; margin: 3mm 0 .8mm; border-bottom: .4pt solid #8a949e; }
p { margin: 0 0 1mm; }
table { border-collapse: collapse; width: 100%; font-size: 8.5pt; }
th { text-align: left; font-weight: 600; border-bottom: .6pt solid #1a1f24; padding: .6mm 2mm .6mm 0; }
td { padding: .4mm 2mm .4mm 0; border-bottom: .3pt solid #d5dade; vertical-align: top; }
td:first-child { min-width: 34mm; }
.small { font-size: 7.5pt; color: #4a545e; }
.link { font: 6.5pt/1.25 monospace; overflow-wrap: anywhere; }
"""


def report_html(
    plan: Plan,
    *,
    link: str,
    today: date,
    answer: Recommendation | None = None,
    chosen: Candidate | None = None,
    findings: Sequence[PageFinding] = (),
) -> str:
    """A self-contained page: no script, no request, every text from outside escaped."""
    parts = [_head(plan, today)]
    if answer is not None and chosen is not None:
        parts.append(_limits(chosen))
    parts.append(_figures(plan))
    parts.append(_checkpoint(plan))
    if answer is not None:
        parts.append(_others(answer))
    if chosen is not None and chosen.quality.verdict is not None:
        parts.append(_quality(chosen.quality))
    if chosen is not None and chosen.drafting is not None:
        parts.append(_drafting(chosen.drafting, chosen.model))
    parts += [_finding(finding) for finding in findings]
    parts.append(_foot(plan, link))
    body = "\n".join(parts)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{in_html(verdict(plan))}</title>'
        f"<style>{_STYLE}</style></head><body>{body}</body></html>"
    )


def _head(plan: Plan, today: date) -> str:
    return (
        f"<h1>{in_html(verdict(plan))}</h1>"
        f"<p>{in_html(conditions(plan))}. Load: {in_html(load_phrase(plan.asked))}.</p>"
        f'<p class="small">Rightsize, {today.isoformat()}. Estimates with 80 % intervals, not measurements.</p>'
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{in_html(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{in_html(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _limits(chosen: Candidate) -> str:
    rows = [
        (
            LIMITS[margin.key][0].upper() + LIMITS[margin.key][1:],
            value_text(margin.key, margin.limit),
            value_text(margin.key, margin.value),
            left_text(margin),
        )
        for margin in chosen.limits
        if margin.key not in ("rate", "capacity")
    ]
    return "<h2>Limits</h2>" + _table(("Limit", "Asked", "This plan", "Margin"), rows)


def _finding(finding: PageFinding) -> str:
    notes = "".join(f'<p class="small">{in_html(note)}</p>' for note in finding.notes)
    table = _table(finding.heads, finding.rows) if finding.rows else ""
    return f"<h2>{in_html(finding.title)}</h2><p>{in_html(finding.sentence)}</p>{table}{notes}"


def _drafting(drafting: Drafting, model: str) -> str:
    said = f"{drafting.name}: acceptance {drafting.drafted.said}; {bound_words(drafting.bound, model)}."
    return f'<h2>Speculative decoding</h2><p class="small">{in_html(said)}</p>'


def _figures(plan: Plan) -> str:
    chosen = plan.chosen
    if chosen is None:
        return ""
    rows: list[tuple[str, str, str]] = []
    if chosen.cost is not None:
        rows.append((MONTHLY_COST, usd(chosen.cost.usd_per_month), _how(chosen.cost.terms[:1])))
        if chosen.cost.usd_per_million_output_tokens is not None:
            million = usd(chosen.cost.usd_per_million_output_tokens)
            rows.append((PER_MILLION, million, _how(chosen.cost.terms[1:2])))
    memory, latency = chosen.memory, chosen.latency
    if memory is not None:
        used = f"{gib(memory.memory_bytes_per_gpu)} of {gib(memory.memory_budget_bytes_per_gpu)}"
        ends = f"{gib(memory.memory_bytes_per_gpu_low)} to {gib(memory.memory_bytes_per_gpu_high)}, 80 % interval"
        rows.append((MEMORY_PER_GPU, used, ends))
    if latency is not None:
        for key, name in TIMES.items():
            mean, late = latency.of(key)
            rows.append((name, f"p95 {seconds(late)}", f"mean {span(mean.low, mean.high)}, 80 % interval"))
        rows.append(("Evidence of speed", latency.evidence, f"formulas and constants {formula_version()}"))
    return "<h2>Figures</h2>" + _table(("", "Estimate", "How"), rows)


def _how(terms: Sequence[Term]) -> str:
    return "; ".join(f"{term.formula} ({term.source})" for term in terms)


def _checkpoint(plan: Plan) -> str:
    """Of a quantized plan: whose checkpoint it serves, and when that was validated."""
    found = validated(plan)
    if found is None or not found.quantized:
        return ""
    source = f" {found.serves.source}." if found.serves else ""
    return f'<h2>Is it validated?</h2><p>{in_html(found.sentence)}</p><p class="small">{in_html(source.strip())}</p>'


def _others(answer: Recommendation) -> str:
    heading = f"<h2>Other plans that meet every limit</h2><p>{in_html(weighed_sentence(answer))}</p>"
    if not answer.plans:
        lines = "".join(f"<p>{in_html(line)}</p>" for line in (headline(answer), *ways_out(answer.loosenings)))
        return "<h2>No plan meets every limit</h2>" + lines
    rows = [
        (name_of(ranked.candidate), purchase_of(ranked.candidate), usd(ranked.candidate.usd_per_month or Decimal(0)))
        for ranked in answer.plans[1:4]
    ]
    cheaper = f"<h2>Why nothing cheaper</h2><p>{in_html(cheaper_sentence(answer.plans[0].next_cheaper))}</p>"
    return cheaper + heading + (_table(("Plan", "Bought", "A month"), rows) if rows else "<p>None.</p>")


def _quality(judged: Judgement) -> str:
    verdict_, result = judged.verdict, judged.result
    if verdict_ is None or result is None:
        return ""
    said = [f"{result.reason} {verdict_.reason}.", *verdict_.caveats[:MOST_CAVEATS]]
    lines = [*said, *(f"Source: {source}" for source in verdict_.sources[:MOST_SOURCES])]
    return "<h2>Quality evidence</h2>" + "".join(f'<p class="small">{in_html(line)}</p>' for line in lines if line)


def _foot(plan: Plan, link: str) -> str:
    notes = " ".join((*plan.all_notes, NOT_INCLUDED))
    source = f"Model: {plan.spec.source_note}; {reading_phrase(plan.spec)}. " if plan.spec else ""
    return (
        f'<h2>Conditions</h2><p class="small">{in_html(source + notes)}</p>'
        f'<p class="small">The decision link below holds every input, the price and these figures.</p>'
        f'<p class="link">{in_html(link)}</p>'
    )


def plans_csv(plans: Sequence[Plan]) -> str:
    """One plan per row: the scenario's keys, then the columns of the public contract, unrounded."""
    out = io.StringIO()
    rows = [{**encode(plan.resolved, every_field=True), **_cells(plan)} for plan in plans]
    columns = [*KEYS, *(key for key in (rows[0] if rows else {}) if key not in KEYS)]
    writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: in_spreadsheet(text) for key, text in row.items()} for row in rows)
    return out.getvalue()


def _cells(plan: Plan) -> dict[str, str]:
    return {key: as_text(value) for key, value in columns_of(plan).items()}


def plan_json(plan: Plan, problems: tuple[Problem, ...] = ()) -> dict[str, object]:
    """One plan for a program: its keys and columns, and whose checkpoint it serves."""
    found = validated(plan)
    return as_json(plan, problems) | {"checkpoint": found.as_json() if found else None}


def plans_json(plans: Sequence[Plan], answer: Recommendation | None = None) -> dict[str, object]:
    """The plans as the JSON interface gives them, with what was weighed."""
    body: dict[str, object] = {"formula": formula_version(), "plans": [plan_json(plan) for plan in plans]}
    if answer is not None:
        body |= {
            "weighed": answer.weighed,
            "failed_by_limit": dict(answer.killed),
            "without_evidence": list(answer.without_evidence),
            "verdict": headline(answer),
            "limits": [
                [
                    {"limit": margin.key, "asked": _finite(margin.limit), "estimate": _finite(margin.value)}
                    for margin in ranked.candidate.limits
                ]
                for ranked in answer.plans
            ],
        }
    return body


def _finite(value: float | None) -> float | None:
    return None if value is None or value in (float("inf"), float("-inf")) or value != value else value
