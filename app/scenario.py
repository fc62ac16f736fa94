"""One scenario and its flat form: URL parameter = command-line flag = batch column = JSON key.

Everything that comes in from outside passes `decode`, which never raises: it returns the scenario and names what it
could not use. `encode` is its inverse. Pure: no Streamlit, no I/O.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Any

from app.kinds import (
    ADAPTERS,
    DAY,
    FLAG,
    NEGOTIATED,
    Adapters,
    Rejected,
    ValueKind,
    choice,
    decimal,
    integer,
    matching,
    number,
    scientific,
)
from estimators.architecture.model_id import MODEL_ID
from estimators.memory.footprint import LONGEST_CONTEXT
from estimators.precision import KvPrecision, Method, Weights
from estimators.quality.tasks import Task
from estimators.workload import Engine
from pricing.bill import CONTROL_PLANES, SUPPORT_PLANS
from pricing.negotiated import MOST_OFF, AgreedPrices
from pricing.offers import PurchaseOption

VERSION = 1  # of this vocabulary; a link carries it as `v`
PAGE_MODEL = "meta-llama/Llama-3.1-8B-Instruct"  # what the page shows before anything is chosen
LONGEST_VALUE = 300  # characters of one value; Hub ids end at 96


class LoadMode(StrEnum):
    """Values of the key `load`."""

    MAX = "max"
    BATCH = "batch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What a person asks. None means the default named in the vocabulary: auto, the engine's own, or none.

    Units are those of the vocabulary: `params` and `active` in billions, times in seconds, `rate` in requests per
    second, `price` in USD per instance-hour. `concurrency` and `rate` are totals for the plan, over all replicas.
    """

    model: str | None = None
    params: float | None = None
    active: float | None = None
    weights: Weights = Weights.AS_PUBLISHED
    method: Method = Method.AUTO
    kv: KvPrecision = KvPrecision.AUTO
    prompt: int = 1024
    output: int = 128
    concurrency: int | None = None  # None is 1 unless `rate` or load=max is given
    rate: float | None = None
    load: LoadMode | None = None
    ttft: float | None = None
    tpot: float | None = None
    e2e: float | None = None
    gpu: str | None = None
    gpus: int | None = None
    pp: int = 1
    ep: int = 1
    dp: int = 1
    instance: str | None = None
    replicas: int | None = None  # what the load needs; a machine that is named is one replica, but for a rate
    region: str = "us-east-1"
    buy: PurchaseOption = PurchaseOption.ON_DEMAND
    hours: Decimal = Decimal(730)
    engine: Engine = Engine.VLLM
    engine_version: str | None = None
    util: float | None = None
    max_len: int | None = None
    batched_tokens: int | None = None
    max_num_seqs: int | None = None
    eager: bool = False
    lora: Adapters | None = None
    prefix: float = 0.0
    spec: str | None = None
    spec_tokens: int | None = None
    accept: float | None = None
    price: Decimal | None = None
    price_as_of: date | None = None
    discount: Decimal = Decimal(0)  # percent off what AWS lists
    negotiated: AgreedPrices | None = None

    @property
    def requests_in_flight(self) -> int | None:
        """Total concurrency of the plan, or None when the load is a rate or the engine's maximum."""
        if self.rate is not None or self.load is LoadMode.MAX:
            return None
        return self.concurrency if self.concurrency is not None else 1


@dataclass(frozen=True, slots=True)
class Problem:
    """A parameter that was not used as given. `subject` quotes what came in, `reason` is our own text."""

    key: str
    subject: str
    reason: str
    ignored: bool = False  # valid in itself, but another parameter of its group wins

    @property
    def message(self) -> str:
        return f"{self.subject} {self.reason}"


@dataclass(frozen=True, slots=True)
class Decoded:
    scenario: Scenario
    problems: tuple[Problem, ...]
    version: int | None  # `v` of the link, None when it has none


