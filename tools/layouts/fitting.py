"""From builds to a layout: every dimension as a formula of the config, every tensor with the layers that have it.

A formula is a sum of products, written "2*num_key_value_heads*head_dim+hidden_size"; "a/b" is a whole division and
a number in front may be a fraction. A place is "all" or conditions on the index i of a layer, joined by "&".
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from estimators.architecture import class_values
from estimators.architecture.fields import ConfigError
from tools.layouts.sampling import Sample, Study

Unit = str  # a name with {0}, {1} for the numbers that repeat
NUMBER = re.compile(r"(?<![^.])\d+(?=\.|$)")


def stacks(samples: Sequence[Sample]) -> frozenset[str]:
    """Paths whose numbered children differ in count between samples, or are three and more of one make."""
    sizes: dict[str, set[int]] = defaultdict(set)
    makes: dict[str, bool] = {}
    for sample in samples:
        children: dict[str, dict[str, set[Any]]] = defaultdict(lambda: defaultdict(set))
        for name, (shape, _) in sample.shapes.items():
            for match in NUMBER.finditer(name):
                path = NUMBER.sub("{}", name[: match.start()])
                children[path][match.group()].add((name[match.end() :], shape))
        for path, found in children.items():
            sizes[path].add(max(map(int, found)) + 1)
            alike = len({frozenset(names) for names in found.values()}) == 1
            makes[path] = alike and len(found) > 2 and makes.get(path, True)
    return frozenset(path for path, counts in sizes.items() if len(counts) > 1 or makes[path])


def units(sample: Sample, repeating: frozenset[str]) -> dict[Unit, dict[tuple[int, ...], tuple[tuple[int, ...], bool]]]:
    """The tensors of a build, those that differ only in a repeating number together."""
    found: dict[Unit, dict[tuple[int, ...], tuple[tuple[int, ...], bool]]] = defaultdict(dict)
    for name, shape in sample.shapes.items():
        numbers: list[int] = []

        def mark(match: re.Match[str], name: str = name, numbers: list[int] = numbers) -> str:
            if NUMBER.sub("{}", name[: match.start()]) not in repeating:
                return match.group()
            numbers.append(int(match.group()))
            return f"{{{len(numbers) - 1}}}"

        unit = NUMBER.sub(mark, name)
        found[unit][tuple(numbers)] = shape
    return found


Terms = tuple[tuple[str, ...], ...]


def quantities(samples: Sequence[Sample], fields: Sequence[str]) -> dict[str, np.ndarray[Any, Any]]:
    return {field: np.array([_number(sample.values.get(field)) for sample in samples], dtype=float) for field in fields}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


class Flat(class_values.Values):
    """The values of one build, by path."""

    def __init__(self, sample: Sample) -> None:
        self._known = dict(sample.values)

    def get(self, path: str) -> object:
        return self._known.get(path)

    def usual(self, path: str) -> object:
        return self._known.get(path)


class Words:
    """Formulas found so far: a dimension is more likely one of them than a new one."""

    def __init__(self) -> None:
        self._known: list[str] = []
        self._samples: Sequence[Sample] = ()
        self._moving: Sequence[str] = ()
        self._values: dict[str, list[int | None]] = {}
        self._answers: dict[Any, str | None] = {}

    def move(self, samples: Sequence[Sample], moving: Sequence[str]) -> None:
        """To the builds of another regime."""
        self._samples, self._moving, self._values, self._answers = samples, moving, {}, {}

    def formula(self, wanted: Sequence[int], having: Sequence[int]) -> str | None:
        """The formula that gives `wanted` in the samples numbered `having`."""
        key = (tuple(wanted), tuple(having))
        if key not in self._answers:
            self._answers[key] = self._find(wanted, having)
        return self._answers[key]

    def _find(self, wanted: Sequence[int], having: Sequence[int]) -> str | None:
        varies = len(set(wanted)) > 1
        for known in self._known if varies and len(wanted) > 5 else ():
            values = self._valued(known)
            if all(values[i] == want for i, want in zip(having, wanted, strict=True)):
                return known
        some = [self._samples[i] for i in having]
        target = np.array(wanted, dtype=float)
        said = _formula(target, some, self._moving) or _formula(target, some, _lengths(some))
        if said is not None and varies:
            self._known.append(said)
        return said

    def _valued(self, said: str) -> list[int | None]:
        if said not in self._values:
            self._values[said] = [_evaluated(said, sample) for sample in self._samples]
        return self._values[said]


def _evaluated(said: str, sample: Sample) -> int | None:
    try:
        return class_values.quantity(said, Flat(sample))
    except ConfigError:
        return None


def _lengths(samples: Sequence[Sample]) -> list[str]:
    return [path for path in samples[0].values if path.endswith(".#")]


def _formula(target: np.ndarray[Any, Any], samples: Sequence[Sample], moving: Sequence[str]) -> str | None:
    if np.all(target == target[0]):
        return str(int(target[0]))
    fields = influences(target, samples, moving)
    if not fields:
        return None
    values = quantities(samples, fields)
    for atoms, degree, terms in _attempts(values):
        found = solve(target, products(atoms, degree), terms, values)
        if found is not None:
            return found
    return None


def influences(target: np.ndarray[Any, Any], samples: Sequence[Sample], moving: Sequence[str]) -> list[str]:
    """Fields that alone, or two at once, change the target against the first sample."""
    first: Mapping[str, Any] = samples[0].values
    found: list[str] = []
    for most in (1, 2):
        for sample, value in zip(samples[1:], target[1:], strict=True):
            differing = [f for f in moving if sample.values.get(f) != first.get(f)]
            if value != target[0] and 0 < len(differing) <= most and not set(differing) & set(found):
                found += differing
    return found[:7]


def _attempts(values: Mapping[str, np.ndarray[Any, Any]]) -> list[tuple[dict[str, np.ndarray[Any, Any]], int, int]]:
    plain = dict(values)
    rich = dict(values)
    for a, b in itertools.permutations(values, 2):
        if np.all(values[b] > 0):
            rich[f"{a}/{b}"] = np.floor(values[a] / values[b])
    for name, value in values.items():
        if np.all((value > 0) & (value < 1)):
            rich[f"1/{name}"] = np.floor(1 / value + 0.5)
    sixteenth = {f"{a}/-16": np.ceil(v / 16) for a, v in values.items()}
    made = [(plain, 3, 1), (plain, 3, 2), (rich, 3, 1), (plain, 3, 3), (rich, 2, 2), (plain | sixteenth, 2, 2)]
    if len(values) <= 3:
        made.append((rich, 4, 2))
    return made


def products(atoms: Mapping[str, np.ndarray[Any, Any]], degree: int) -> dict[tuple[str, ...], np.ndarray[Any, Any]]:
    size = len(next(iter(atoms.values()))) if atoms else 0
    made: dict[tuple[str, ...], np.ndarray[Any, Any]] = {(): np.ones(size)}
    for count in range(1, degree + 1):
        for names in itertools.combinations_with_replacement(atoms, count):
            if count > 2 and len(atoms) > 12:
                break
            value = np.ones(size)
            for name in names:
                value = value * atoms[name]
            made[names] = value
    return made


def solve(
    target: np.ndarray[Any, Any],
    terms: Mapping[tuple[str, ...], np.ndarray[Any, Any]],
    count: int,
    values: Mapping[str, np.ndarray[Any, Any]],
) -> str | None:
    """`count` of the terms with simple factors that sum to the target in every sample."""
    names = list(terms)
    if not names or (count == 3 and len(names) > 48) or (count == 2 and len(names) > 220):
        return None
    matrix = np.stack([terms[name] for name in names])
    found: list[list[tuple[Fraction, tuple[str, ...]]]] = []
    good = [i for i in range(len(names)) if np.all(np.isfinite(matrix[i]))]
    rows = np.arange(len(target))
    combos = np.array(list(itertools.combinations(good, count)))
    for start in range(0, len(combos), 4000):
        part = combos[start : start + 4000]
        stacked = matrix[part].transpose(0, 2, 1)  # combination, sample, term
        gram = np.einsum("cst,csu->ctu", stacked, stacked)
        right = np.einsum("cst,s->ct", stacked, target)
        scale = np.sqrt(np.maximum(np.einsum("ctt->ct", gram), 1e-30))
        gram = gram / scale[:, :, None] / scale[:, None, :]
        with np.errstate(all="ignore"):
            usable = np.abs(np.linalg.det(gram)) > 1e-9
            factors = np.zeros_like(right)
            if usable.any():
                factors[usable] = np.linalg.solve(gram[usable], (right / scale)[usable][..., None])[..., 0]
        factors = factors / scale
        fit = np.abs(np.einsum("cst,ct->cs", stacked, factors) - target[rows]).max(axis=1)
        for index in np.nonzero(usable & (fit < 1e-3 * np.maximum(1, np.abs(target).max()) ** 0.25))[0]:
            simple = [Fraction(float(f)).limit_denominator(64) for f in factors[index]]
            if any(f == 0 or (abs(f.numerator) > 4096 and names[c]) for f, c in zip(simple, part[index], strict=True)):
                continue
            exact = sum(float(f) * matrix[c] for f, c in zip(simple, part[index], strict=True))
            if np.all(np.abs(exact - target) < 0.01):
                found.append([(f, names[c]) for f, c in zip(simple, part[index], strict=True)])
    return written(min(found, key=complexity)) if found else None


def complexity(terms: Sequence[tuple[Fraction, tuple[str, ...]]]) -> int:
    """Fractions, bare numbers and high powers are seldom what a class computes."""
    return sum(
        len(names) + 4 * (factor.denominator > 1) + (factor.numerator not in (1, 2, 3, 4)) + 2 * (not names)
        for factor, names in terms
    )


def written(terms: Sequence[tuple[Fraction, tuple[str, ...]]]) -> str:
    """ "2*a*b+c"."""
    made = []
    for factor, names in sorted(terms, key=lambda term: -len(term[1])):
        parts = [*([] if factor == 1 and names else [str(factor)]), *names]
        made.append("*".join(parts))
    return "+".join(made)


Place = Callable[[Mapping[str, Any], int, int], bool]


def places(study: Study, count_field: str) -> dict[str, Place]:
    """Conditions on a layer's index that the config can say."""
    section = count_field.removesuffix(".#").rpartition(".")[0]
    made: dict[str, Place] = {"all": lambda v, i, n: True}
    found = dict(study.base_leaves())
    for path, value in found.items():
        if path.rpartition(".")[0] != section and section:
            continue
        if isinstance(value, bool):
            continue
        if isinstance(value, int) and (path in study.moving or 0 < value < 64):
            made[f"i<{path}"] = lambda v, i, n, p=path: i < (v.get(p) or 0)
            made[f"i>={path}"] = lambda v, i, n, p=path: i >= (v.get(p) or 0)
            made[f"i>=-{path}"] = lambda v, i, n, p=path: i >= n - (v.get(p) or 0)
            made[f"i<-{path}"] = lambda v, i, n, p=path: i < n - (v.get(p) or 0)
            for r, say in ((0, "0"), (-1, "-1")):
                made[f"i%{path}={say}"] = lambda v, i, n, p=path, r=r: bool(v.get(p)) and (i - r) % v[p] == 0
                made[f"i%{path}!={say}"] = lambda v, i, n, p=path, r=r: not v.get(p) or (i - r) % v[p] != 0
            for other, inner in found.items():
                if type(inner) is int and other != path and other.rpartition(".")[0] == section and "offset" in other:
                    made[f"i%{path}={other}"] = lambda v, i, n, p=path, o=other: bool(v.get(p)) and i % v[p] == v[o]
                    made[f"i%{path}!={other}"] = lambda v, i, n, p=path, o=other: not v.get(p) or i % v[p] != v[o]
        if isinstance(value, list):
            made[f"i@{path}"] = lambda v, i, n, p=path: i in (v.get(p) or ())
            made[f"i!@{path}"] = lambda v, i, n, p=path: i not in (v.get(p) or ())
        if (isinstance(value, list) and len(value) > 1) or (isinstance(value, str) and "pattern" in path):
            for kind in sorted({str(item) for item in value if isinstance(item, str | int)}):
                made[f"{path}[i]={kind}"] = lambda v, i, n, p=path, k=kind: _entry(v.get(p), i) == k
                made[f"{path}[i]!={kind}"] = lambda v, i, n, p=path, k=kind: _entry(v.get(p), i) not in (k, None)
    for k in (1, 2, 3):
        made[f"i<{k}"] = lambda v, i, n, k=k: i < k
        made[f"i>={k}"] = lambda v, i, n, k=k: i >= k
        made[f"i<-{k}"] = lambda v, i, n, k=k: i < n - k
        made[f"i>=-{k}"] = lambda v, i, n, k=k: i >= n - k
    for k, r in ((2, 0), (2, 1), (4, 3), (4, 0), (3, 2), (6, 5), (5, 4)):
        made[f"i%{k}={r}"] = lambda v, i, n, k=k, r=r: i % k == r
        made[f"i%{k}!={r}"] = lambda v, i, n, k=k, r=r: i % k != r
    return made


