"""Robust, shrunken least squares on log errors: effects of every level pulled to zero, so to the level above.

Minimises sum_i w_i rho((y_i - f_i(theta)) / s_i) + sum_j (theta_j / sd_j)^2 with Student-t weights, by Gauss-Newton.
The derivative of a case with respect to its own predictors is taken by finite differences of the whole server
model (fixed points included), all cases at once; the chain to the effects is linear.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from estimators.fitting.kernels_measured import ENGINES, L2_BYTES
from estimators.fitting.latency_cases import PREDICTORS, Array, CaseBatch, FitCase
from estimators.latency.calibration import FAMILIES
from estimators.latency.chip_classes import class_of

# Prior standard deviation of an effect on the logit or log scale, by level: how unlike chips, engines or formats
# are expected to be. Operators stand where kernels were measured, and are moved little from there.
SPREAD: Mapping[str, float] = {
    "global": 0.5, "class": 0.2, "chip": 0.15, "engine": 0.2, "era": 0.2, "class*era": 0.15, "path": 0.2,
    "path*engine": 0.1, "serving": 0.2, "serving*era": 0.06, "slot": 0.2, "layout": 0.2,
    "attention": 0.2, "ffn": 0.2, "link": 0.3,
}  # fmt: skip
_OPERATORS = ("memory", "compute", "cache_memory", "attention_compute", "collective_s", "link_share", "starting")
# Factors on the spread of chips, classes and engines with kernels of their own, and of those without.
_MEASURED, _KIN, _UNKNOWN_ENGINE = 0.5, 1.5, 4.0
# Times vary more than shares of a ceiling, and host work most: a C++ loop and an HTTP server differ tenfold. What comes
# before the engine varies less: left as free, one fit took vLLM 0.6's launches for 20 ms of its front end, which means
# cannot tell apart and the percentiles of its open loops contradict.
_WIDER: Mapping[str, float] = {
    "request_s": 2.0, "prompt_token_s": 3.0, "step_s": 4.0, "sequence_s": 4.0, "eager_s": 2.0, "kernel_s": 1.0,
}  # fmt: skip
NOISE: Mapping[tuple[str, str], float] = {
    ("single_stream", "e2e"): 0.04, ("single_stream", "tpot"): 0.06, ("single_stream", "ttft"): 0.15,
    ("static_batch", "e2e"): 0.08, ("static_batch", "tpot"): 0.1, ("static_batch", "ttft"): 0.2,
    ("concurrency", "tpot"): 0.08, ("concurrency", "ttft"): 0.2, ("concurrency", "e2e"): 0.08,
    ("max_throughput", "throughput"): 0.12, ("open_loop", "tpot"): 0.15, ("open_loop", "e2e"): 0.15,
    ("open_loop", "ttft"): 0.3,
}  # fmt: skip
_FREEDOM = 4.0  # degrees of freedom of the error's Student distribution
_STEP = 0.05
_STAGES = (0.5, 1.0)  # shares of the prior deviations
_REACH = 0.5  # furthest an effect moves in one step


Indices = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One published figure of one case: log value, noise scale and the case it belongs to."""

    bench: int
    case: int
    metric: str
    value: float
    noise: float
    weight: float = 1.0  # 0 where the figure follows from others of its row, and is only scored


def observe(bench: int, number: int, case: FitCase) -> list[Observation]:
    """The figures of a row that say something of their own; e2e is skipped where TTFT and TPOT are printed."""
    row, kind = case.row, case.row.kind
    found: dict[str, float] = {}
    if row.tpot_s and case.output > 1.0:
        found["tpot"] = row.tpot_s
    if row.ttft_s and kind != "max_throughput":
        found["ttft_median" if row.median else "ttft"] = row.ttft_s
    requests = row.req_per_s or (row.output_tok_per_s / case.output if row.output_tok_per_s else None)
    if kind in ("max_throughput",):
        found = {"throughput": requests} if requests else {}
    elif "tpot" not in found or ("ttft" not in found and "ttft_median" not in found and row.e2e_s):
        if row.e2e_s:
            found["e2e"] = row.e2e_s
        elif requests and kind != "open_loop" and not found:
            found["e2e"] = case.load / requests
    fitted = dict(found)
    ttft = found.get("ttft", found.get("ttft_median"))
    if kind in ("single_stream", "concurrency") and "e2e" not in found and "tpot" in found and ttft:
        found["e2e"] = row.e2e_s or ttft + (case.output - 1.0) * found["tpot"]
    return [
        Observation(
            bench=bench,
            case=number,
            metric=metric,
            value=float(np.log(value)),
            noise=NOISE[kind, metric.removesuffix("_median")],
            weight=1.0 if metric in fitted else 0.0,
        )
        for metric, value in found.items()
        if value > 0.0
    ]


