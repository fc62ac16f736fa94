"""Whether a quantization rule applies to a module, by the patterns of `FormatRule`."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from functools import lru_cache

import regex  # type: ignore[import-untyped]

from estimators.architecture.fields import ConfigError
from estimators.architecture.quantization import FormatRule

MAX_REGEX_CHARS = 2000
MAX_REGEXES = 4096
ROOT = "model."  # files and recipes differ in whether the whole model is one more level
MATCH_SECONDS = 0.1  # of one expression on one module path, microseconds when honest; longer is hostile
TOTAL_SECONDS = 2.0  # of all expressions of a model on all its paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """Compiled patterns of one side of a rule."""

    everything: bool
    paths: frozenset[str]
    starts: tuple[str, ...]
    expressions: tuple[regex.Pattern[str], ...]
    by_layer: bool  # some pattern carries a number, so layers may differ


@dataclass(slots=True)
class Budget:
    """Seconds spent on the expressions of one model's rules."""

    seconds: float = 0.0

    def spend(self, seconds: float) -> None:
        self.seconds += seconds
        if self.seconds > TOTAL_SECONDS:
            raise unusable("holds regular expressions that take too long")


def matches(path: str, rule: FormatRule, budget: Budget) -> bool:
    """Whether the rule's targets take the module in and its ignore list does not leave it out."""
    return applies(path, compiled(rule.targets), budget) and not applies(path, compiled(rule.ignore), budget)


def layer_specific(rule: FormatRule) -> bool:
    return compiled(rule.targets).by_layer or compiled(rule.ignore).by_layer


@lru_cache(maxsize=256)
def compiled(patterns: tuple[str, ...]) -> Patterns:
    expressions = [pattern.removeprefix("re:") for pattern in patterns if pattern.startswith("re:")]
    plain = [pattern for pattern in patterns if not pattern.startswith("re:")]
    if len(expressions) > MAX_REGEXES or any(len(expression) > MAX_REGEX_CHARS for expression in expressions):
        raise unusable("holds too many or too long regular expressions")
    return Patterns(
        everything="Linear" in plain,
        paths=frozenset(pattern.removeprefix(ROOT) for pattern in plain if not pattern.endswith("*")),
        starts=tuple(pattern[:-1].removeprefix(ROOT) for pattern in plain if pattern.endswith("*")),
        expressions=tuple(compile_expression(expression) for expression in expressions),
        by_layer=any(re.search(r"(?:^|[^a-z])\d", pattern.removeprefix("re:")) for pattern in patterns),
    )


def compile_expression(expression: str) -> regex.Pattern[str]:
    try:
        return regex.compile(expression)
    except (regex.error, RecursionError, OverflowError) as problem:
        raise unusable("holds a regular expression that does not compile") from problem


def applies(path: str, patterns: Patterns, budget: Budget) -> bool:
    short = path.removeprefix(ROOT)
    if patterns.everything or short.startswith(patterns.starts):
        return True
    if patterns.paths and any(run in patterns.paths for run in runs(short)):
        return True
    return any_expression(short, patterns, budget)


def any_expression(path: str, patterns: Patterns, budget: Budget) -> bool:
    """Whether an expression matches from the start, with or without the root; bounded in time."""
    if not patterns.expressions:
        return False
    started = time.perf_counter()
    try:
        matched = any(
            expression.match(path, timeout=MATCH_SECONDS) or expression.match(ROOT + path, timeout=MATCH_SECONDS)
            for expression in patterns.expressions
        )
    except TimeoutError:
        raise unusable("holds a regular expression that does not end") from None
    budget.spend(time.perf_counter() - started)
    return matched


@lru_cache(maxsize=8192)
def runs(path: str) -> tuple[str, ...]:
    """Every run of whole components: "a.b.c" has a.b.c, a.b, a, b.c, b and c."""
    parts = path.split(".")
    return tuple(".".join(parts[i:j]) for i in range(len(parts)) for j in range(len(parts), i, -1))


def unusable(problem: str) -> ConfigError:
    field = "quantization_config"
    return ConfigError(f"The model's config cannot be used: {field} {problem}.", field=field)
