"""What programs ask, from flat text: the scenario of an estimate, the question of a recommendation. No Streamlit.

The same keys and readers as a link's. A link opens whatever of it could be read; a program is refused, by the name of
the key, rather than answered for another question than it asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from app.exploring.model_search import in_order
from app.exploring.question_link import Asked, decode_question, question_of
from app.planning.question import Question
from app.planning.remembered import VersionedSources
from app.presets import PRESETS
from app.scenario import Problem, Scenario, decode
from app.sources import LocalSources
from app.vocabulary import ANSWER, VOCABULARY
from estimators.architecture import catalogue
from estimators.hardware.catalogue import accelerators
from estimators.provenance import Refusal
from estimators.quality.scores import Score

NO_MODEL = Refusal(
    "No model is named.", field="model", remedy="Give model, a size such as 8B, models, or a quality bar."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """A question as it was read. `problems` are faults, and what was ignored because another key wins."""

    scenario: Scenario
    asked: Asked
    problems: tuple[Problem, ...]

    @property
    def faults(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if not problem.ignored)


def read_asking(flat: Mapping[str, str], sources: LocalSources, keys: Collection[str]) -> Asking:
    """The scenario and the question of flat text, and every fault by its key. Of the vocabulary only `keys` are read:
    a link may hold the others. Never raises."""
    flat = {key: text for key, text in flat.items() if key in keys or key not in VOCABULARY}
    decoded = decode({key: text for key, text in _with_preset(flat).items() if key not in ANSWER})
    asked, problems = read_question(flat, sources)
    return Asking(scenario=decoded.scenario, asked=asked, problems=(*decoded.problems, *problems))


def read_question(flat: Mapping[str, str], sources: LocalSources) -> tuple[Asked, tuple[Problem, ...]]:
    """What flat text asks beyond the scenario, and what of it could not be used. Never raises."""
    vendors = {chip.vendor for chip in accelerators().values()}
    return decode_question(flat, models=known_models(), regions=sources.book.regions, vendors=vendors)


def _with_preset(flat: Mapping[str, str]) -> Mapping[str, str]:
    """The tokens of the task that `use` names, where the question has none of its own."""
    names = {name.lower(): preset for name, preset in PRESETS.items()}
    preset = names.get(flat.get("use", "").strip().lower())
    if preset is None:
        return flat
    usual = {"prompt": str(preset.prompt), "output": str(preset.output), "prefix": f"{preset.prefix:g}"}
    return {**usual, **flat}


def asked_question(asking: Asking, sources: VersionedSources, own: Sequence[Score] = ()) -> Question:
    """The question to weigh, with a person's own scores for its bar.

    Raises `Refusal` where no model is named and no bar chooses one, or nothing is allowed.
    """
    scenario, asked = asking.scenario, asking.asked
    if scenario.model is None and scenario.params is None and not asked.models and asked.percent is None:
        raise NO_MODEL
    return question_of(asked, scenario, known_models(), tuple(own))


@lru_cache(maxsize=1)
def known_models() -> tuple[str, ...]:
    """Ids of the catalogue, popular ones first."""
    return tuple(in_order([entry.id for entry in catalogue.entries()]))
