"""The command line. Flags are the keys of the vocabulary."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path


def main(arguments: list[str] | None = None) -> int:
    program = "rightsize" if Path(sys.argv[0]).name == "rightsize" else "python -m app"
    parser = argparse.ArgumentParser(prog=program, description="Which model, on which machines, at what cost.")
    parser.add_argument("--version", action=_Version, nargs=0, help="the version of this program")
    commands = parser.add_subparsers(dest="command", required=True)

    from app.ask_commands import add_ask_commands
    from app.check_command import add_check_command

    add_ask_commands(commands, program)
    add_check_command(commands, program)
    keys = commands.add_parser("keys", help="every key of links, flags, columns and documents, as Markdown")
    keys.set_defaults(run=lambda _: _keys())

    many = commands.add_parser("batch", help="one scenario per row of a CSV")
    many.add_argument("cases", type=Path, help="a CSV whose columns are keys; others are carried through")
    many.add_argument("-o", "--output", type=Path, required=True, help="the file of the answers")
    many.add_argument("--json", action="store_true", help="the answers as a JSON list, a row a line")
    many.set_defaults(run=lambda asked: _batch(asked.cases, asked.output, as_json=asked.json))

    serve = commands.add_parser("serve", help="start the dashboard")
    serve.add_argument("--port", type=int, default=8501)
    serve.add_argument("--address", default="localhost")
    serve.set_defaults(run=lambda asked: _serve(asked.address, asked.port))

    from app.ask_command import add_ask_command
    from app.calculator_command import add_calculator_command
    from app.describe_command import add_describe_command
    from app.measuring.command import add_profile_command
    from app.migrate_command import add_migrate_command
    from app.prices_command import add_prices_command

    add_ask_command(commands, program)
    add_calculator_command(commands, program)
    add_describe_command(commands)
    add_prices_command(commands)
    add_profile_command(commands)
    add_migrate_command(commands)
    asked = parser.parse_args(arguments)
    return int(asked.run(asked))


class _Version(argparse.Action):
    """Looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from app.public import __version__

        print(__version__)
        parser.exit(0)


def _keys() -> int:
    from app.vocabulary import as_markdown

    print("\n".join(as_markdown()))
    return 0


def _batch(cases: Path, output: Path, *, as_json: bool) -> int:
    from app.batch import run_batch, run_json_batch
    from app.batch_cluster import in_ray_environment, worth_spreading
    from app.sources import shared_sources
    from estimators.provenance import Refusal

    if cases.resolve() == output.resolve():
        print("error: the output would overwrite the cases; name another file.", file=sys.stderr)
        return 2
    if not as_json and worth_spreading(cases):
        return in_ray_environment(cases, output)
    started, done = time.perf_counter(), 0
    partial = output.with_name(output.name + ".part")
    try:
        with (
            cases.open(newline="", encoding="utf-8-sig") as source,
            partial.open("w", newline="", encoding="utf-8") as target,
        ):
            for done in (run_json_batch if as_json else run_batch)(source, target, shared_sources()):
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
    """Becomes the server, so that a signal to this process reaches it."""
    import os

    from app.gate import is_local
    from app.start_link import PARAMETER
    from estimators.measuring.jobs.authority import TOKEN, for_this_machine

    measuring = for_this_machine(os.environ) if is_local(address) else {}
    if measuring:
        link = f"http://{address}:{port}/measure?{PARAMETER}={measuring[TOKEN]}"
        print(f"To measure on this machine, open {link}", flush=True)
    server = Path(__file__).with_name("server.py")
    os.chdir(server.parents[1])  # where .streamlit lies
    flags = [f"--server.address={address}", f"--server.port={port}"]
    command = [sys.executable, "-m", "streamlit", "run", str(server), *flags]
    os.execve(sys.executable, command, {**os.environ, **measuring})  # noqa: S606


def run() -> int:
    """What the command does with how its own process ends."""
    from app.terminal import only_visible

    try:
        with only_visible():
            return main()
    except BrokenPipeError:  # `... | head` has seen enough
        sys.stderr.close()
        return 0
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    raise SystemExit(run())
