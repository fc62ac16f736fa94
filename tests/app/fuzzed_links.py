"""Links as strangers write them, drawn from a seed: the vocabulary's keys and odd ones, with values that are right,
nearly right or hostile."""

from __future__ import annotations

from random import Random

from app.presets import PRESETS
from app.scenario import KEYS, QUESTION_KEYS, LoadMode
from estimators.architecture import catalogue
from estimators.precision import KvPrecision, Method, Weights
from estimators.quality.tasks import Task
from estimators.workload import Engine
from pricing.offers import PurchaseOption

MODELS = tuple(entry.id for entry in catalogue.entries())
CHIPS = ("A10G", "H100", "L4", "L40S", "a100-80gb", "MI300X", "Trainium2", "T4", "V100", "A10G (24 GB)", "B200")
MACHINES = ("g6.xlarge", "g5.12xlarge", "p5.48xlarge", "p4d.24xlarge", "g6f.large", "zz9.xlarge", "trn2.48xlarge")
COUNTS = (
    "8B",
    "30B-A3B",
    "0.5B",
    "350M",
    "1.5T",
    "99999T",
    "0B",
    "0.5M",
    "8.123456789B",
    "30B-A0B",
    "1M",
    "8b ",
    "7B-A9B",
)
IDS = (
    "1.",
    "3-",
    "org/name-",
    "a--b",
    "gpt2",
    "a/b@main",
    "a/b@x y",
    "_a/b",
    "H100",
    "g6.xlarge",
    "a/b.git",
    "nan",
    "8B@x",
)
NUMBERS = (
    "0", "1", "2", "3", "4", "7", "8", "16", "64", "128", "1000", "1024", "4096", "131072", "999999999", "1000000",
    "0.5", ".25", "1.", "0.000001", "1e3", "1_0", "-1", "+1", " 2 ", "\u0663", "inf", "nan", "NaN", "0x10", "1" * 40,
    "0.3333333333333",
)  # fmt: skip
HOSTILE = (
    "", " ", "auto", "none", "None", "null", "true", "../../etc/passwd", "<script>", "[x](http://e.vil)", "a\nb",
    "\x00", "é", "'; DROP TABLE price", "\u202e", "x" * 400, "%00", "{}", "[]", "=1+1", "\ud83d", "undefined",
)  # fmt: skip
RIGHT: dict[str, tuple[str, ...]] = {
    "model": (*MODELS, *MODELS, *COUNTS, *IDS),
    "weights": tuple(Weights),
    "method": tuple(Method),
    "kv": tuple(KvPrecision),
    "load": tuple(LoadMode),
    "gpu": (*CHIPS, *CHIPS, *IDS),
    "instance": MACHINES,
    "region": ("us-east-1", "eu-west-1", "ap-northeast-1", "us-gov-west-1", "aa-north-0", "cn-north-1"),
    "buy": tuple(PurchaseOption),
    "engine": tuple(Engine),
    "engine_version": ("0.11.0", "0.6.3", "0", "9999.9", "0.5.1rc1", "v1"),
    "eager": ("true", "false", "TRUE", "1"),
    "lora": ("4@16", "0@1", "9999@9999", "1@8", "4"),
    "spec": ("none", "ngram", "eagle", "mtp", "nan", "NaN", *IDS, *MODELS[:30]),
    "util": ("0.9", "0.05", "1", "1.01", "0.3"),
    "price": ("0", "1.2345", "99999", "0.0000001"),
    "discount": ("0", "20", "12.5", "90", "90.1", "100"),
    "negotiated": ("g6.xlarge:0.5", "p5.48xlarge:40,g6.xlarge@spot:0.3", "g6.xlarge:0.01", "zz9.xlarge:1", "g6.xlarge"),
    "price_as_of": ("2026-11-21", "2999-01-01", "0001-01-01", "2026-02-30"),
    "decision": ("0123456789ab", "xyz"),
    "formula": ("1-abcdef01", "9999-00000000"),
    "decided_on": ("2026-11-21", "2026-13-01"),
    "decided_cheapest": MACHINES,
    "use": (*PRESETS, "nothing"),
    "precisions": tuple(Weights),
    "regions": ("us-east-1", "eu-west-1", "aa-north-0"),
    "ways": tuple(PurchaseOption),
    "vendors": ("NVIDIA", "AMD", "nvidia", "Acme"),
    "quality_of": MODELS,
    "quality_on": tuple(Task),
    "reasoning": ("1", "0", "true"),
    "owned": ("8 x A100-80GB", "8 x A100-80GB @ 0.90", "2 L4", "0 x H100", "99999 x T4 @ 999999.9999", "H100"),
    "choice": ("as asked", "cheapest", "safe", "worst"),
    "v": ("1", "2", "0", "x"),
    "utm_source": ("mail",),
    "embed": ("true",),
}  # fmt: skip
LISTS = {"models": ",", "precisions": ",", "regions": ",", "ways": ",", "vendors": ",", "owned": ";"}
RIGHT["models"] = (*MODELS, *COUNTS, *IDS, *CHIPS)
QUESTION = (*QUESTION_KEYS, "models", "precisions")
DECISION = (
    "decision", "formula", "decided_on", "decided_usd_month", "decided_memory", "decided_ttft", "decided_tpot",
    "decided_e2e", "decided_cheapest",
)  # fmt: skip


def scenario_link(draw: Random) -> dict[str, str]:
    return _link(draw, draw.sample((*KEYS, "v", "utm_source", "embed"), draw.randint(0, 8)))


def question_link(draw: Random) -> dict[str, str]:
    return _link(draw, [*draw.sample(QUESTION, draw.randint(1, 7)), *draw.sample(KEYS, draw.randint(0, 4))])


def decision_link(draw: Random) -> dict[str, str]:
    return _link(draw, [*draw.sample(DECISION, draw.randint(1, 9)), *draw.sample(KEYS, draw.randint(0, 6)), "v"])


def _link(draw: Random, keys: list[str]) -> dict[str, str]:
    raw = {key: _value(draw, key) for key in keys}
    if draw.random() < 0.7:
        raw.setdefault("model", draw.choice(MODELS))
    return raw


def _value(draw: Random, key: str) -> str:
    if draw.random() < 0.06:
        return draw.choice(HOSTILE)
    values = RIGHT.get(key, NUMBERS)
    if key in LISTS:
        return LISTS[key].join(draw.choice(values) for _ in range(draw.choice((1, 1, 2, 3, 12))))
    return draw.choice(values)
