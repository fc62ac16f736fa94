"""`python -m app pipeline`, `load` and so on: what the pages beside the plan answer. Flags are keys of both."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from app.ask_commands import add_keys, fail
from app.exploring.finding import PageFinding, as_lines
from app.scenario import KEYS, PAGE_KEYS, decode, decode_page, with_page_defaults
from app.vocabulary import CHANGE_KEYS, VOCABULARY
from estimators.provenance import Refusal

Answering = Callable[[Mapping[str, str], Mapping[str, Any]], tuple[PageFinding, ...]]


EXIT_CODES = """exit codes:
  0  answered
  1  it has no answer; the reason is printed
  2  a flag or a file could not be read, or its value is out of range; it is named with what it takes
"""


def add_ask_command(commands: Any, program: str) -> None:
    """Register a command a page, and each once more under `ask`; each sets `run` to what carries it out."""
    ask = commands.add_parser("ask", help="the questions beside the plan: " + ", ".join(PAGES))
    pages = ask.add_subparsers(dest="page", required=True)
    for name, (told, keys, answer) in PAGES.items():
        for places in (commands, pages):
            page = places.add_parser(
                name,
                usage=f"{program} {name} [--KEY VALUE ...] [--json]",
                help=told,
                description=f"{told[0].upper()}{told[1:]}.",
                epilog=EXIT_CODES,
                formatter_class=argparse.RawDescriptionHelpFormatter,
            )
            own = page.add_argument_group("what it asks")
            for key in keys:
                flags = dict.fromkeys((f"--{key.replace('_', '-')}", f"--{key}"))
                own.add_argument(*flags, dest=key, metavar="VALUE", help=VOCABULARY[key].explained.replace("%", "%%"))
            if name in FILES:
                own.add_argument(f"--{FILES[name]}", metavar="FILE")
            asks = [key for key in (CHANGE_KEYS if name in QUESTIONS else KEYS) if key not in keys]
            add_keys(page, asks)
            page.add_argument("--json", action="store_true", help="the answer as JSON")
            page.set_defaults(run=_ask, page=name, keys=keys, answer=answer, asks=asks)


def _ask(asked: argparse.Namespace) -> int:
    from app.answers import BadInput

    given = {key: value for key in asked.asks if (value := getattr(asked, key)) is not None}
    own, problems = decode_page({key: getattr(asked, key) or "" for key in asked.keys})
    file = FILES.get(asked.page)
    if file is not None:
        own[file] = getattr(asked, file)
    try:
        if rejected := [problem for problem in (*decode(given).problems, *problems) if not problem.ignored]:
            raise BadInput([replace(one, reason=one.reason.removesuffix("; it was ignored.")) for one in rejected])
        findings = asked.answer(given, own)
    except Refusal as refusal:
        fail(refusal, as_json=asked.json)
        return 2 if isinstance(refusal, BadInput) or refusal.field in {*asked.keys, file} else 1
    if asked.json:
        print(json.dumps([finding.as_json() for finding in findings], indent=2))
    else:
        print("\n".join(line for finding in findings for line in as_lines(finding)))
    return 0


def _commit(given: Mapping[str, str], own: Mapping[str, Any]) -> tuple[PageFinding, ...]:
    from app.exploring.commit import asked_of, compare
    from app.exploring.commit_words import finding_of, mix_sentence
    from app.planning.planner import plan
    from app.sources import shared_sources

    found = plan(with_page_defaults(decode(given).scenario), shared_sources())
    compared = compare(found, asked_of(own), shared_sources())
    mixed = mix_sentence(compared)
    return (finding_of(found, compared), *((PageFinding(title="Mix", sentence=mixed),) if mixed else ()))


def _bill(given: Mapping[str, str], own: Mapping[str, Any]) -> tuple[PageFinding, ...]:
    from datetime import UTC, datetime

    from app.exploring.own_hardware import own_hardware, owned_finding
    from app.exploring.token_cost import tokens_finding
    from app.exploring.whole_bill import bill_asked, bill_finding, whole_bill
    from app.planning.planner import plan
    from app.sources import shared_sources

    found = plan(with_page_defaults(decode(given).scenario), shared_sources())
    owned = own_hardware(found, own, datetime.now(UTC).date())
    tokens = tokens_finding(found, own.get("bill_busy", 100))
    beside = (tokens, owned_finding(owned) if owned else None)
    return (bill_finding(whole_bill(found, bill_asked(own))), *(one for one in beside if one is not None))


def _scaling(given: Mapping[str, str], own: Mapping[str, Any]) -> tuple[PageFinding, ...]:
    from app.exploring.scaling import finding_of, sizes, training_of
    from app.planning.planner import plan
    from app.sources import shared_sources

    found = plan(with_page_defaults(decode(given).scenario), shared_sources())
    return (finding_of(sizes(found, training_of(own), shared_sources())),)


def _load(given: Mapping[str, str], own: Mapping[str, Any]) -> tuple[PageFinding, ...]:
    from datetime import UTC, datetime

    from app.exploring.decision_link import unpinned
    from app.exploring.load_units import load_of, serve_load, traffic_of
    from app.exploring.load_words import load_finding
    from app.exploring.traffic_log import read_log
    from app.sources import shared_sources

    log = None
    if path := own.get("log"):
        try:
            with open(path, encoding="utf-8", errors="replace") as lines:
                log = read_log(lines, datetime.now(UTC).date())
        except OSError as error:
            raise Refusal(f"{path} cannot be read: {error.strerror}.", field="log") from None
    scenario = unpinned(with_page_defaults(decode(given).scenario))
    timed = not {"load_unit", "load_amount", "load_each", "load_peak"} & set(own)  # a load that is named is meant
    return (load_finding(serve_load(scenario, load_of(traffic_of(own), log, timed=timed), shared_sources()), log),)


def _pipeline(given: Mapping[str, str], own: Mapping[str, Any]) -> tuple[PageFinding, ...]:
    from app.exploring.decision_link import unpinned
    from app.exploring.model_search import in_order
    from app.exploring.pipeline import price_pipeline, price_router, router_of, task_load_of
    from app.exploring.pipeline_steps import EXAMPLES, parse_steps
    from app.exploring.pipeline_words import pipeline_finding, routing_finding
    from app.sources import shared_sources
    from estimators.architecture import catalogue

    known = in_order([entry.id for entry in catalogue.entries()])
    scenario, asked = unpinned(decode(given).scenario), task_load_of(own)
    if own.get("pipe_kind") == "router":
        return (routing_finding(price_router(router_of(own), asked, scenario, shared_sources(), known)),)
    steps = parse_steps(own.get("pipe_steps", next(iter(EXAMPLES.values()))))
    return (pipeline_finding(price_pipeline(steps, asked, scenario, shared_sources(), known)),)


def _apis(given: Mapping[str, str], own: Mapping[str, Any]) -> tuple[PageFinding, ...]:
    from app.exploring.api_or_machines import rent_finding, rent_or_run, volume_of
    from app.exploring.decision_link import unpinned
    from app.sources import shared_sources

    scenario = unpinned(with_page_defaults(decode(given).scenario))
    return (rent_finding(rent_or_run(scenario, volume_of(own), shared_sources())),)


def _change(given: Mapping[str, str], own: Mapping[str, Any]) -> tuple[PageFinding, ...]:
    from app.answers import checked
    from app.exploring.asking import known_models, read_asking
    from app.exploring.flip_words import finding_of
    from app.exploring.flips import decided, how_likely
    from app.exploring.question_link import question_of
    from app.sources import shared_sources

    asking = read_asking(given, shared_sources(), CHANGE_KEYS)
    checked(asking)
    question = question_of(asking.asked, with_page_defaults(asking.scenario), known_models())
    found = decided(question, shared_sources())
    return (finding_of(found, how_likely(question, shared_sources(), own.get("change_traffic", 0))),)


PAGES: dict[str, tuple[str, tuple[str, ...], Answering]] = {
    "commit": (
        "the plan's machines under every way to pay",
        ("commit_fall", "commit_grow", "week", "commit_wait", "commit_redo"),
        _commit,
    ),
    "bill": (
        "a month of the plan with everything beside its machines, and on hardware of one's own",
        tuple(key for key in PAGE_KEYS if key == "week" or key.startswith(("bill_", "own_"))),
        _bill,
    ),
    "scaling": (
        "what size to train for a budget, and for what it will serve",
        ("law_budget", "law_mfu", "law_served", "law_months"),
        _scaling,
    ),
    "load": (
        "people, tasks a day, tokens a month or a log of requests as a rate with lengths, and its plan",
        (
            "load_unit", "load_amount", "load_each", "load_peak", "week", "load_in", "load_out", "load_cached",
            "load_turns", "load_system",
        ),
        _load,
    ),
    "pipeline": (
        "what a task of several calls costs against one large model, or a router in front of it",
        (
            "pipe_kind", "pipe_steps", "pipe_tasks", "pipe_peak", "week", "pipe_large", "pipe_bar", "route_small",
            "route_by", "route_share", "route_fail",
        ),
        _pipeline,
    ),
    "api": (
        "hosted APIs or machines at a month's tokens, and from which volume machines pay",
        ("api_tokens", "api_peak", "api_models", "api_own"),
        _apis,
    ),
    "change": (
        "the value of each assumption at which another plan comes first, and how likely this one is the cheapest",
        ("change_traffic",),
        _change,
    ),
}  # fmt: skip
QUESTIONS = {"change"}  # pages that take what may be chosen from, the bar and the budget as well
FILES = {"load": "log"}  # pages that read a file, which no link may name