def _entry(values: Any, index: int) -> str | None:
    return str(values[index]) if isinstance(values, list | str) and index < len(values) else None


def place(
    presence: Sequence[frozenset[int]],
    within: Sequence[frozenset[int]],
    tables: Mapping[str, Sequence[frozenset[int]]],
) -> str | None:
    """The condition, or two joined, that holds for exactly these layers, or "~" for all but these, in every sample."""
    said = _place(presence, within, tables)
    if said is None:
        others = [all_ - some for some, all_ in zip(presence, within, strict=True)]
        said = _place(others, within, tables)
        return None if said is None else f"~{said}"
    return said


def _place(
    presence: Sequence[frozenset[int]], within: Sequence[frozenset[int]], tables: Mapping[str, Sequence[frozenset[int]]]
) -> str | None:
    if all(a == b for a, b in zip(presence, within, strict=True)):
        return "all"
    usable = {}
    for say, sets in tables.items():
        cut = [a & b for a, b in zip(sets, within, strict=True)]
        if all(have <= full for have, full in zip(presence, cut, strict=True)):
            if all(have == full for have, full in zip(presence, cut, strict=True)):
                return say
            usable[say] = cut
    for (one, a), (two, b) in itertools.combinations(usable.items(), 2):
        if all(have == x & y for have, x, y in zip(presence, a, b, strict=True)):
            return f"{one}&{two}"
    return None
