"""Whether a quantization rule applies to a module, by the patterns of `FormatRule`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

import regex  # type: ignore[import-untyped]

from estimators.architecture.fields import ConfigError
from estimators.architecture.quantization import FormatRule

MAX_REGEX_CHARS = 2000
MAX_REGEXES = 4096
ROOT = "model."  # files and recipes differ in whether the whole model is one more level
MATCH_SECONDS = 0.25  # a module path is short; only a hostile expression takes longer


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """Compiled patterns of one side of a rule."""

    everything: bool
    paths: frozenset[str]
    starts: tuple[str, ...]
    expressions: tuple[regex.Pattern[str], ...]
    by_layer: bool  # some pattern carries a number, so layers may differ


def matches(path: str, rule: FormatRule) -> bool:
    return applies(path, compiled(rule.targets)) and not applies(path, compiled(rule.ignore))


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


def applies(path: str, patterns: Patterns) -> bool:
    short = path.removeprefix(ROOT)
    if patterns.everything or short.startswith(patterns.starts):
        return True
    if patterns.paths and any(run in patterns.paths for run in runs(short)):
        return True
    try:
        return any(
            expression.match(short, timeout=MATCH_SECONDS) or expression.match(ROOT + short, timeout=MATCH_SECONDS)
            for expression in patterns.expressions
        )
    except TimeoutError as problem:
        raise unusable("holds a regular expression that does not end") from problem


@lru_cache(maxsize=8192)
def runs(path: str) -> tuple[str, ...]:
    """Every run of whole components: "a.b.c" has a.b.c, a.b, a, b.c, b and c."""
    parts = path.split(".")
    return tuple(".".join(parts[i:j]) for i in range(len(parts)) for j in range(len(parts), i, -1))


def unusable(problem: str) -> ConfigError:
    field = "quantization_config"
    return ConfigError(f"The model's config cannot be used: {field} {problem}.", field=field)
