"""`python -m tools.layouts [TYPE ...]`, in the measuring environment: learn the layouts of transformers' classes."""

from __future__ import annotations

import argparse


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tools.layouts",
        description="Learn and check the layouts of transformers' classes; a quarter of an hour for all. Needs torch.",
    )
    parser.add_argument(
        "types", nargs="*", metavar="TYPE", help="model types; all that generate text when none is named"
    )
    asked = parser.parse_args()
    from tools.layouts.checking import learn  # torch and transformers, which the flags do not need

    learn(asked.types)


if __name__ == "__main__":
    main()