class FitProblem:
    """All cases, the effects that enter them, and the observations."""

    def __init__(self, cases: Sequence[FitCase]) -> None:
        kinds = sorted({c.row.kind for c in cases})
        self.benches = [CaseBatch(kind, [c for c in cases if c.row.kind == kind]) for kind in kinds]
        self.observations = [
            o for b, bench in enumerate(self.benches) for i, c in enumerate(bench.cases) for o in observe(b, i, c)
        ]
        names: dict[str, int] = {}
        self.entries: list[dict[tuple[str, int | None], list[list[int]]]] = []
        for bench in self.benches:
            table: dict[tuple[str, int | None], list[list[int]]] = {}
            for key in PREDICTORS:
                family = FAMILIES[key[0]]
                table[key] = [
                    [names.setdefault(effect, len(names)) for effect in case.context.effects(family, key[1])]
                    for case in bench.cases
                ]
            self.entries.append(table)
        self.names = list(names)
        self.sd = np.array([_spread(name) for name in self.names])
        self.designs = [{key: self._padded(lists) for key, lists in table.items()} for table in self.entries]
        self.y = np.array([o.value for o in self.observations])
        self.s = np.array([o.noise for o in self.observations])
        self.weight = np.array([o.weight for o in self.observations])
        self.where = [
            {
                metric: np.array(
                    [(n, o.case) for n, o in enumerate(self.observations) if o.bench == b and o.metric == metric],
                    dtype=np.int64,
                ).reshape(-1, 2)
                for metric in ("ttft", "ttft_median", "tpot", "e2e", "throughput")
            }
            for b in range(len(self.benches))
        ]

    def case_of(self, number: int) -> FitCase:
        """The case an observation belongs to."""
        observation = self.observations[number]
        return self.benches[observation.bench].cases[observation.case]

    def counts(self) -> Array:
        """Rows each effect enters."""
        total: Array = np.zeros(len(self.names))
        for designs in self.designs:
            entered = [np.bincount(design.ravel(), minlength=len(total) + 1)[:-1] for design in designs.values()]
            total += np.max(entered, axis=0)
        return total

    def _padded(self, lists: list[list[int]]) -> Indices:
        """The effects of every case, one row each; where a case has fewer, the column beyond the last, always zero."""
        width = max(len(indices) for indices in lists)
        return np.array([indices + [len(self.names)] * (width - len(indices)) for indices in lists], dtype=np.int64)

    def _etas(self, theta: Array) -> list[dict[tuple[str, int | None], Array]]:
        padded = np.append(theta, 0.0)
        return [{key: padded[design].sum(axis=1) for key, design in table.items()} for table in self.designs]

    def _gather(self, b: int, predicted: Mapping[str, Array], out: Array) -> None:
        for metric, pairs in self.where[b].items():
            if len(pairs):
                out[pairs[:, 0]] = predicted[metric][pairs[:, 1]]

    def predict(self, theta: Array, *, asked: bool = False) -> Array:
        """Log of every figure; `asked`: as an estimate answers, which is told less than a run's note may say."""
        out = np.zeros(len(self.y))
        for b, eta in enumerate(self._etas(theta)):
            self._gather(b, self.benches[b].predict(eta, asked=asked), out)
        return out

    def linearise(self, theta: Array) -> tuple[Array, Array]:
        """(f, J) at theta."""
        f = np.zeros(len(self.y))
        jacobian = np.zeros((len(self.y), len(self.names) + 1))
        for b, eta in enumerate(self._etas(theta)):
            self._gather(b, self.benches[b].predict(eta), f)
            near = self.benches[b].steady
            base = self.benches[b].predict(eta, near)
            for key in PREDICTORS:
                up = self.benches[b].predict({**eta, key: eta[key] + _STEP}, near)
                design = self.designs[b][key]
                for metric, pairs in self.where[b].items():
                    if len(pairs):
                        slope = (up[metric] - base[metric])[pairs[:, 1]] / _STEP
                        jacobian[pairs[:, 0][:, None], design[pairs[:, 1]]] += slope[:, None]
        return f, jacobian[:, :-1]

    def _robust(self, theta: Array, f: Array, weight: Array) -> Array:
        residual = (self.y - f) / self.s
        robust: Array = weight * (_FREEDOM + 1.0) / (_FREEDOM + residual**2) / self.s**2
        return robust

    def _normal(self, jacobian: Array, robust: Array) -> Array:
        scaled = np.sqrt(robust)[:, None] * jacobian
        squared: Array = scaled.T @ scaled  # of one matrix with itself: half the work of a product of two
        return squared + np.diag(1.0 / self.sd**2)

    def solve(self, theta: Array, f: Array, jacobian: Array, weight: Array, rounds: int = 2) -> Array:
        """Effects that minimise the robust, shrunken loss of the model linearised at theta."""
        offset = self.y - f + jacobian @ theta
        new = theta
        for _ in range(rounds):
            robust = self._robust(new, f + jacobian @ (new - theta), weight)
            normal = self._normal(jacobian, robust)
            new = np.asarray(np.linalg.solve(normal, jacobian.T @ (robust * offset)), dtype=np.float64)
        return new

    def solve_without(
        self, theta: Array, f: Array, jacobian: Array, weight: Array, groups: Sequence[Sequence[int]]
    ) -> list[Array]:
        """The same without each group in turn, the weights of the others as the full fit has them."""
        offset = self.y - f + jacobian @ theta
        robust = self._robust(theta, f, weight)
        normal = self._normal(jacobian, robust)
        right = jacobian.T @ (robust * offset)
        found: list[Array] = []
        for members in groups:
            j, r = jacobian[members], robust[members]
            less = normal - j.T @ (r[:, None] * j)
            without = np.linalg.solve(less, right - j.T @ (r * offset[members]))
            found.append(np.asarray(without, dtype=np.float64))
        return found

    def loss(self, theta: Array, f: Array, weight: Array) -> float:
        residual = (self.y - f) / self.s
        fit = (_FREEDOM + 1.0) * np.log1p(residual**2 / _FREEDOM) * weight
        return float(np.sum(fit) + np.sum((theta / self.sd) ** 2))

    def fit(self, weight: Array) -> Array:
        """Effects of least loss, from zero (every effect at its prior).

        The loss has many shallow valleys. Effects are held tightly first and let go in stages, which ends lower than
        letting all go at once.
        """
        theta, own = np.zeros(len(self.names)), self.sd
        for share in _STAGES:
            self.sd = share * own
            theta = self._descend(theta, weight)
        self.sd = own
        return theta

    def _descend(self, theta: Array, weight: Array, steps: int = 25) -> Array:
        """Gauss-Newton with backtracking, until two steps in a row gain next to nothing."""
        best, idle = self.loss(theta, self.predict(theta), weight), 0
        for _ in range(steps):
            f, jacobian = self.linearise(theta)
            move = np.clip(self.solve(theta, f, jacobian, weight) - theta, -_REACH, _REACH)
            scale, before = 1.0, best
            while scale > 0.05:
                trial = theta + scale * move
                found = self.loss(trial, self.predict(trial), weight)
                if found < best:
                    theta, best = trial, found
                    break
                scale *= 0.5
            idle = idle + 1 if before - best < 5e-4 * before else 0
            if idle == 2:
                break
        return theta


def _spread(name: str) -> float:
    family, level, value = (*name.split("|"), "global", "")[:3] if "|" in name else (name, "global", "")
    if name == "link_share|link|pcie":  # boards and their switches differ
        return 0.8
    if family in _OPERATORS:
        known = set(L2_BYTES) | {class_of(chip) for chip in L2_BYTES}
        factor = _MEASURED if not level.startswith(("chip", "class")) or value.split("*")[0] in known else _KIN
        if family == "cache_memory" and level == "engine" and value not in ENGINES:
            factor = _UNKNOWN_ENGINE
        if level == "path*engine" and value.split("*")[1] not in ENGINES:
            factor = _UNKNOWN_ENGINE
        return SPREAD[level] * factor
    if family == "eager_s" and level == "path*engine":  # a quantizer of a library launches kernels of its own
        return 2.0 * _UNKNOWN_ENGINE * SPREAD[level] if value.split("*")[1] not in ENGINES else SPREAD[level]
    if family == "sequence_s" and value.endswith("transformers"):  # generate() runs a batch as one tensor
        return SPREAD[level]
    wide = 1.0 if FAMILIES[family].share or level == "global" else _WIDER.get(family, 2.0)
    return SPREAD[level] * wide
