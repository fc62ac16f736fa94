"""`python -m app profile`: measure a device, a running server or a report, and end in one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from estimators.measuring.jobs.job_state import JobState, Status
from estimators.measuring.measurement import Measurement, as_dict
from estimators.provenance import Refusal

if TYPE_CHECKING:
    from estimators.measuring.jobs.store import MeasurementStore

BAR = 24  # characters


def add_profile_command(commands: Any) -> None:
    """Register `profile`; it sets `run` to what carries it out."""
    profile = commands.add_parser("profile", help="measure a device, a running server or a report")
    profile.add_argument("--model", default="", help="Hub id; with --endpoint the served name")
    profile.add_argument("--weights", default="bf16")
    profile.add_argument("--prompt", type=int, default=1024)
    profile.add_argument("--output", type=int, default=128)
    profile.add_argument("--batch", type=int, default=1)
    profile.add_argument("--device", default="", help="cpu (default), cuda or cuda:N")
    profile.add_argument("--layers", type=int, help="run this many layers and scale to all")
    profile.add_argument("--draft", default="", help="Hub id of a draft model: step costs only")
    profile.add_argument("--seconds", type=float, default=300.0, help="time limit")
    profile.add_argument("--config", type=Path, help="a config.json instead of the model's own")
    profile.add_argument("--cached-weights", action="store_true", help="real weights when the local Hub cache has them")
    profile.add_argument("--endpoint", help="base address of an OpenAI-compatible server")
    profile.add_argument("--concurrency", default="1,4,16", help="requests in flight, comma-separated")
    profile.add_argument("--key-variable", default="OPENAI_API_KEY", help="environment variable that holds the key")
    profile.add_argument("--guidellm", action="store_true", help="let an installed GuideLLM send the requests")
    profile.add_argument("--report", type=Path, help="a GuideLLM JSON report")
    profile.add_argument("--import", dest="exported", type=Path, help="measurements somebody exported")
    profile.add_argument("--engine", default="vllm", help="of an endpoint or a report")
    profile.add_argument(
        "--gpu", default="", help="accelerator of an endpoint or a report; on a Ray cluster the one to measure on"
    )
    profile.add_argument("--gpus", type=int, default=1)
    profile.add_argument("--no-store", action="store_true", help="do not keep what was measured")
    profile.set_defaults(run=_run)


def _run(asked: argparse.Namespace) -> int:
    try:
        if asked.report or asked.exported:
            return _print(_read(asked))
        return _measure(asked)
    except (Refusal, OSError) as problem:
        print(f"error: {problem}", file=sys.stderr)
        print(json.dumps({"status": "refused", "error": str(problem), "measurements": []}))
        return 2


def _print(made: tuple[Measurement, ...], **more: object) -> int:
    line = {"status": "done", "measurements": [as_dict(found) for found in made], **more}
    print(json.dumps(line, allow_nan=False))
    return 0


def _read(asked: argparse.Namespace) -> tuple[Measurement, ...]:
    from estimators.measuring.foreign import MAX_REPORT_BYTES, ForeignInput
    from estimators.measuring.measurement import import_json
    from estimators.measuring.server.reports import read_guidellm

    path: Path = asked.report or asked.exported
    if path.stat().st_size > MAX_REPORT_BYTES:
        raise ForeignInput(f"{path.name} is larger than {MAX_REPORT_BYTES >> 20} MiB.", field="report")
    document = path.read_bytes()
    if asked.exported:
        made = import_json(document)
    else:
        about = {"accelerator": _accelerator(asked.gpu), "gpus": asked.gpus, "model": asked.model}
        made = read_guidellm(document).measurements(engine=_engine(asked), weights=_weights(asked.weights), **about)
    if not asked.no_store:
        _store().add(made)
    return made


def _store() -> MeasurementStore:
    from app.measuring.jobs import measurement_store

    return measurement_store()


def _engine(asked: argparse.Namespace) -> Any:
    from estimators.workload import Engine

    try:
        return Engine(asked.engine)
    except ValueError:
        raise Refusal(
            f"There is no engine {asked.engine!r}.", field="engine", remedy=f"Use {', '.join(Engine)}."
        ) from None


def _weights(name: str) -> Any:
    from estimators.precision import Weights

    try:
        return Weights(name)
    except ValueError:
        raise Refusal(
            f"There is no precision {name!r}.", field="weights", remedy=f"Use {', '.join(Weights)}."
        ) from None


def _accelerator(name: str) -> str:
    from estimators.hardware.catalogue import find_accelerator

    return find_accelerator(name).name if name else ""


def _config(model: str, path: Path | None) -> dict[str, object]:
    """The model's config: of a file, of the catalogue, else of the Hub."""
    from app.sources import shared_sources
    from estimators.architecture.parse import decode_config

    if path is not None:
        return decode_config(path.read_bytes())
    if not model:
        raise Refusal("No model is named.", field="model", remedy="Give --model with a Hub id, or --config.")
    return dict(shared_sources().config(model))


