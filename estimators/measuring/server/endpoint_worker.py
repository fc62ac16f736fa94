"""The process that measures a running server: one job on standard input, events on standard output.

The key comes with the job over the pipe and is kept in memory only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping

from estimators.measuring.foreign import at, count, text
from estimators.measuring.jobs.process import end_with_parent
from estimators.measuring.measurement import Measurement, as_dict
from estimators.measuring.server.connection import Timeouts
from estimators.measuring.server.endpoint import Client
from estimators.measuring.server.guard import Endpoint
from estimators.measuring.server.guidellm import measure_with_guidellm
from estimators.measuring.server.sweep import SweepPlan, sweep
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.workload import Engine


def job_line(endpoint: Endpoint, plan: SweepPlan, api_key: str = "", guidellm: str = "") -> str:
    """The job as a line of JSON; only ever written to a pipe. `guidellm` is the program that sends the requests."""
    where = {key: getattr(endpoint, key) for key in ("scheme", "host", "port", "address", "path")}
    what = {key: getattr(plan, key) for key in SweepPlan.__slots__}
    return json.dumps({"endpoint": where, "plan": what, "api_key": api_key, "guidellm": guidellm})


def main() -> int:
    line = sys.stdin.readline()
    end_with_parent()
    try:
        job = json.loads(line)
        plan = _plan(job["plan"])
        endpoint = Endpoint(**job["endpoint"])
        client = Client(endpoint, api_key=job["api_key"], limits=Timeouts(total_s=2 * plan.seconds_per_level))
        for measurement in _measured(client, endpoint, plan, job):
            tell("result", measurement=as_dict(measurement))
    except Refusal as refusal:
        tell("refused", field=refusal.field, message=str(refusal))
    except Exception as problem:
        tell("failed", message=type(problem).__name__)  # its words might hold the key
    return 0


def _measured(client: Client, endpoint: Endpoint, plan: SweepPlan, job: Mapping[str, str]) -> Iterable[Measurement]:
    def told(share: float, message: str) -> None:
        tell("progress", share=share, message=message)

    if job["guidellm"]:
        return measure_with_guidellm(job["guidellm"], client, endpoint, plan, told, job["api_key"])
    return sweep(client, plan, endpoint.shown, told)


def tell(event: str, **values: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **values}, allow_nan=False) + "\n")
    sys.stdout.flush()


def _plan(found: object) -> SweepPlan:
    levels = at(found, "concurrencies")
    return SweepPlan(
        model=text(at(found, "model")),
        prompt_tokens=count(at(found, "prompt_tokens")) or 0,
        output_tokens=count(at(found, "output_tokens")) or 0,
        concurrencies=tuple(int(level) for level in levels) if isinstance(levels, list) else (),
        requests_per_stream=count(at(found, "requests_per_stream")) or 4,
        seconds_per_level=float(count(at(found, "seconds_per_level")) or 120),
        engine=Engine(text(at(found, "engine"))),
        weights=Weights(text(at(found, "weights"))),
        accelerator=text(at(found, "accelerator"), 80),
        gpus=count(at(found, "gpus")) or 1,
        seed=count(at(found, "seed")) or 1,
    )


if __name__ == "__main__":
    raise SystemExit(main())