_MODEL_ID = re.compile(rf"{MODEL_ID.pattern}(@[A-Za-z0-9._/-]{{1,100}})?", re.ASCII)
_COUNT = re.compile(  # as long as `model_text` may write one
    r"(?P<params>[0-9]{1,6}(\.[0-9]{1,24})?) ?(?P<unit>[MBT])(-?A(?P<active>[0-9]{1,6}(\.[0-9]{1,24})?)B?)?",
    re.ASCII | re.I,
)
_BILLIONS = 0.001, 100_000  # parameters that a model may have
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._()/+-]{0,60}")
_INSTANCE = re.compile(r"[a-z0-9][a-z0-9-]{0,20}\.[a-z0-9-]{1,20}")
_REGION = re.compile(r"[a-z]{2}(-[a-z]{2,9}){1,3}-[0-9]{1,2}")
_VERSION = re.compile(r"[0-9]{1,4}(\.[0-9a-z]{1,12}){0,5}")
_WEEK = re.compile(r"always|[a-u]{168}|[0-9]{1,2}-[0-9]{1,2}x[1-7](@[0-9]{1,3})?", re.ASCII)
_BUDGET = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?(e[0-9]{1,2})?|\$[0-9]{1,12}", re.ASCII | re.I)
_LOAD_UNIT = re.compile("people|tasks a day|million output tokens a month")
_LENGTHS = re.compile(r"[1-9][0-9]{0,7}(/[1-9][0-9]{0,7}/[1-9][0-9]{0,7})?", re.ASCII)
_RATE = r"[a-z-]{1,20} ?: ?[0-9]{1,4}(\.[0-9]{1,6})?"
_OWN_RATES = re.compile(f"{_RATE}( ?, ?{_RATE}){{0,5}}", re.ASCII)
_NAMED = re.compile(r"[A-Za-z0-9][A-Za-z0-9 ._@/-]{0,119}")


def _one_of(names: tuple[str, ...]) -> ValueKind:
    """One of the names, or none."""
    return matching(re.compile("|".join(("none", *names))), f"none, {', '.join(names)}")


_UNITS = {"M": Decimal("0.001"), "B": Decimal(1), "T": Decimal(1000)}


def _count(text: str) -> tuple[float, float | None] | None:
    """(parameters, active ones) in billions of a count such as 8B or 30B-A3B; None where it is none."""
    counted = _COUNT.fullmatch(text)
    if counted is None:
        return None
    params = float(Decimal(counted["params"]) * _UNITS[counted["unit"].upper()])
    active = float(counted["active"]) if counted["active"] else None
    if not all(_BILLIONS[0] <= value <= _BILLIONS[1] for value in (params, active) if value is not None):
        raise Rejected("needs a count from 1M to 100000B")
    return params, active


_MODEL = matching(_MODEL_ID, "a Hub id such as org/name, or a count such as 8B")


def _model(text: str) -> str:
    named: str = text if _count(text) else _MODEL(text)
    return named


_AUTO = ("auto", "none", "")  # words for None where None means a default

