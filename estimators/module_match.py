"""Whether a quantization rule applies to a module, by the patterns of `FormatRule`."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache

import regex  # type: ignore[import-untyped]

from estimators.architecture.fields import ConfigError
from estimators.architecture.quantization import FormatRule
from estimators.remembered import Remembered

MAX_REGEX_CHARS = 2000
MAX_RULES = 10_000
MAX_REGEXES = 512  # of one side of a rule; published checkpoints have a dozen
FIELD = "quantization_config"
ROOT = "model."  # files and recipes differ in whether the whole model is one more level
MATCH_SECONDS = 0.1  # of one expression on one module path, microseconds when honest; longer is hostile
TOTAL_SECONDS = 1.0  # of one processor, for all rules of a model on all its paths


@dataclass(frozen=True, slots=True, kw_only=True)
class Patterns:
    """Compiled patterns of one side of a rule."""

    everything: bool
    paths: frozenset[str]
    starts: tuple[str, ...]
    expressions: tuple[str, ...]
    by_layer: bool  # some pattern carries a number, so layers may differ


Check = Callable[[], None]  # raises once all looks at a model's rules have taken too long


@dataclass(slots=True)
class Budget:
    """Seconds of one processor spent on all rules of one model, and why they are given up, once they are."""

    seconds: float = 0.0
    clock: Callable[[], float] = field(default=time.thread_time, repr=False)
    given_up: str = ""

    @contextmanager
    def looking(self) -> Iterator[Check]:
        """Time in the block counts. What is refused in it once is refused from then on at once."""
        if self.given_up:
            raise ConfigError(self.given_up, field=FIELD)
        begun = self.clock()  # of this thread, which shares the budget with others

        def check() -> None:
            if self.seconds + self.clock() - begun > TOTAL_SECONDS:
                raise unusable("holds rules that take too long")

        try:
            yield check
        except ConfigError as refused:
            self.given_up = refused.message
            raise
        finally:
            self.seconds += self.clock() - begun


def first_match(path: str, rules: Iterable[FormatRule], budget: Budget) -> FormatRule | None:
    """The first rule that applies to a module: its targets take it in and its ignore list does not leave it out.

    Raises `ConfigError` for rules that cannot be applied within reason.
    """
    with budget.looking() as check:
        for rule in rules:
            check()
            if applies(path, compiled(rule.targets), check) and not applies(path, compiled(rule.ignore), check):
                return rule
    return None


def layer_specific(rule: FormatRule) -> bool:
    return compiled(rule.targets).by_layer or compiled(rule.ignore).by_layer


_COMPILED: Remembered[Patterns] = Remembered(1024)  # by identity: hashing every expert of every layer takes longer


def compiled(patterns: tuple[str, ...]) -> Patterns:
    return _COMPILED.of((patterns,), None, lambda: _compiled(patterns))


def _compiled(patterns: tuple[str, ...]) -> Patterns:
    expressions = [pattern.removeprefix("re:") for pattern in patterns if pattern.startswith("re:")]
    plain = [pattern for pattern in patterns if not pattern.startswith("re:")]
    if len(expressions) > MAX_REGEXES or any(len(expression) > MAX_REGEX_CHARS for expression in expressions):
        raise unusable("holds too many or too long regular expressions")
    return Patterns(
        everything="Linear" in plain,
        paths=frozenset(pattern.removeprefix(ROOT) for pattern in plain if not pattern.endswith("*")),
        starts=tuple(pattern[:-1].removeprefix(ROOT) for pattern in plain if pattern.endswith("*")),
        expressions=tuple(expressions),
        by_layer=any(re.search(r"(?:^|[^a-z])\d", pattern.removeprefix("re:")) for pattern in patterns),
    )


@lru_cache(maxsize=4096)
def compile_expression(expression: str) -> regex.Pattern[str]:
    return regex.compile(expression)


def applies(path: str, patterns: Patterns, check: Check) -> bool:
    short = path.removeprefix(ROOT)
    if patterns.everything or short.startswith(patterns.starts):
        return True
    if patterns.paths and any(run in patterns.paths for run in runs(short)):
        return True
    return any_expression(short, patterns.expressions, check)


def any_expression(path: str, expressions: Iterable[str], check: Check) -> bool:
    """Whether an expression matches from the start, with or without the root."""
    for expression in expressions:
        check()
        try:
            pattern = compile_expression(expression)
            if any(pattern.match(text, timeout=MATCH_SECONDS) for text in (path, ROOT + path)):
                return True
        except TimeoutError:
            raise unusable("holds a regular expression that does not end") from None
        except (regex.error, RecursionError, OverflowError, MemoryError) as problem:
            raise unusable("holds a regular expression that does not compile") from problem
    return False


@lru_cache(maxsize=8192)
def runs(path: str) -> tuple[str, ...]:
    """Every run of whole components: "a.b.c" has a.b.c, a.b, a, b.c, b and c."""
    parts = path.split(".")
    return tuple(".".join(parts[i:j]) for i in range(len(parts)) for j in range(len(parts), i, -1))


def unusable(problem: str) -> ConfigError:
    return ConfigError(f"The model's config cannot be used: {FIELD} {problem}.", field=FIELD)
