"""Every key of the vocabulary: what it is in a sentence, what values it takes, its default and an example. Pure.

Help of the command line, the description of the HTTP interface and documents read this table, so they say one thing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum

from app.kinds import FLAG, ValueKind, choice, decimal, integer, matching, named, number, several
from app.planning.question import MOST_MODELS, MOST_OWNED
from app.presets import PRESETS
from app.scenario import DEFAULTS, FROZEN, KEYS, PAGE_KEYS, PARSERS, QUESTION_KEYS
from estimators.precision import Weights
from estimators.quality.tasks import Task
from pricing.offers import PurchaseOption


class Group(StrEnum):
    """What keys are about, in the order they are asked in."""

    MODEL = "the model"
    LOAD = "the load"
    LIMITS = "limits"
    MACHINE = "the machine"
    PAYMENT = "place and payment"
    ENGINE = "the engine"
    DRAFTING = "speculative decoding"
    CHOICE = "what may be chosen"
    BAR = "quality and budget"
    ANSWER = "the answer"
    LOAD_PAGE = "the load in people's units"
    API_PAGE = "API or machines"
    COMMIT_PAGE = "ways to pay side by side"
    PIPELINE_PAGE = "tasks of several calls, and routers"
    SCALING_PAGE = "what size to train"
    BILL_PAGE = "the whole bill"
    OWN_PAGE = "hardware of your own"
    OTHER_PAGES = "what would change it, and the panel of scores"
    DECISION = "what a decision froze"


class DeployTo(StrEnum):
    """What a plan is written for."""

    COMPOSE = "compose"
    KUBERNETES = "kubernetes"
    KSERVE = "kserve"
    LLM_D = "llm-d"
    TERRAFORM = "terraform"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    name: str
    group: Group
    kind: ValueKind
    says: str  # a sentence
    example: str
    default: str  # "": what `says` calls blank

    @property
    def flags(self) -> tuple[str, ...]:
        """`--max-len`, and `--max_len` as the key itself is written."""
        return tuple(dict.fromkeys((f"--{self.name.replace('_', '-')}", f"--{self.name}")))

    @property
    def explained(self) -> str:
        """The sentence, what it takes, and the default."""
        default = f" Default {self.default}." if self.default else ""
        return f"{self.says} Takes {self.kind.words}.{default}"


_MODEL = PARSERS["model"]
_REGION = PARSERS["region"]
_VENDOR = matching(re.compile(r"[A-Za-z][A-Za-z ]{1,20}"), "a maker of accelerators such as NVIDIA or AMD")
_OWNED = matching(re.compile(r"[0-9]{1,5} ?x? [^,;\n]{1,70}"), "hardware such as 8 x A100-80GB @ 0.90")
_LEVER = matching(re.compile(r"[a-z0-9-]{2,20}"), "a lever such as int4, kv-fp8, eagle or prefix")
MOST_PLANS = 10

# Values of the question's own keys, read by `exploring.question_link`, and of what only an answer is asked with.
QUESTION: dict[str, ValueKind] = {
    "use": named(PRESETS),
    "models": several(_MODEL, most=MOST_MODELS),
    "precisions": several(choice(Weights, but=(Weights.FP32,)), most=len(Weights), words="a value of weights but fp32"),
    "regions": several(_REGION, most=40),
    "ways": several(choice(PurchaseOption), most=len(PurchaseOption), words="a value of buy"),
    "vendors": several(_VENDOR, most=10),
    "quality": number(1, 200),
    "quality_of": _MODEL,
    "quality_on": choice(Task),
    "reasoning": FLAG,
    "budget": decimal("1", "1000000000", above=False),
    "owned": several(_OWNED, most=MOST_OWNED, separator=";"),
}
ANSWER: dict[str, ValueKind] = {
    "plans": integer(1, MOST_PLANS),
    "apply": several(_LEVER, most=4),
    "to": choice(DeployTo),
}

_SAID: dict[Group, tuple[tuple[str, str, str], ...]] = {  # key, sentence, example
    Group.MODEL: (
        ("model", "Hub id, `@revision` optional; or a size such as 8B or 30B-A3B.", "meta-llama/Llama-3.1-8B-Instruct"),
        ("params", "Parameters in billions, instead of a model.", "8"),
        ("active", "Of `params`, those one token touches, in billions.", "3"),
        ("weights", "Precision of the weights.", "int4"),
        ("method", "How the weights were quantized; matters for bytes and quality.", "awq"),
        ("kv", "Precision of the KV cache; auto is what the checkpoint or the engine would take.", "fp8"),
        ("lora", "Adapters resident at once, as count@rank; blank is none.", "4@16"),
    ),
    Group.LOAD: (
        ("prompt", "Tokens in, per request.", "1024"),
        ("output", "Tokens out, per request.", "128"),
        ("concurrency", "Requests in flight over all replicas, each replaced when it ends; blank is 1.", "40"),
        ("rate", "Requests a second over all replicas, arriving at random, instead of concurrency.", "2.5"),
        ("load", "max: the engine's most throughput; batch: `concurrency` requests run together to the end.", "max"),
        ("prefix", "Share of the prompt's tokens that the prefix cache serves.", "0.5"),
    ),
    Group.LIMITS: (
        ("ttft", "Limit on p95 time to first token, in seconds.", "1"),
        ("tpot", "Limit on p95 time per output token, in seconds.", "0.05"),
        ("e2e", "Limit on p95 time of the whole request, in seconds.", "10"),
    ),
    Group.MACHINE: (
        ("gpu", "Accelerator by any of its names; blank: the cheapest machine that does.", "L4"),
        ("instance", "EC2 instance type, instead of gpu.", "g6.xlarge"),
        ("gpus", "Tensor-parallel accelerators of a replica; blank: all of the machine, or the fewest that do.", "2"),
        ("pp", "Pipeline stages of a replica.", "2"),
        ("ep", "Accelerators the experts are spread over.", "8"),
        ("dp", "Data-parallel attention ranks of a replica.", "2"),
        ("replicas", "Copies; blank: what the load needs, or 1 on a machine that is named without a rate.", "3"),
    ),
    Group.PAYMENT: (
        ("region", "AWS region.", "eu-west-1"),
        ("buy", "Way to pay.", "spot"),
        ("hours", "Hours a month; a commitment bills 730 whatever this says.", "200"),
        ("price", "Dollars an hour for one machine, in place of the price book's.", "0.8048"),
        ("price_as_of", "The day of that price.", "2026-11-21"),
        (
            "discount",
            "Percent off every price of AWS, however it is paid; not off `price` or what you own.",
            "20",
        ),
        (
            "negotiated",
            "Dollars an hour agreed for whole machines, on demand; no discount is taken off them.",
            "p5.48xlarge:40",
        ),
    ),
    Group.ENGINE: (
        ("engine", "Serving engine.", "sglang"),
        ("engine_version", "Its version; blank: the newest known.", "0.11.0"),
        ("util", "Share of the accelerator's memory the engine may take; blank: its own default.", "0.9"),
        ("max_len", "Longest context in tokens; blank: prompt and output.", "8192"),
        ("batched_tokens", "Tokens of one step, the prefill chunk; blank: the engine's default.", "8192"),
        ("max_num_seqs", "Most requests run at once; blank: the engine's default, raised to the load.", "256"),
        ("eager", "Run without captured graphs.", "true"),
    ),
    Group.DRAFTING: (
        ("spec", "How to draft: ngram, eagle, mtp, or a draft model's id; blank is none.", "eagle"),
        ("spec_tokens", "Tokens drafted a step; blank: what is published for the method.", "3"),
        ("accept", "Share of drafted tokens kept; blank: what is published for the method.", "0.7"),
    ),
    Group.CHOICE: (
        ("use", "A typical task: fills in prompt, output and prefix where they are not given.", "RAG"),
        ("models", "Models that may be chosen; blank: the model, or with a quality bar all that were measured.", "8B"),
        ("precisions", "Precisions of the weights that may be chosen; blank: the usual ones.", "fp8,int8"),
        ("regions", "Regions that may be chosen; blank: region.", "us-east-1,us-west-2"),
        ("ways", "Ways to pay that may be chosen; blank: buy.", "on_demand,spot"),
        ("vendors", "Makers of accelerators that may be chosen; blank: NVIDIA.", "NVIDIA,AMD"),
        (
            "owned",
            "Only this hardware: count x accelerator @ dollars per GPU and hour.",
            "8 x L40S @ 0.5",
        ),
    ),
    Group.BAR: (
        ("quality", "Keep at least this percentage of the reference model's published score; blank: no bar.", "99"),
        ("quality_of", "The reference model of the bar.", "meta-llama/Llama-3.1-70B-Instruct"),
        ("quality_on", "The task of the bar, and of what levers keep.", "instruction-following"),
        ("reasoning", "Count scores taken while the model reasons.", "true"),
        ("budget", "Most dollars a month.", "5000"),
    ),
    Group.ANSWER: (
        ("plans", "How many plans to show.", "3"),
        ("apply", "Levers to apply together, beside each alone.", "int4,kv-fp8"),
        ("to", "What to write the plan for.", "kubernetes"),
    ),
    Group.LOAD_PAGE: (
        ("load_amount", "How many people, tasks a day, or million output tokens a month.", "500"),
        ("load_unit", "What that number counts.", "tasks a day"),
        ("load_each", "Requests of a person in an hour, or calls of a task; of no meaning for tokens.", "12"),
        ("load_peak", "The busiest minutes over the mean of a busy hour.", "2"),
        ("week", "Hours of full load, their days, and the percentage of it otherwise.", "8-18x5@20"),
        (
            "load_in",
            "New tokens in: a mean, or short/typical/long, of which are a quarter, half and a quarter.",
            "1024",
        ),
        ("load_out", "Tokens out of a request, in the same form.", "20/100/800"),
        ("load_cached", "Share of a first turn's input that is cached.", "0.5"),
        ("load_turns", "Turns of a conversation, each carrying all before it, cached.", "5"),
        ("load_system", "Tokens that every request starts with, cached.", "2000"),
    ),
    Group.API_PAGE: (
        ("api_tokens", "Million output tokens a month.", "200"),
        ("api_peak", "The busiest minutes over the mean: machines must hold the peak, an API need not.", "2"),
        ("api_models", "Which models' APIs are shown.", "every model"),
        (
            "api_own",
            "Your own prices, a line each: name, dollars per million in, out, cached in.",
            "ours, 0.1, 0.4, 0.05",
        ),
    ),
    Group.COMMIT_PAGE: (
        ("commit_fall", "Percent by which traffic may fall.", "30"),
        ("commit_grow", "Percent by which traffic may grow.", "50"),
        ("commit_wait", "Percent of the work that can wait, and so run on spot.", "20"),
        ("commit_redo", "Percent of spot work done twice, which interruptions throw away.", "10"),
    ),
    Group.PIPELINE_PAGE: (
        ("pipe_kind", "The steps of a task, or a router before a small and a large model.", "router"),
        (
            "pipe_steps",
            "Steps, a line each: name, model or any, calls, tokens in, tokens out, cached share, after.",
            "answer, 8B, 1, 1000, 200",
        ),
        ("pipe_tasks", "Tasks a day.", "10000"),
        ("pipe_peak", "The busiest minutes over the mean of a busy hour.", "2"),
        ("pipe_large", "The one large model that does everything instead.", "70B"),
        ("pipe_bar", "Percent of the large model's score that `any` has to keep.", "90"),
        ("route_small", "The router's small model.", "8B"),
        ("route_by", "The model that routes, one short call a task.", "1B"),
        ("route_share", "Percent of tasks that the small model takes.", "70"),
        ("route_fail", "Of these, the percentage that fails and goes on to the large one.", "10"),
    ),
    Group.SCALING_PAGE: (
        ("law_budget", "Training budget, in FLOP or in dollars of H100 hours.", "5.76e23"),
        ("law_mfu", "Percent of the H100's peak that training reaches.", "40"),
        ("law_served", "Tokens served over its life, in and out; blank: the plan's load over `law_months`.", "2e12"),
        ("law_months", "Months it is served.", "24"),
    ),
    Group.BILL_PAGE: (
        ("bill_control", "Control plane.", "eks"),
        ("bill_balancers", "Load balancers.", "1"),
        ("bill_lcu", "Capacity units of each balancer.", "5"),
        ("bill_logs", "GB of logs a month.", "100"),
        ("bill_storage", "GB of storage of each machine.", "200"),
        ("bill_transfer", "GB a month out to the internet.", "500"),
        ("bill_spare", "Spare machines on top of what the load needs.", "1"),
        ("bill_start", "Minutes until a machine that is started serves.", "10"),
        ("bill_support", "AWS Support plan.", "business-plus"),
        ("bill_other", "Dollars a month of the account's other AWS, which set the band of the support fee.", "20000"),
        ("bill_people", "Percent of an engineer's time.", "150"),
        ("bill_salary", "Dollars a year of an engineer, everything included.", "180000"),
        ("bill_rates", "Your own rates, in place of published ones.", "storage:0.1, transfer:0.12"),
        ("bill_busy", "Percent of the hours that the machines work at this load, for the price of a token.", "50"),
    ),
    Group.OWN_PAGE: (
        ("own_purchase", "Dollars of a whole machine: accelerators, host and network.", "250000"),
        ("own_years", "Years in use.", "4"),
        ("own_resale", "Dollars it is sold for then.", "20000"),
        ("own_capital", "Percent a year that the money would earn elsewhere.", "8"),
        ("own_kw", "Kilowatts when busy; blank: by the data sheet.", "6.5"),
        ("own_busy", "Percent of hours that it is busy, for its power.", "60"),
        ("own_tariff", "Dollars per kWh.", "0.12"),
        ("own_pue", "Power of the building for each watt of the rack.", "1.4"),
        ("own_space", "Dollars a year of racks, colocation and network.", "12000"),
        ("own_staff", "Dollars a year of staff.", "30000"),
        ("own_upkeep", "Dollars a year of support contracts and spares.", "5000"),
    ),
    Group.OTHER_PAGES: (
        (
            "change_traffic",
            "Percent that traffic may be off by, in 80 of 100 cases; counts in how likely the plan is the cheapest.",
            "50",
        ),
        ("score_on", "The task whose score the panel shows.", "knowledge"),
        ("score_in", "The precision whose score it shows.", "fp8"),
    ),
    Group.DECISION: (
        ("decision", "Mark of the inputs the figures were decided for.", "0123456789ab"),
        ("formula", "Version of formulas and tables.", "1-0123abcd"),
        ("decided_on", "The day of the decision.", "2026-11-21"),
        ("decided_usd_month", "Dollars a month, as decided.", "587.5"),
        ("decided_memory", "Bytes per GPU, as decided.", "18000000000"),
        ("decided_ttft", "p95 time to first token in seconds, as decided.", "0.3"),
        ("decided_tpot", "p95 time per output token in seconds, as decided.", "0.06"),
        ("decided_e2e", "p95 time of the whole request in seconds, as decided.", "8"),
        ("decided_cheapest", "The machine that was the cheapest then.", "g6.xlarge"),
    ),
}
_OWN_DEFAULTS = {
    "to": "compose",
    "plans": str(MOST_PLANS),
    "quality_of": "meta-llama/Llama-3.1-70B-Instruct",
    "quality_on": Task.INSTRUCTION_FOLLOWING.value,
}
_KINDS: Mapping[str, ValueKind] = {**PARSERS, **QUESTION, **ANSWER, **PAGE_KEYS, **FROZEN}


def _keys() -> Iterator[Key]:
    for group, rows in _SAID.items():
        for name, says, example in rows:
            default = DEFAULTS.get(name, _OWN_DEFAULTS.get(name))
            shown = "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
            yield Key(name=name, group=group, kind=_KINDS[name], says=says, example=example, default=shown)


VOCABULARY: dict[str, Key] = {key.name: key for key in _keys()}
RECOMMEND_KEYS = (*KEYS, *(key for key in QUESTION_KEYS if key in QUESTION), "plans")
CHANGE_KEYS = (*(key for key in RECOMMEND_KEYS if key != "plans"), "change_traffic")
LEVERS_KEYS = (*KEYS, "quality_on", "apply")
VALIDATED_KEYS = (*KEYS, "quality", "quality_of", "quality_on")
DEPLOY_KEYS = (*KEYS, "to")


def as_markdown() -> Iterator[str]:
    """The table of `docs/KEYS.md`, line by line."""
    yield "# Every key"
    yield ""
    yield "A link's parameter, a flag (`--max-len`), a CSV column and a JSON or YAML key have one name and one meaning."
    yield "Written by `python -m app keys > docs/KEYS.md` from the table that help and `/openapi.json` read."
    for group in Group:
        yield from ("", f"## {group.value[0].upper()}{group.value[1:]}", "", "| key | what | takes | default |")
        yield "|---|---|---|---|"
        for key in VOCABULARY.values():
            if key.group is group:
                yield f"| `{key.name}` | {key.says} | {key.kind.words} | {key.default} |"


def nearest(name: str, among: Iterable[str]) -> str:
    """ " Did you mean max_len?"; nothing where no key is near."""
    found = get_close_matches(name.replace("-", "_"), list(among), n=1, cutoff=0.7)
    return f" Did you mean {found[0]}?" if found else ""