# One row per key, in the order of the vocabulary: within an exclusive group the first given wins.
PARSERS: dict[str, ValueKind] = {
    "model": replace(_MODEL, parse=_model),
    "params": number(*_BILLIONS),
    "active": number(*_BILLIONS),
    "weights": choice(Weights),
    "method": choice(Method),
    "kv": choice(KvPrecision),
    "prompt": integer(1, LONGEST_CONTEXT),
    "output": integer(1, 10_000_000),
    "concurrency": integer(1, 1_000_000),
    "rate": number(0.000_001, 1_000_000),
    "load": choice(LoadMode),
    "ttft": number(0, 86_400, above=True),
    "tpot": number(0, 3_600, above=True),
    "e2e": number(0, 86_400, above=True),
    "gpu": matching(_NAME, "the name of an accelerator such as A10G or H100"),
    "gpus": integer(1, 4_096),
    "pp": integer(1, 256),
    "ep": integer(1, 4_096),
    "dp": integer(1, 4_096),
    "instance": matching(_INSTANCE, "an EC2 instance type such as g6.xlarge"),
    "replicas": integer(1, 1_000_000),
    "region": matching(_REGION, "an AWS region such as us-east-1"),
    "buy": choice(PurchaseOption),
    "hours": decimal("0", "744"),
    "engine": choice(Engine),
    "engine_version": matching(_VERSION, "a version such as 0.11.0"),
    "util": number(0.05, 1.0),
    "max_len": integer(1, LONGEST_CONTEXT),
    "batched_tokens": integer(1, 10_000_000),
    "max_num_seqs": integer(1, 1_000_000),
    "eager": FLAG,
    "lora": ADAPTERS,
    "prefix": number(0, 1, below=True),
    "spec": matching(_MODEL_ID, "none, ngram, eagle, mtp or a draft model's id"),
    "spec_tokens": integer(1, 16),
    "accept": number(0, 1),
    "price": decimal("0", "100000", above=False),  # 0: hardware one has, written off
    "price_as_of": DAY,
    "discount": decimal("0", str(MOST_OFF), above=False),
    "negotiated": NEGOTIATED,
}
KEYS = tuple(PARSERS)
# Keys added since links were first made (2026-11-21), each with the text that a link without it means: "1" or "none",
# "" where that is the engine's own. It stays when the default changes: the marks of links rest on it.
ADDED_KEYS: dict[str, str] = {
    "max_num_seqs": "", "eager": "false", "lora": "none", "dp": "1", "discount": "0", "negotiated": "none",
}  # fmt: skip
# What a decision link adds to the scenario: figures shown as the link's, never used in place of an estimate.
FROZEN: dict[str, ValueKind] = {
    "decision": matching(re.compile(r"[0-9a-f]{12}"), "the mark of a decision link"),
    "formula": matching(re.compile(r"[0-9]{1,4}-[0-9a-f]{8}"), "a version of the formulas"),
    "decided_on": DAY,
    "decided_usd_month": decimal("0", "1000000000"),
    "decided_memory": number(0, 10**12, above=True),
    "decided_ttft": number(0, 10**6, above=True),
    "decided_tpot": number(0, 10**6, above=True),
    "decided_e2e": number(0, 10**6, above=True),
    "decided_cheapest": matching(_INSTANCE, "an EC2 instance type such as g6.xlarge"),
}
# What the first screen adds: what may be chosen from, the bar, which plan is shown. Read by `exploring.question_link`.
QUESTION_KEYS = (
    "use", "models", "precisions", "regions", "ways", "vendors", "quality", "quality_of", "quality_on", "reasoning",
    "budget", "owned", "choice",
)  # fmt: skip
# What a page of its own asks beside the scenario; a page draws a box for each, bound to the key.
PAGE_KEYS: dict[str, ValueKind] = {
    "commit_fall": integer(0, 100),
    "commit_grow": integer(0, 1_000),
    "commit_wait": integer(0, 100),
    "commit_redo": integer(0, 500),
    "law_budget": matching(_BUDGET, "a training budget such as 5.76e23 FLOP or $1000000"),
    "law_mfu": integer(1, 100),
    "law_served": scientific(0, 1e20),
    "law_months": integer(1, 240),
    "load_unit": matching(_LOAD_UNIT, "people, tasks a day or million output tokens a month"),
    "load_amount": number(0.000_001, 1_000_000_000),
    "load_each": number(0.001, 100_000),
    "load_peak": number(1, 100),
    "load_in": matching(_LENGTHS, "tokens such as 1024, or short/typical/long such as 200/1000/8000"),
    "load_out": matching(_LENGTHS, "tokens such as 128, or short/typical/long such as 20/100/800"),
    "load_cached": number(0, 1, below=True),
    "load_turns": integer(1, 100),
    "load_system": integer(0, 1_000_000),
    "pipe_kind": matching(re.compile("steps|router"), "steps or router"),
    "pipe_steps": matching(re.compile(r"[ -~\n\r]+"), "lines of steps in plain letters"),
    "pipe_tasks": number(0.001, 1_000_000_000),
    "pipe_peak": number(1, 100),
    "pipe_large": matching(_NAMED, "a model's name, or a size such as 70B"),
    "pipe_bar": number(1, 200),
    "route_small": matching(_NAMED, "a model's name, or a size such as 8B"),
    "route_by": matching(_NAMED, "a model's name, a size such as 1B, or none"),
    "route_share": number(0, 100),
    "route_fail": number(0, 100),
    "api_tokens": number(0.000_001, 1_000_000_000),
    "api_peak": number(1, 100),
    "api_models": matching(re.compile("the same model|every model"), "the same model or every model"),
    "api_own": matching(re.compile(r"[ -~\n\r]+"), "lines of prices in plain letters"),
    "bill_control": _one_of(CONTROL_PLANES),
    "bill_balancers": integer(0, 100),
    "bill_lcu": decimal("0", "100000", above=False),
    "bill_logs": decimal("0", "10000000", above=False),
    "bill_storage": decimal("0", "1000000", above=False),
    "bill_transfer": decimal("0", "1000000000", above=False),
    "bill_spare": integer(0, 100),
    "bill_start": integer(0, 60),
    "bill_support": _one_of(SUPPORT_PLANS),
    "bill_other": decimal("0", "1000000000", above=False),
    "bill_people": decimal("0", "10000", above=False),
    "bill_salary": decimal("0", "10000000", above=False),
    "bill_busy": integer(1, 100),
    "bill_rates": matching(_OWN_RATES, "lines and dollars such as storage:0.1, transfer:0.12"),
    "own_purchase": decimal("0", "100000000", above=False),
    "own_years": decimal("0.5", "30", above=False),
    "own_kw": decimal("0", "1000", above=False),
    "own_busy": integer(0, 100),
    "own_tariff": decimal("0", "5", above=False),
    "own_pue": decimal("1", "5", above=False),
    "own_resale": decimal("0", "100000000", above=False),
    "own_capital": decimal("0", "50", above=False),
    "own_space": decimal("0", "10000000", above=False),
    "own_staff": decimal("0", "10000000", above=False),
    "own_upkeep": decimal("0", "10000000", above=False),
    "change_traffic": integer(0, 300),
    "score_on": choice(Task),
    "score_in": choice(Weights),
    "week": matching(_WEEK, "always, or hours, days and the load otherwise such as 8-18x5@20"),
}
LONGEST_OF_PAGE = {"pipe_steps": 2_000, "api_own": 1_000}  # characters, where more than `LONGEST_VALUE`
DEFAULTS = {f.name: f.default for f in fields(Scenario)}


