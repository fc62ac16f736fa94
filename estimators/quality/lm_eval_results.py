"""Results files of the LM Evaluation Harness, read as evidence: bounded, typed, and never mixing unlike runs."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from estimators.provenance import Refusal, read_table
from estimators.quality.schemes import Scheme
from estimators.quality.scores import Score
from estimators.quality.tasks import DATA

MAX_BYTES = 32 * 2**20  # a full MMLU run with its configs is about 1 MiB
MAX_ROWS = 20_000
MAX_NAME = 200
# The rest of model_args may hold keys, addresses and local paths, and is dropped.
_KEPT_ARGUMENTS = frozenset(
    {"pretrained", "model", "revision", "dtype", "quantization", "load_in_4bit", "load_in_8bit", "gguf_file"}
)
_NOT_METRICS = frozenset({"name", "alias", "sample_len", "sample_count"})
_STDERR = "_stderr"
_WORD = re.compile(r"[\w.+-]{1,60}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessRow:
    """One metric of one task."""

    task: str
    metric: str
    filter: str
    value: float
    standard_error: float | None
    version: str
    shots: int | None  # None for a group, which has none of its own
    higher_is_better: bool
    questions: int | None  # asked
    of: int | None  # in the whole task


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessRun:
    """One results file."""

    model: str  # Hub id, or the last part of a local path
    arguments: tuple[tuple[str, str], ...]
    limit: float | None  # not None: only a part of each task was run
    chat_template: bool
    version: str  # of the harness
    rows: tuple[HarnessRow, ...]

    @property
    def partial(self) -> bool:
        """Whether only some of the questions were asked."""
        return self.limit is not None or any(
            row.questions is not None and row.of is not None and row.questions < row.of for row in self.rows
        )


def parse_results(text: str | bytes) -> HarnessRun:
    """A run from a results file; raises `Refusal` (field "results") for anything else."""
    if len(text) > MAX_BYTES:
        raise _refusal(f"The file is larger than {MAX_BYTES // 2**20} MiB.")
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise _refusal("The file is not JSON.") from None
    results = _mapping(data, "results")
    config = _optional_mapping(_mapping(data), "config")
    rows = tuple(_rows(results, _mapping(data)))
    if not rows:
        raise _refusal("The file holds no result of any task.")
    arguments = _arguments(config.get("model_args"))
    return HarnessRun(
        model=_model_name(data, arguments),
        arguments=tuple(sorted(arguments.items())),
        limit=_limit(config.get("limit")),
        chat_template=bool(data.get("chat_template")),
        version=_text(data.get("lm_eval_version")) or "unknown",
        rows=rows,
    )


def scores_of(run: HarnessRun, model_id: str, scheme: Scheme, *, source: str, as_of: str) -> tuple[Score, ...]:
    """The run's scores on the benchmarks we know, filed under a model and what was done to it.

    Two runs compare only when task version, shots, filter, chat template and limit agree: all of them are in the
    suite and setting of each score. Shares become percent. Raises `Refusal` naming the result that can be none.
    """
    found = []
    for row in run.rows:
        benchmark = _tasks().get((row.task, row.metric))
        if benchmark is None or not row.higher_is_better:
            continue
        _check(row)
        asked = f"; partial run: {row.questions} of {row.of} questions" if run.partial and row.questions else ""
        found.append(
            Score(
                model=model_id,
                benchmark=benchmark,
                suite=f"your LM Evaluation Harness runs, {row.task} version {row.version}",
                setting=_setting(run, row),
                score=100 * row.value,
                scheme=scheme,
                standard_error=100 * row.standard_error if row.standard_error is not None else None,
                note=f"your run{asked}",
                source=source,
                as_of=as_of,
            )
        )
    return tuple(found)


def _check(row: HarnessRow) -> None:
    """Refuses a share that is none, and names that the harness does not write."""
    where = f"results.{row.task}.{row.metric},{row.filter[:40]}"
    if not 0 <= row.value <= 1:
        raise _refusal(f"{row.metric} of {row.task} is {row.value:g}, which is no share from 0 to 1.", where)
    if row.standard_error is not None and row.standard_error > 1:
        raise _refusal(f"The standard error of {row.metric} of {row.task} is {row.standard_error:g}.", where)
    for name, text in (("filter", row.filter), ("version", row.version)):
        if not _WORD.fullmatch(text):
            raise _refusal(f"The {name} of {row.task} is {text[:40]!r}, which the harness would not write.", where)


def _setting(run: HarnessRun, row: HarnessRow) -> str:
    shots = "shots of its parts" if row.shots is None else f"{row.shots}-shot"
    template = "chat template" if run.chat_template else "no chat template"
    limit = "" if run.limit is None else f", limit {run.limit:g}"
    return f"{shots}, {row.metric}, filter {row.filter}, {template}{limit}"


@cache
def _tasks() -> Mapping[tuple[str, str], str]:
    rows = read_table(DATA / "lm_eval_tasks.csv", key=("task", "metric"))
    return {(row["task"], row["metric"]): row["benchmark"] for row in rows}


def _rows(results: Mapping[str, object], data: Mapping[str, object]) -> Iterator[HarnessRow]:
    count = 0
    for task, cells in results.items():
        if not isinstance(cells, dict) or len(task) > MAX_NAME:
            continue
        for key, value in cells.items():
            metric, comma, chosen = str(key).rpartition(",")  # the metric's own name may hold commas
            number = _number(value)
            if not comma or metric in _NOT_METRICS or metric.endswith(_STDERR):
                continue
            if number is None:
                if isinstance(value, float) and (task, metric) in _tasks():
                    raise _refusal(f"{metric} of {task} is {value}, which is no result.", f"results.{task}.{metric}")
                continue
            count += 1
            if count > MAX_ROWS or len(key) > MAX_NAME:
                raise _refusal(f"The file holds more than {MAX_ROWS} results, or names longer than {MAX_NAME}.")
            yield _row(task, metric, chosen, number, cells, data)


def _row(
    task: str, metric: str, chosen: str, number: float, cells: Mapping[str, object], data: Mapping[str, object]
) -> HarnessRow:
    samples = _optional_mapping(_optional_mapping(data, "n-samples"), task)
    better = _optional_mapping(_optional_mapping(data, "higher_is_better"), task)
    version = _optional_mapping(data, "versions").get(task)
    return HarnessRow(
        task=task,
        metric=metric,
        filter=chosen,
        value=number,
        standard_error=_positive(cells.get(f"{metric}{_STDERR},{chosen}")),
        version=_text(version) or "unknown",
        shots=_count(_optional_mapping(data, "n-shot").get(task)),
        higher_is_better=better.get(metric) is not False,
        questions=_count(samples.get("effective")),
        of=_count(samples.get("original")),
    )


def _arguments(value: object) -> dict[str, str]:
    """model_args as a mapping (0.4.13) or as one "k=v,k=v" string (before)."""
    if isinstance(value, dict):
        pairs = [(str(key), value[key]) for key in value]
    elif isinstance(value, str):
        pairs = [(key, rest) for key, found, rest in (part.partition("=") for part in value.split(",")) if found]
    else:
        return {}
    kept = {key.strip(): _text(cell) for key, cell in pairs if key.strip() in _KEPT_ARGUMENTS}
    return {key: _without_folders(cell) for key, cell in kept.items() if cell}


def _model_name(data: Mapping[str, object], arguments: Mapping[str, str]) -> str:
    named = arguments.get("pretrained") or arguments.get("model")
    return named or _without_folders(_text(data.get("model_name"))) or "unnamed model"


def _without_folders(name: str) -> str:
    """A Hub id as it is; of a local path only its last part, which says nothing of the machine."""
    parts = [part for part in name.replace("\\", "/").split("/") if part]
    local = name.startswith(("/", ".", "~", "\\")) or ":" in name or len(parts) > 2
    return parts[-1] if local and parts else name


def _limit(value: object) -> float | None:
    number = _number(value)
    return number if number is None or number > 0 else None


def _number(value: object) -> float | None:
    """A finite number, or None: NaN, "N/A" and the like are no result."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _positive(value: object) -> float | None:
    number = _number(value)
    return number if number is not None and number > 0 else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53 else None


def _text(value: object) -> str:
    """A short string; versions come as numbers too."""
    return str(value)[:MAX_NAME] if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def _mapping(data: object, key: str | None = None) -> Mapping[str, object]:
    found = data if key is None else data.get(key) if isinstance(data, dict) else None
    if not isinstance(found, dict):
        raise _refusal(f"It has no {key!r} table." if key else "It is not a table.")
    return found


def _optional_mapping(data: Mapping[str, object], key: str) -> Mapping[str, object]:
    found = data.get(key)
    return found if isinstance(found, dict) else {}


def _refusal(message: str, field: str = "results") -> Refusal:
    return Refusal(
        message,
        field=field,
        remedy="Give the results_*.json that lm-eval writes under --output_path.",
    )
