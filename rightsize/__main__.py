"""`python -m rightsize`: the command line."""

from app.__main__ import run

if __name__ == "__main__":
    raise SystemExit(run())