def decode(raw: Mapping[str, str]) -> Decoded:
    """The scenario that flat parameters describe, and every parameter that could not be used, by name.

    Never raises, whatever the strings hold. Unknown keys, bad values and losers of an exclusive group are reported.
    """
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    version: int | None = None
    for key, text in raw.items():
        shown = text if len(text) <= 60 else text[:57] + "..."
        if key == "v":
            version = int(text) if re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) else None
            if version is None or not 1 <= version <= VERSION:
                version = None
                problems.append(
                    Problem(key, f"v={shown}", f"is not a version of this link format; read as v={VERSION}.")
                )
            continue
        if key in FROZEN or key in QUESTION_KEYS or key in PAGE_KEYS:
            continue  # read by `decode_frozen`, and by the pages that ask
        if key not in PARSERS:
            shown_key = key if len(key) <= 40 else key[:37] + "..."
            problems.append(Problem(key, shown_key, "is not a parameter of this page and was ignored."))
            continue
        if text.strip().lower() in _AUTO and DEFAULTS[key] in (None, *(e for e in ("auto", "as-published"))):
            continue
        try:
            if len(text) > LONGEST_VALUE:
                raise Rejected("is too long")
            plain = text.strip() if text.isascii() else text
            values[key] = PARSERS[key](plain.lower() if key in ("instance", "region") else plain)
        except Rejected as problem:
            problems.append(Problem(key, f"{key}={shown}", str(problem)))
    _read_counts(values)
    problems += _settle_groups(values)
    return Decoded(Scenario(**values), tuple(problems), version)


