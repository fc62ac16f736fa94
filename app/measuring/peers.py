"""Another estimator beside ours, on the same published rows. Pure reading.

`python -m tools.compare_aiconfigurator` asked it; ours is what a fit predicts that never saw the publication.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import median

from estimators.fitting.held_out import Checked, ErrorScore, score
from estimators.fitting.latency_accuracy import targets
from estimators.provenance import read_table

ANSWERS = Path(__file__).with_name("data") / "aiconfigurator.csv"
FIGURES: Mapping[str, str] = {"e2e": "e2e_s", "tpot": "tpot_s", "ttft": "ttft_s", "throughput": "req_per_s"}
REFUSED: Mapping[str, str] = {  # what it has none of, or what it says
    "chip": "chip",
    "engine": "engine",
    "model": "model",
    "format": "format",
    "data": "kernels of the format or shape",
    "memory": "does not fit",
    "other": "other",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One kind of figure: both estimators' errors over the figures that both answer, and what the other refused."""

    what: str
    ours: ErrorScore
    theirs: ErrorScore
    ids: frozenset[str]
    measured: float  # share of the figures for which its measured tables were enough
    refused: Mapping[str, int]  # figures by why it does not answer, most first
    ahead: tuple[str, ...]  # publications of ten figures or more on which the other is nearer in the middle

    @property
    def refusals(self) -> str:
        return ", ".join(f"{REFUSED[reason]} {count:,}" for reason, count in self.refused.items())


@lru_cache(maxsize=1)
def answers() -> dict[str, dict[str, str]]:
    """What it answered, by the id of the published row."""
    return {row["id"]: row for row in read_table(ANSWERS)}


def tool() -> str:
    """Its name and version."""
    return next(iter(answers().values()))["source"]


@lru_cache(maxsize=1)
def beside() -> tuple[Beside, ...]:
    """Every line of the table that ours is judged by."""
    return tuple(_beside(target.what, target.figures) for target in targets())


def _beside(what: str, figures: Iterable[Checked]) -> Beside:
    ours: list[Checked] = []
    theirs: list[Checked] = []
    refused: Counter[str] = Counter()
    for figure in figures:
        answer = answers().get(figure.id)
        if answer is None:  # of the largest campaigns a sample was asked
            continue
        if estimate := answer[FIGURES[figure.metric]]:
            ours.append(figure)
            theirs.append(replace(figure, without_publication=float(estimate)))
        else:
            refused[answer["refused"]] += 1
    return Beside(
        what=what,
        ours=score(what, ours),
        theirs=score(what, theirs),
        ids=frozenset(figure.id for figure in ours),
        measured=sum(answers()[figure.id]["database"] == "silicon" for figure in ours) / max(1, len(ours)),
        refused=dict(refused.most_common()),
        ahead=tuple(_ahead(ours, theirs)),
    )


def _ahead(ours: Iterable[Checked], theirs: Iterable[Checked]) -> Iterator[str]:
    pairs: dict[str, list[tuple[float, float]]] = {}
    for mine, other in zip(ours, theirs, strict=True):
        pairs.setdefault(mine.publication, []).append((mine.error(), other.error()))
    for publication, errors in sorted(pairs.items()):
        mine_errors, other_errors = zip(*errors, strict=True)
        if len(errors) >= 10 and median(other_errors) < median(mine_errors):
            yield publication
