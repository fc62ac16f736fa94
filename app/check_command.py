"""`check plan.yaml`: does a kept decision still stand? For continuous integration: the exit code says it."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.ask_commands import fail, read_file
from estimators.provenance import Refusal

if TYPE_CHECKING:
    from app.exploring.kept_plan import HeldAgainstToday

_EPILOG = """examples:
  {program} estimate --model 8B --concurrency 40 --keep plan.yaml
  {program} check plan.yaml --tolerance price=2 --tolerance ranking=10

exit codes:
  0  the decision stands
  1  price, fit, a limit or the ranking moved past its tolerance; the reason is printed
  2  the file is no decision kept by this program, or was changed by another hand
"""


def add_check_command(commands: Any, program: str) -> None:
    """Register `check`; it sets `run` to what carries it out."""
    check = commands.add_parser(
        "check",
        help="whether a kept decision still stands",
        description="Re-prices and re-estimates a decision that --keep wrote.",
        epilog=_EPILOG.format(program=program),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument("plan", type=Path, help="the file, YAML or JSON")
    check.add_argument(
        "--tolerance",
        action="append",
        default=[],
        metavar="WHAT=PERCENT",
        help="price, memory, speed or ranking, in place of the file's; may be given several times",
    )
    check.add_argument("--json", action="store_true", help="the findings as one JSON object")
    check.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    from app.exploring.kept_plan import check, read_kept
    from app.sources import shared_sources

    try:
        changed = dict(_pair(text) for text in asked.tolerance)
        kept = read_kept(read_file(asked.plan), shared_sources(), changed)
        found = check(kept, shared_sources())
    except Refusal as refusal:
        return fail(refusal, as_json=asked.json)
    if asked.json:
        print(json.dumps(as_json(found), indent=2, allow_nan=False))
    else:
        print(found.verdict)
        for finding in found.findings:
            print(f"  {'ok   ' if finding.stands else 'MOVED'}  {finding.said}")
        stands = "The decision stands" if found.stands else "The decision no longer stands"
        print(f"{stands}; it is of {found.kept.decision.on.isoformat()}.")
    return 0 if found.stands else 1


def _pair(text: str) -> tuple[str, str]:
    name, equals, percent = text.partition("=")
    if not equals:
        raise Refusal(f"{text[:40]} is no tolerance.", field="tolerance", remedy="Write price=5.")
    return name.strip(), percent.strip()


def as_json(found: HeldAgainstToday) -> dict[str, object]:
    return {
        "stands": found.stands,
        "verdict": found.verdict,
        "decided_on": found.kept.decision.on.isoformat(),
        "findings": [
            {"about": finding.about, "stands": finding.stands, "said": finding.said} for finding in found.findings
        ],
    }