def decode_frozen(raw: Mapping[str, str]) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """The figures a decision link froze, and those that could not be read. Never raises."""
    return _decode_each(FROZEN, raw)


def decode_page(raw: Mapping[str, str]) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    """What the pages' own keys say, and those that could not be read. Never raises."""
    return _decode_each(PAGE_KEYS, raw)


def _decode_each(
    parsers: Mapping[str, ValueKind], raw: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[Problem, ...]]:
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    for key, parse in parsers.items():
        text = raw.get(key, "").strip()
        if not text:
            continue
        try:
            if len(text) > LONGEST_OF_PAGE.get(key, LONGEST_VALUE):
                raise Rejected("is too long")
            values[key] = parse(text)
        except Rejected as problem:
            problems.append(Problem(key, f"{key}={text[:60]}", f"{problem}; it was ignored."))
    return values, tuple(problems)


def _read_counts(values: dict[str, Any]) -> None:
    """A model given as a count, "8B" or "30B-A3B", becomes `params` and `active`."""
    if (counted := _count(values.get("model", ""))) is None:
        return
    del values["model"]
    values["params"], active = counted
    if active is not None:
        values["active"] = active


def _settle_groups(values: dict[str, Any]) -> list[Problem]:
    """Of each exclusive group keep the key listed first in the vocabulary; say which were ignored."""
    lost: list[tuple[str, str]] = []
    if "model" in values:
        lost += [(key, "model") for key in ("params", "active") if key in values]
    if "gpu" in values and "instance" in values:
        lost.append(("instance", "gpu"))
    if "concurrency" in values and "rate" in values:
        lost.append(("rate", "concurrency"))
    elif values.get("load") is LoadMode.BATCH and "rate" in values:
        lost.append(("rate", "load=batch"))
    if values.get("load") is LoadMode.MAX and ("concurrency" in values or "rate" in values):
        lost.append(("load", "concurrency" if "concurrency" in values else "rate"))
    for key, _ in lost:
        values.pop(key, None)
    found = [Problem(key, key, f"was ignored because {winner} is given.", ignored=True) for key, winner in lost]
    if "active" in values and "params" not in values:
        del values["active"]
        found.append(Problem("active", "active", "was ignored because params is not given.", ignored=True))
    return found


def encode(scenario: Scenario, *, every_field: bool = False) -> dict[str, str]:
    """Flat parameters of a scenario. `every_field` writes defaults too, so that a later default changes nothing."""
    flat: dict[str, str] = {}
    for key in KEYS:
        value = getattr(scenario, key)
        if value is None or (value == DEFAULTS[key] and not every_field):
            continue
        flat[key] = _text(value)
    if every_field:
        if scenario.requests_in_flight is not None:
            flat["concurrency"] = _text(scenario.requests_in_flight)
        flat["v"] = str(VERSION)
    return flat


def encode_page(values: Mapping[str, object]) -> dict[str, str]:
    """The pages' own keys as a link writes them: 0.00005, not 5e-05, and 200, not 200.0."""
    return {key: _text(value) for key, value in values.items() if value not in (None, "")}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(Decimal(repr(value)).normalize(), "f")
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def model_text(scenario: Scenario) -> str:
    """What the model box shows: the id, or the count as "8B" or "30B-A3B"."""
    if scenario.model is not None:
        return scenario.model
    if scenario.params is None:
        return PAGE_MODEL
    text = f"{_text(scenario.params)}B"
    return text if scenario.active is None else f"{text}-A{_text(scenario.active)}B"


def with_page_defaults(scenario: Scenario) -> Scenario:
    """The page starts on a model; the command line asks for one."""
    if scenario.model is None and scenario.params is None:
        return replace(scenario, model=PAGE_MODEL)
    return scenario
