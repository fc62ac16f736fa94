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
from app.scenario import DEFAULTS, FROZEN, KEYS, PARSERS, QUESTION_KEYS
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
_KINDS: Mapping[str, ValueKind] = {**PARSERS, **QUESTION, **ANSWER, **FROZEN}


def _keys() -> Iterator[Key]:
    for group, rows in _SAID.items():
        for name, says, example in rows:
            default = DEFAULTS.get(name, _OWN_DEFAULTS.get(name))
            shown = "" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
            yield Key(name=name, group=group, kind=_KINDS[name], says=says, example=example, default=shown)


VOCABULARY: dict[str, Key] = {key.name: key for key in _keys()}
RECOMMEND_KEYS = (*KEYS, *(key for key in QUESTION_KEYS if key in QUESTION), "plans")
CHANGE_KEYS = tuple(key for key in RECOMMEND_KEYS if key != "plans")
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
