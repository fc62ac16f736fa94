"""Which models a click can measure on a device: the plan's own, its family, and one so small that it takes seconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from estimators.architecture import catalogue
from estimators.measuring.device.device_profile import DeviceProfile
from estimators.measuring.device.fit_check import needed_bytes
from estimators.measuring.device.timing import FEWEST, WARM_UPS
from estimators.measuring.jobs.job_request import DeviceJob
from estimators.precision import DTYPE_OF, Weights
from estimators.provenance import Refusal
from estimators.quality.models import family_of

if TYPE_CHECKING:
    from estimators.measuring.device.machine import Attached

SAMPLE = "a Llama of 50M parameters"
SAMPLE_CONFIG: Mapping[str, object] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 512,
    "num_hidden_layers": 8,
    "intermediate_size": 1408,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "vocab_size": 32000,
}
MOST_OF_MEMORY = 0.9  # of what is free: a prompt's activations come on top
PATIENCE_S = 60.0  # that one click on a CPU should take
DECODE_STEPS = 24  # of a run, as the worker times them
START_S = 8.0  # torch is loaded and the device itself measured; of the 9.4 s a quiet machine took from click to figure
# One core of a CPU nobody has benchmarked yet, on the low side of what ours did (131 GFLOP/s and 4.6 GB/s in BF16 on a
# busy AMD EPYC, 2026-11-28). The first measurement replaces both.
FLOPS, BANDWIDTH = 5e10, 4e9

ConfigOf = Callable[[str], Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurable:
    """A model that may be measured on a device, and what it would take there."""

    model: str
    config: Mapping[str, object]
    needed_bytes: int | None  # None: of an architecture nobody has described
    seconds: float | None  # None: on a GPU, where nothing here takes long
    fits: bool

    @property
    def quick(self) -> bool:
        return self.fits and (self.seconds is None or self.seconds <= PATIENCE_S)


def config_of_measured(model: str, config_of: ConfigOf) -> Mapping[str, object]:
    """The config of a model by the name a measurement bears."""
    return SAMPLE_CONFIG if model == SAMPLE else config_of(model)


def measurable(
    asked: str, shape: DeviceJob, where: Attached, config_of: ConfigOf, profile: DeviceProfile | None
) -> tuple[Measurable, ...]:
    """The plan's model and its family, largest first, then the sample. `shape` is the case, whatever its model.

    What is too big is left out, but for the plan's own: it may run with fewer layers.
    """
    kin = [] if not asked else [asked, *_family(asked)]
    found = []
    for model in (*kin, SAMPLE):
        try:
            made = _measurable(replace(shape, model=model, config=config_of_measured(model, config_of)), where, profile)
        except Refusal:
            continue
        if made.fits or model == asked:
            found.append(made)
    return tuple(found)


def first(found: tuple[Measurable, ...]) -> Measurable:
    """What one click measures: the first that fits and takes no more than a minute; the sample always does."""
    return next((made for made in found if made.quick), found[-1])


def _family(asked: str) -> list[str]:
    """Embedded models of the same released series with fewer parameters, largest first."""
    family, own = family_of(asked), catalogue.find(asked)
    if family is None:
        return []
    kin = [entry for entry in catalogue.entries() if entry.params and family_of(entry.id) == family]
    smaller = [entry for entry in kin if own is None or (entry.params or 0) < (own.params or float("inf"))]
    return [entry.id for entry in sorted(smaller, key=lambda entry: -(entry.params or 0))]


def _measurable(job: DeviceJob, where: Attached, profile: DeviceProfile | None) -> Measurable:
    needed = needed_bytes(job)
    fits = needed is None or where.free_bytes is None or needed <= MOST_OF_MEMORY * where.free_bytes
    seconds = None if where.device != "cpu" or needed is None else seconds_on_cpu(job, needed, profile)
    return Measurable(model=job.model, config=job.config, needed_bytes=needed, seconds=seconds, fits=fits)


def seconds_on_cpu(job: DeviceJob, needed: int, profile: DeviceProfile | None) -> float:
    """About how long a measurement takes: 8 s + runs x (2 params x tokens / FLOP/s + steps x bytes / bandwidth).

    135M parameters in BF16 (0.27 GB), 512 tokens in: 8 + 7 x (2 x 135e6 x 512 / 50e9 + 24 x 0.27e9 / 4e9) = 38.7 s.
    Every parameter is taken for active, so a mixture of experts takes less.
    """
    params = needed / (4 if DTYPE_OF.get(Weights(job.weights)) == "float32" else 2)
    flops = profile.flops if profile else FLOPS * job.threads
    bandwidth = profile.bandwidth_bytes_per_s if profile else BANDWIDTH
    prefill = 2 * params * job.batch * job.prompt_tokens / flops
    steps = min(job.output_tokens - 1, DECODE_STEPS) * needed / bandwidth
    return START_S + (WARM_UPS + FEWEST) * (prefill + steps)
