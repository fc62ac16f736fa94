"""`estimate`, `recommend`, `levers`, `deploy`, `compare`: a question in flags, a file or a link; text, JSON or CSV out.

Flags and their help are the vocabulary's.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from app.scenario import FROZEN, KEYS, QUESTION_KEYS, Problem
from app.vocabulary import DEPLOY_KEYS, LEVERS_KEYS, RECOMMEND_KEYS, VALIDATED_KEYS, VOCABULARY
from estimators.provenance import Refusal

if TYPE_CHECKING:
    from app.answers import Answered
    from app.sources import LocalSources, MeasuredSources
    from estimators.measuring.jobs.store import MeasurementStore

EXIT_CODES = """exit codes:
  0  answered
  1  no plan does what was asked; the reason is in the answer
  2  the question could not be read; the key at fault is named
"""
Answering = Callable[[Mapping[str, str]], "Answered"]


def add_ask_commands(commands: Any, program: str) -> None:
    """Register the commands; each sets `run` to what carries it out."""
    estimate = _command(
        commands, program, "estimate", "print one plan", KEYS,
        [f"{program} estimate --model 8B --concurrency 40", f"{program} estimate --model 8B --gpu L4 --json"],
    )  # fmt: skip
    _add_kept_logs(estimate)
    estimate.set_defaults(run=lambda asked: _run(asked, KEYS, partial(_estimate, asked.kept_logs)))
    _add_keep(estimate)
    recommend = _command(
        commands, program, "recommend", "rank the plans that meet every limit", RECOMMEND_KEYS,
        [
            f"{program} recommend --model 8B --rate 5 --ttft 1 --precisions bf16,fp8",
            f"{program} recommend --use RAG --rate 20 --ttft 1 --quality 99 --budget 20000 --csv",
            f"{program} recommend question.yaml --plans 3 --json",
        ],
    )  # fmt: skip
    recommend.add_argument("--kept-scores", action="store_true", help="let kept results of lm_eval count in the bar")
    _add_kept_logs(recommend)
    recommend.set_defaults(
        run=lambda asked: _run(asked, RECOMMEND_KEYS, partial(_recommend, asked.kept_scores, asked.kept_logs))
    )
    _add_keep(recommend)
    levers = _command(
        commands, program, "levers", "what would make a plan cheaper or faster", LEVERS_KEYS,
        [f"{program} levers --model meta-llama/Llama-3.1-8B-Instruct --concurrency 40 --apply int4,kv-fp8"],
    )  # fmt: skip
    levers.set_defaults(run=lambda asked: _run(asked, LEVERS_KEYS, _levers))
    deploy = _command(
        commands, program, "deploy", "write a plan as a file that starts it", DEPLOY_KEYS,
        [
            f"{program} deploy --model meta-llama/Llama-3.1-8B-Instruct --concurrency 40 > compose.yaml",
            f"{program} deploy --to kubernetes --model meta-llama/Llama-3.1-8B-Instruct | kubectl apply -f -",
            f"{program} deploy --to terraform 'LINK' > main.tf",
        ],
    )  # fmt: skip
    deploy.set_defaults(run=lambda asked: _run(asked, DEPLOY_KEYS, _deploy))
    validated = _command(
        commands, program, "validated", "whose checkpoint a plan serves, and what of its quality is measured",
        VALIDATED_KEYS,
        [
            f"{program} validated --model meta-llama/Llama-3.1-8B-Instruct --weights int4 --quality-on knowledge",
            f"{program} validated --model 'org/name' --weights fp8 --results results_2026-11-28.json",
        ],
    )  # fmt: skip
    validated.add_argument("--results", type=Path, metavar="FILE", help="of a run of this plan by lm_eval, to count")
    validated.add_argument("--keep-scores", action="store_true", help="keep them in the database, like measurements")
    validated.set_defaults(
        run=lambda asked: _run(asked, VALIDATED_KEYS, partial(_validated, asked.results, asked.keep_scores))
    )
    compare = commands.add_parser(
        "compare",
        help="up to six scenarios side by side",
        description="Up to six scenarios side by side: links as Copy link gives them, or files of keys.",
        epilog=_epilog([f"{program} compare 'model=8B&gpu=L4' 'model=8B&gpu=A10G&weights=int4' other.yaml"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.add_argument("scenarios", nargs="+", metavar="LINK_OR_FILE")
    _add_formats(compare)
    compare.set_defaults(run=_run_compare)


def _command(
    commands: Any, program: str, name: str, says: str, keys: Iterable[str], examples: Iterable[str]
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        usage=f"{program} {name} [FILE_OR_LINK] [--KEY VALUE ...] [--json | --csv]",
        help=says,
        description=f"{says[0].upper()}{says[1:]}. Keys may also stand in a file or a link; a flag overrules them.",
        epilog=_epilog(examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.add_argument("question", nargs="?", metavar="FILE_OR_LINK", help="keys as JSON or YAML, or a copied link")
    add_keys(command, keys)
    _add_formats(command)
    return command


def _add_kept_logs(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--kept-logs", action="store_true", help="let kept start-up logs narrow the memory of the servers they are of"
    )


def _epilog(examples: Iterable[str]) -> str:
    return "\n".join(["examples:", *(f"  {line}" for line in examples), "", EXIT_CODES])


def add_keys(command: argparse.ArgumentParser, keys: Iterable[str]) -> None:
    """A flag for each key, under the heading of its group, explained as the vocabulary explains it."""
    wanted = set(keys)
    shown = [key for key in VOCABULARY.values() if key.name in wanted]
    for group, members in groupby(shown, key=lambda key: key.group):
        heading = command.add_argument_group(group.value)
        for key in members:
            said = key.explained.replace("%", "%%")
            heading.add_argument(*key.flags, dest=key.name, metavar="VALUE", help=said)


def _add_formats(command: argparse.ArgumentParser) -> None:
    formats = command.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="the answer as one JSON object, as HTTP gives it")
    formats.add_argument("--csv", action="store_true", help="the answer as CSV")


def _add_keep(command: argparse.ArgumentParser) -> None:
    command.add_argument("--keep", type=Path, metavar="FILE", help="keep the first plan as a decision, for `check`")


def _run(asked: argparse.Namespace, keys: Iterable[str], answer: Answering) -> int:
    try:
        allowed = tuple(keys)
        flat = read_flat(asked.question, allowed) if asked.question else {}
        flat |= {key: value for key in allowed if (value := getattr(asked, key)) is not None}
        found = answer(flat)
        if getattr(asked, "keep", None) is not None and found.refusal is None:
            _keep(found, asked.keep)
    except Refusal as refusal:
        return fail(refusal, as_json=asked.json)
    return show(found, asked)


def _keep(found: Answered, path: Path) -> None:
    from app.exploring.kept_plan import kept_text
    from app.sources import shared_sources

    try:
        path.write_text(kept_text(found.plans[0], datetime.now(UTC).date(), shared_sources()), encoding="utf-8")
    except OSError as fault:
        raise Refusal(f"{path} cannot be written: {fault.strerror}.", field="keep") from None


def _run_compare(asked: argparse.Namespace) -> int:
    from app.answers import compare
    from app.exploring.compare import MOST_SCENARIOS, compared_of
    from app.sources import shared_sources

    try:
        if len(asked.scenarios) > MOST_SCENARIOS:
            remedy = f"Name up to {MOST_SCENARIOS}."
            raise Refusal(f"{len(asked.scenarios)} scenarios are too many.", field="scenarios", remedy=remedy)
        found = [compared_of(read_flat(text, KEYS), shared_sources()) for text in asked.scenarios]
    except Refusal as refusal:
        return fail(refusal, as_json=asked.json)
    for number, entry in enumerate(found, start=1):
        for problem in entry.problems:
            print(f"note: ({number}) {problem.message}", file=sys.stderr)
    return show(compare(found), asked)


def _estimate(kept_logs: bool, flat: Mapping[str, str]) -> Answered:
    from app.answers import estimate
    from app.exploring.asking import read_asking
    from app.sources import shared_sources

    asking = read_asking(flat, shared_sources(), KEYS)
    _note(asking.problems)
    return estimate(asking, _sources(kept_logs))


def _sources(kept_logs: bool) -> LocalSources | MeasuredSources:
    """What a command plans from: with the start-up logs of the database, where they are asked for."""
    from app.sources import MeasuredSources, shared_sources

    return MeasuredSources(shared_sources(), _store().logs()) if kept_logs else shared_sources()


def _recommend(kept_scores: bool, kept_logs: bool, flat: Mapping[str, str]) -> Answered:
    from app.answers import most_plans, recommend
    from app.exploring.asking import read_asking
    from app.sources import shared_sources

    asking = read_asking(flat, shared_sources(), RECOMMEND_KEYS)
    _note(asking.problems)
    own = _store().quality_scores() if kept_scores else ()
    scores = [entry.score for entry in own]
    return recommend(asking, _sources(kept_logs), most=most_plans(flat), own=scores)


def _store() -> MeasurementStore:
    from app.measuring.jobs import measurement_store

    return measurement_store()


def _levers(flat: Mapping[str, str]) -> Answered:
    from app.answers import levers, levers_to_apply
    from app.exploring.asking import read_asking
    from app.sources import shared_sources

    asking = read_asking(flat, shared_sources(), LEVERS_KEYS)
    _note(asking.problems)
    return levers(asking, shared_sources(), apply=levers_to_apply(flat))


def _validated(results: Path | None, keep: bool, flat: Mapping[str, str]) -> Answered:
    from app.answers import is_validated
    from app.exploring.asking import read_asking
    from app.sources import shared_sources

    asking = read_asking(flat, shared_sources(), VALIDATED_KEYS)
    _note(asking.problems)
    try:
        document = results.read_bytes() if results else None
    except OSError as fault:
        raise Refusal(f"{results} cannot be read: {fault.strerror}.", field="results") from None
    if not keep:
        return is_validated(asking, shared_sources(), results=document)
    return is_validated(asking, shared_sources(), results=document, keep=_store().keep_scores)


def _deploy(flat: Mapping[str, str]) -> Answered:
    from app.answers import deploy, deploy_to
    from app.exploring.asking import read_asking
    from app.sources import shared_sources

    asking = read_asking(flat, shared_sources(), DEPLOY_KEYS)
    _note(asking.problems)
    return deploy(asking, shared_sources(), to=deploy_to(flat))


def _note(problems: Iterable[Problem]) -> None:
    for problem in problems:
        if problem.ignored:
            print(f"note: {problem.message}", file=sys.stderr)


def read_flat(text: str, keys: Iterable[str]) -> dict[str, str]:
    """The flat text of a link, or of a file of keys. Raises `Refusal` for what is neither."""
    from app.answers import BadInput
    from app.documents import flat_of

    allowed = (*keys, *FROZEN, *QUESTION_KEYS)
    path = Path(text)
    if path.suffix in (".json", ".yaml", ".yml"):
        document = read_file(path)
        if not isinstance(document, dict):
            raise Refusal(f"{path} holds no keys.", field="file", remedy="Write lines such as model: 8B.")
        flat, problems = flat_of(document, allowed, texts=path.suffix != ".json")
        if problems:
            raise BadInput(problems)
        return flat
    query = urlsplit(text).query if "?" in text else text
    pairs = parse_qsl(query, keep_blank_values=True) if "=" in query and len(query) <= 8_000 else []
    if not pairs:
        raise Refusal(
            f"{text[:60]} is neither a link nor a file of keys.", field="file", remedy="Name a .json or .yaml file."
        )
    return {key: value for key, value in pairs if not key.startswith("embed")}


def read_file(path: Path) -> Any:
    """What a JSON or YAML file holds. Raises `Refusal` where it cannot be read."""
    from app.documents import MOST_JSON_BYTES, read_json, read_yaml

    try:
        with path.open("rb") as file:
            text = file.read(MOST_JSON_BYTES + 1)
    except OSError as fault:
        raise Refusal(f"{path} cannot be read: {fault.strerror}.", field="file", remedy="Name a file.") from None
    return read_json(text, field="file") if path.suffix == ".json" else read_yaml(text)


def show(found: Answered, asked: argparse.Namespace) -> int:
    """Prints the answer in the form that was asked for; the exit code."""
    if asked.json:
        print(json.dumps(found.body, indent=2, allow_nan=False))
    elif asked.csv:
        print(found.csv(), end="")
    else:
        print("\n".join(found.lines()))
    return 0 if found.refusal is None else 1


def fail(refusal: Refusal, *, as_json: bool) -> int:
    """Says why the question could not be asked: a line per fault, and the body where JSON was asked for."""
    from app.answers import BadInput, refused

    lines = [fault.message for fault in refusal.problems] if isinstance(refusal, BadInput) else [str(refusal)]
    print("\n".join(f"error: {line}" for line in lines), file=sys.stderr)
    if as_json:
        print(json.dumps(refused(refusal), indent=2))
    return 2