def _measure(asked: argparse.Namespace) -> int:
    from app.measuring.jobs import endpoint_assignment
    from estimators.measuring.jobs.jobs import run_job

    config: dict[str, object] = {}
    if asked.endpoint:
        policy, sweep = _endpoint(asked)
        key = os.environ.get(asked.key_variable, "")
        assignment = endpoint_assignment(asked.endpoint, sweep, policy, key, guidellm=asked.guidellm)
    else:
        config = _config(asked.model, asked.config)
        assignment = _device(asked, config)
    store = _store()
    job_id = store.enqueue(assignment.device, assignment.title, "command line")
    end = run_job(store, job_id, assignment.device, assignment.work(), _show)
    print(file=sys.stderr)
    made = store.find(end.results)
    if end.status is not Status.DONE:
        print(f"error: {end.message}", file=sys.stderr)
        print(
            json.dumps({"status": end.status.value, "error": end.message, "measurements": [as_dict(m) for m in made]})
        )
        return 1
    more = {} if asked.endpoint else _compared(store, made[0], config)
    if asked.no_store:
        for found in made:
            store.remove(found.id)
    return _print(made, **more)


def _device(asked: argparse.Namespace, config: dict[str, object]) -> Any:
    from app.measuring.jobs import device_assignment
    from estimators.measuring.jobs.environment import ray_address
    from estimators.measuring.jobs.job_request import DeviceJob, spare_threads

    if asked.gpu and not ray_address():
        raise Refusal(
            "Without a Ray cluster there is no accelerator to choose by name.",
            field="gpu",
            remedy="Use --device cuda for this machine's, or set RAY_ADDRESS.",
        )
    accelerator = _accelerator(asked.gpu)
    return device_assignment(
        DeviceJob(
            model=asked.model or asked.config.stem,
            config=config,
            weights=_weights(asked.weights),
            prompt_tokens=asked.prompt,
            output_tokens=asked.output,
            batch=asked.batch,
            device=asked.device or ("cuda" if accelerator else "cpu"),
            gpus=asked.gpus,
            layers=asked.layers,
            threads=spare_threads(),
            seconds=asked.seconds,
            cached_weights=asked.cached_weights,
            draft=asked.draft,
            draft_config=_config(asked.draft, None) if asked.draft else None,
        ),
        accelerator,
    )


def _endpoint(asked: argparse.Namespace) -> tuple[Any, Any]:
    """At a person's own shell the named host is allowed, and so is his network; metadata addresses never are."""
    from urllib.parse import urlsplit

    from estimators.measuring.server.guard import EndpointPolicy
    from estimators.measuring.server.sweep import SweepPlan

    try:
        host = (urlsplit(asked.endpoint).hostname or "").lower()
        levels = tuple(int(level) for level in asked.concurrency.split(","))
    except ValueError:
        raise Refusal("The endpoint or the concurrencies cannot be read.", field="endpoint") from None
    plan = SweepPlan(
        model=asked.model,
        prompt_tokens=asked.prompt,
        output_tokens=asked.output,
        concurrencies=levels,
        seconds_per_level=asked.seconds / max(1, len(levels)),
        engine=_engine(asked),
        weights=_weights(asked.weights),
        accelerator=_accelerator(asked.gpu),
        gpus=asked.gpus,
    )
    return EndpointPolicy(hosts=frozenset({host}), private=True), plan


def _compared(store: MeasurementStore, made: Measurement, config: dict[str, object]) -> dict[str, object]:
    """Estimate beside measurement, made from the device's own micro-benchmark."""
    from app.measuring.estimates import device_estimates
    from estimators.measuring.comparison import compare, verdict

    try:
        estimates = device_estimates(store, made, config)
    except Refusal as refusal:
        return {"estimate": None, "verdict": str(refusal)}
    rows = compare(made, **estimates)
    shown = {row.key: {"estimated": row.estimated and row.estimated.value, "ratio": row.ratio} for row in rows}
    print(verdict(rows, made), file=sys.stderr)
    return {"estimate": shown, "verdict": verdict(rows, made)}


def _show(state: JobState) -> None:
    """A progress bar on standard error."""
    full = round(BAR * state.share)
    waiting = f"{state.ahead} ahead; " if state.waiting else ""
    left = f", {state.seconds_left:.0f} s left" if state.seconds_left is not None else ""
    bar = "#" * full + "." * (BAR - full)
    print(
        f"\r[{bar}] {state.share:4.0%} {waiting}{state.message}{left}".ljust(100), end="", file=sys.stderr, flush=True
    )
