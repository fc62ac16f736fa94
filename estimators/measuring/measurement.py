"""One measurement of one model on one machine, whoever made it, with everything needed to compare and repeat it."""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from estimators.measuring.foreign import ForeignInput, at, count, number, read_json, text
from estimators.measuring.logged_memory import LoggedMemory, read_logged
from estimators.precision import Weights
from estimators.workload import Engine

FORMAT = "rightsize-measurements"
FORMAT_VERSION = 1
UNSTABLE_CV = 0.10  # issue: "unstable runs (spread above 10 %) are said to be"
MAX_FILE_BYTES = 16 << 20
MAX_MEASUREMENTS = 10_000  # in one file
LONGEST_NOTES = 20
_FIELD = "measurements"

Choice = TypeVar("Choice", bound=StrEnum)


class Way(StrEnum):
    """How a measurement was made."""

    ATTACHED = "attached"  # transformers and torch on a device of this machine
    ENDPOINT = "endpoint"  # requests to a running OpenAI-compatible server
    REPORT = "report"  # a GuideLLM report somebody has
    LOG = "log"  # what a server printed when it started: memory alone


@dataclass(frozen=True, slots=True, kw_only=True)
class RepeatedReadings:
    """Repeated readings of one quantity, SI units. `cv` is the standard deviation over the mean."""

    median: float
    low: float  # smallest reading
    high: float  # largest
    cv: float
    n: int

    @classmethod
    def of(cls, readings: Sequence[float]) -> RepeatedReadings:
        """Summary of readings: [1.0, 2.0, 3.0] has median 2.0 and cv 1.0 / 2.0 = 0.5."""
        if not readings:
            raise ValueError("no readings")
        mean = statistics.fmean(readings)
        deviation = statistics.stdev(readings) if len(readings) > 1 else 0.0
        return cls(
            median=statistics.median(readings),
            low=min(readings),
            high=max(readings),
            cv=deviation / mean if mean else 0.0,
            n=len(readings),
        )

    def scaled(self, factor: float) -> RepeatedReadings:
        """The same spread in another unit or at another depth; cv does not change."""
        return RepeatedReadings(
            median=self.median * factor, low=self.low * factor, high=self.high * factor, cv=self.cv, n=self.n
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What was measured on, as the device and its driver describe themselves."""

    name: str  # "NVIDIA A10G", "AMD EPYC 7R13"; empty when only an endpoint is known
    kind: str  # "cuda", "cpu", "server"
    driver: str = ""
    memory_bytes: int | None = None
    threads: int | None = None  # of the CPU that the run was allowed


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Latency, throughput and memory of one case. None is "not measured", never zero.

    With `way=attached` a batch of equal prompts starts together: `ttft_s` is its prefill, `itl_s` one decode step, and
    spreads are over repeats. Otherwise `batch` requests are in flight and spreads are over requests.
    """

    id: str
    way: Way
    model: str
    config_digest: str = ""  # first 16 hex digits of the SHA-256 of the config, empty when unknown
    engine: Engine
    engine_version: str = ""
    accelerator: str = ""  # name in the accelerator table, or of the CPU; empty when nobody said
    gpus: int = 1
    device: DeviceFacts
    weights: Weights
    prompt_tokens: int
    output_tokens: int
    batch: int
    ttft_s: RepeatedReadings | None = None
    itl_s: RepeatedReadings | None = None
    e2e_s: RepeatedReadings | None = None
    output_tok_per_s: RepeatedReadings | None = None
    draft_step_s: RepeatedReadings | None = None  # one forward pass of a draft model
    verify_step_s: RepeatedReadings | None = None  # the target checking a whole draft
    peak_memory_bytes: int | None = None
    logged: LoggedMemory | None = None  # of a start-up log
    kv_usage_share: float | None = None  # highest share of the KV cache in use, as the server reports it
    layers_measured: int | None = None
    layers_total: int | None = None
    measured_at: datetime
    provenance: str  # who ran what: versions, file, endpoint
    notes: tuple[str, ...] = field(default=())

    @property
    def unstable(self) -> bool:
        """Whether repeats spread by more than 10 %.

        Of requests to a server only the inter-token latency counts: their TTFT differs by their place in the queue.
        """
        judged = (self.itl_s, self.ttft_s) if self.way is Way.ATTACHED else (self.itl_s,)
        return any(spread is not None and spread.n > 1 and spread.cv > UNSTABLE_CV for spread in judged)

    @property
    def scaled(self) -> bool:
        """Whether fewer layers ran than the model has, and the figures were scaled up."""
        return self.layers_measured is not None and self.layers_measured != self.layers_total


def export_json(measurements: Iterable[Measurement]) -> str:
    """The measurements as a JSON document that `import_json` reads back."""
    body = {"format": FORMAT, "version": FORMAT_VERSION, "measurements": [as_dict(m) for m in measurements]}
    return json.dumps(body, indent=1, allow_nan=False)


def as_dict(measurement: Measurement) -> dict[str, object]:
    """Plain JSON values, absent figures left out."""
    plain = asdict(measurement) | {"measured_at": measurement.measured_at.astimezone(UTC).isoformat()}
    return {key: value for key, value in plain.items() if value is not None and value != ()}


def import_json(document: str | bytes) -> tuple[Measurement, ...]:
    """Measurements somebody exported. One bad entry refuses the file, naming the entry and its field."""
    found = read_json(document, field=_FIELD, limit=MAX_FILE_BYTES)
    if found.get("format") != FORMAT:
        raise ForeignInput(
            "The file is no export of measurements.", field=_FIELD, remedy='It should say "format": "' + FORMAT + '".'
        )
    if found.get("version") != FORMAT_VERSION:
        raise ForeignInput(
            f"The export has a version this release does not read; it reads {FORMAT_VERSION}.", field=_FIELD
        )
    entries = found.get("measurements")
    if not isinstance(entries, list) or len(entries) > MAX_MEASUREMENTS:
        raise ForeignInput(f"The export should list up to {MAX_MEASUREMENTS:,} measurements.", field=_FIELD)
    return tuple(from_dict(entry, f"measurement {i + 1}") for i, entry in enumerate(entries))


def from_dict(entry: object, where: str = "measurement") -> Measurement:
    """One measurement from plain JSON values, every one of them checked."""
    if not isinstance(entry, Mapping):
        raise ForeignInput(f"The {where} is no object.", field=_FIELD)
    layers, total = _optional_count(entry, "layers_measured", where), _optional_count(entry, "layers_total", where)
    share = _optional(entry, "kv_usage_share", where)
    if share is not None and share > 1.0:
        raise _bad(where, "kv_usage_share")
    return Measurement(
        id=_matching(entry, "id", r"[0-9a-f]{32}", where),
        way=_choice(Way, entry, "way", where),
        model=_text(entry, "model", where),
        config_digest=_matching(entry, "config_digest", r"[0-9a-f]{0,16}", where),
        engine=_choice(Engine, entry, "engine", where),
        engine_version=text(entry.get("engine_version"), 60),
        accelerator=text(entry.get("accelerator"), 80),
        gpus=_whole(entry, "gpus", where, 1, 4096),
        device=_device(entry.get("device"), where),
        weights=_choice(Weights, entry, "weights", where),
        prompt_tokens=_whole(entry, "prompt_tokens", where, 1, 10_000_000),
        output_tokens=_whole(entry, "output_tokens", where, 1, 10_000_000),
        batch=_whole(entry, "batch", where, 1, 1_000_000),
        **{name: _spread(entry, name, where) for name in SPREADS},
        peak_memory_bytes=_optional_count(entry, "peak_memory_bytes", where),
        logged=read_logged(entry.get("logged"), lambda key: _bad(where, key)),
        kv_usage_share=share,
        layers_measured=layers,
        layers_total=total,
        measured_at=_moment(entry, where),
        provenance=_text(entry, "provenance", where),
        notes=_notes(entry),
    )


SPREADS = ("ttft_s", "itl_s", "e2e_s", "output_tok_per_s", "draft_step_s", "verify_step_s")


def _bad(where: str, key: str) -> ForeignInput:
    return ForeignInput(f"The {where} has no usable {key}.", field=_FIELD, remedy="Export it again.")


def _text(entry: Mapping[str, object], key: str, where: str) -> str:
    found = text(entry.get(key))
    if not found:
        raise _bad(where, key)
    return found


def _matching(entry: Mapping[str, object], key: str, pattern: str, where: str) -> str:
    found = entry.get(key, "")
    if not isinstance(found, str) or re.fullmatch(pattern, found) is None:
        raise _bad(where, key)
    return found


def _choice(kind: type[Choice], entry: Mapping[str, object], key: str, where: str) -> Choice:
    found = entry.get(key)
    for member in kind:
        if member.value == found:
            return member
    raise _bad(where, key)


def _whole(entry: Mapping[str, object], key: str, where: str, least: int, most: int) -> int:
    found = count(entry.get(key, 1 if key == "gpus" else None))
    if found is None or not least <= found <= most:
        raise _bad(where, key)
    return found


def _optional(entry: Mapping[str, object], key: str, where: str) -> float | None:
    if entry.get(key) is None:
        return None
    found = number(entry[key])
    if found is None:
        raise _bad(where, key)
    return found


def _optional_count(entry: Mapping[str, object], key: str, where: str) -> int | None:
    if entry.get(key) is None:
        return None
    found = count(entry[key])
    if found is None:
        raise _bad(where, key)
    return found


def _spread(entry: Mapping[str, object], key: str, where: str) -> RepeatedReadings | None:
    if entry.get(key) is None:
        return None
    median, low, high, cv = (number(at(entry, key, part)) for part in ("median", "low", "high", "cv"))
    n = count(at(entry, key, "n"))
    if median is None or low is None or high is None or cv is None or not n or not 0.0 < low <= median <= high:
        raise _bad(where, key)
    return RepeatedReadings(median=median, low=low, high=high, cv=cv, n=n)


def _device(found: object, where: str) -> DeviceFacts:
    kind = at(found, "kind")
    if kind not in ("cuda", "cpu", "server"):
        raise _bad(where, "device.kind")
    return DeviceFacts(
        name=text(at(found, "name"), 80),
        kind=str(kind),
        driver=text(at(found, "driver"), 60),
        memory_bytes=count(at(found, "memory_bytes")),
        threads=count(at(found, "threads")),
    )


def _moment(entry: Mapping[str, object], where: str) -> datetime:
    try:
        found = datetime.fromisoformat(str(entry.get("measured_at")))
    except ValueError:
        raise _bad(where, "measured_at") from None
    if found.tzinfo is None:
        raise _bad(where, "measured_at")
    return found.astimezone(UTC)


def _notes(entry: Mapping[str, object]) -> tuple[str, ...]:
    found = entry.get("notes", [])
    return tuple(filter(None, map(text, found[:LONGEST_NOTES]))) if isinstance(found, list) else ()
