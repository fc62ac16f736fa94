"""The command line: estimate, batch, describe, serve, prices and profile. Flags are the keys of the vocabulary."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from app.scenario import KEYS, PARSERS, decode


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m app", description="Which model, on which machines, at what cost.")
    commands = parser.add_subparsers(dest="command", required=True)

    one = commands.add_parser("estimate", help="print one plan")
    for key in KEYS:
        one.add_argument(f"--{key.replace('_', '-')}", f"--{key}", dest=key, metavar=_metavar(key))
    one.add_argument("--json", action="store_true", help="the columns of `batch`, as one JSON object")

    many = commands.add_parser("batch", help="one scenario per row of a CSV")
    many.add_argument("cases", type=Path)
    many.add_argument("-o", "--output", type=Path, required=True)

    serve = commands.add_parser("serve", help="start the dashboard")
    serve.add_argument("--port", type=int, default=8501)
    serve.add_argument("--address", default="localhost")

    from app.describe_command import add_describe_command
    from app.measuring.command import add_profile_command
    from app.prices_command import add_prices_command

    add_describe_command(commands)
    add_prices_command(commands)
    add_profile_command(commands)
    asked = parser.parse_args(arguments)
    if asked.command == "estimate":
        return _estimate(asked)
    if asked.command == "batch":
        return _batch(asked.cases, asked.output)
    if asked.command in ("describe", "prices", "profile"):
        return int(asked.run(asked))
    return _serve(asked.address, asked.port)


def _metavar(key: str) -> str:
    return key.upper() if key in PARSERS else "VALUE"


def _estimate(asked: argparse.Namespace) -> int:
    from app.columns import as_json
    from app.planning.planner import plan
    from app.report import as_lines
    from app.sources import shared_sources

    given = {key: value for key in KEYS if (value := getattr(asked, key)) is not None}
    decoded = decode(given)
    rejected = [problem for problem in decoded.problems if not problem.ignored]
    for problem in decoded.problems:
        print(f"{'error' if problem in rejected else 'note'}: {problem.message}", file=sys.stderr)
    if rejected:
        return 2
    result = plan(decoded.scenario, shared_sources())
    if asked.json:
        print(json.dumps(as_json(result, decoded.problems), indent=2, allow_nan=False))
    else:
        print("\n".join(as_lines(result)))
    return 1 if result.refusal is not None else 0


def _batch(cases: Path, output: Path) -> int:
    from app.batch import run_batch
    from app.batch_cluster import in_ray_environment, worth_spreading
    from app.sources import shared_sources
    from estimators.provenance import Refusal

    if cases.resolve() == output.resolve():
        print("error: the output would overwrite the cases; name another file.", file=sys.stderr)
        return 2
    if worth_spreading(cases):
        return in_ray_environment(cases, output)
    started, done = time.perf_counter(), 0
    partial = output.with_name(output.name + ".part")
    try:
        with (
            cases.open(newline="", encoding="utf-8-sig") as source,
            partial.open("w", newline="", encoding="utf-8") as target,
        ):
            for done in run_batch(source, target, shared_sources()):
                if done % 500 == 0:
                    print(f"{done} rows", file=sys.stderr)
    except (OSError, UnicodeDecodeError, Refusal) as error:
        partial.unlink(missing_ok=True)
        print(f"error: {error}", file=sys.stderr)
        return 2
    partial.replace(output)
    elapsed = time.perf_counter() - started
    print(f"{done} rows in {elapsed:.2f} s -> {output}", file=sys.stderr)
    return 0


def _serve(address: str, port: int) -> int:
    import subprocess

    command = [sys.executable, "-m", "streamlit", "run", str(Path(__file__).with_name("server.py"))]
    flags = [f"--server.address={address}", f"--server.port={port}"]
    return subprocess.call([*command, *flags], cwd=Path(__file__).parent.parent)


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except BrokenPipeError:  # `... | head` has seen enough
        sys.stderr.close()
        raise SystemExit(0) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
