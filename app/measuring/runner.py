"""The process of one measurement: started by the dashboard, independent of it, reporting to the store only."""

from __future__ import annotations

import sys

from app.measuring.jobs import from_line, measurement_store
from estimators.measuring.jobs.jobs import run_job


def main() -> int:
    assignment = from_line(sys.stdin.read())
    run_job(measurement_store(), int(sys.argv[1]), assignment.device, assignment.work())
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
