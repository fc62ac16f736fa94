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

from estimators.latency.calibration import FAMILIES
from estimators.latency.fit_cases import PREDICTORS, Array, Bench, Case

# Prior standard deviation of an effect on the logit or log scale, by level: how unlike chips, engines or formats
# are expected to be. Chosen once for plausibility, not tuned to rows.
SPREAD: Mapping[str, float] = {
    "global": 1.0, "kind": 0.3, "class": 0.35, "chip": 0.15, "engine": 0.3, "era": 0.3, "path": 0.4,
    "path*class": 0.25, "path*engine": 0.25, "slot": 0.4, "slot*engine": 0.3, "slot*class": 0.2,
    "attention": 0.4, "ffn": 0.3, "link": 0.5, "tp": 0.3,
}  # fmt: skip
_WIDER = 2.0  # times in seconds vary more than shares of a ceiling
NOISE: Mapping[tuple[str, str], float] = {
    ("single_stream", "e2e"): 0.04, ("single_stream", "tpot"): 0.06, ("single_stream", "ttft"): 0.15,
    ("static_batch", "e2e"): 0.08, ("static_batch", "tpot"): 0.1, ("static_batch", "ttft"): 0.2,
    ("concurrency", "tpot"): 0.08, ("concurrency", "ttft"): 0.2, ("concurrency", "e2e"): 0.08,
    ("max_throughput", "throughput"): 0.12, ("open_loop", "tpot"): 0.15, ("open_loop", "e2e"): 0.15,
    ("open_loop", "ttft"): 0.3,
}  # fmt: skip
_FREEDOM = 4.0  # degrees of freedom of the error's Student distribution
_STEP = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One published figure of one case: log value, noise scale and the case it belongs to."""

    bench: int
    case: int
    metric: str
    value: float
    noise: float
    weight: float = 1.0  # 0 where the figure follows from others of its row, and is only scored


def observe(bench: int, number: int, case: Case) -> list[Observation]:
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


class Problem:
    """All cases, the effects that enter them, and the observations."""

    def __init__(self, cases: Sequence[Case]) -> None:
        kinds = sorted({c.row.kind for c in cases})
        self.benches = [Bench(kind, [c for c in cases if c.row.kind == kind]) for kind in kinds]
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
        self.designs = [{key: self._matrix(lists) for key, lists in table.items()} for table in self.entries]
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

    def case_of(self, number: int) -> Case:
        """The case an observation belongs to."""
        observation = self.observations[number]
        return self.benches[observation.bench].cases[observation.case]

    def counts(self) -> Array:
        """Rows each effect enters."""
        total: Array = np.zeros(len(self.names))
        for designs in self.designs:
            total += np.max([design.sum(axis=0) for design in designs.values()], axis=0)
        return total

    def _matrix(self, lists: list[list[int]]) -> Array:
        matrix = np.zeros((len(lists), len(self.names)))
        for i, indices in enumerate(lists):
            matrix[i, indices] = 1.0
        return matrix

    def _etas(self, theta: Array) -> list[dict[tuple[str, int | None], Array]]:
        return [{key: design @ theta for key, design in table.items()} for table in self.designs]

    def _gather(self, b: int, predicted: Mapping[str, Array], out: Array) -> None:
        for metric, pairs in self.where[b].items():
            if len(pairs):
                out[pairs[:, 0]] = predicted[metric][pairs[:, 1]]

    def predict(self, theta: Array) -> Array:
        out = np.zeros(len(self.y))
        for b, eta in enumerate(self._etas(theta)):
            self._gather(b, self.benches[b].predict(eta), out)
        return out

    def linearise(self, theta: Array) -> tuple[Array, Array]:
        """(f, J) at theta."""
        f = self.predict(theta)
        jacobian = np.zeros((len(self.y), len(self.names)))
        for b, eta in enumerate(self._etas(theta)):
            base = self.benches[b].predict(eta)
            for key in PREDICTORS:
                up = self.benches[b].predict({**eta, key: eta[key] + _STEP})
                design = self.designs[b][key]
                for metric, pairs in self.where[b].items():
                    if len(pairs):
                        slope = (up[metric] - base[metric])[pairs[:, 1]] / _STEP
                        jacobian[pairs[:, 0]] += slope[:, None] * design[pairs[:, 1]]
        return f, jacobian

    def solve(
        self, theta: Array, f: Array, jacobian: Array, keep: NDArray[np.bool_], weight: Array, rounds: int = 6
    ) -> Array:
        """Effects that minimise the robust, shrunken loss of the linearised model on the kept observations."""
        j, y, s, w = jacobian[keep], self.y[keep], self.s[keep], weight[keep]
        offset = y - f[keep] + j @ theta
        new = theta
        prior = 1.0 / self.sd**2
        for _ in range(rounds):
            residual = (offset - j @ new) / s
            robust = w * (_FREEDOM + 1.0) / (_FREEDOM + residual**2) / s**2
            normal = j.T @ (robust[:, None] * j)
            normal[np.diag_indices_from(normal)] += prior
            new = np.linalg.solve(normal, j.T @ (robust * offset))
        return new

    def loss(self, theta: Array, f: Array, keep: NDArray[np.bool_], weight: Array) -> float:
        residual = (self.y - f)[keep] / self.s[keep]
        fit = (_FREEDOM + 1.0) * np.log1p(residual**2 / _FREEDOM) * weight[keep]
        return float(np.sum(fit) + np.sum((theta / self.sd) ** 2))

    def fit(self, keep: NDArray[np.bool_], weight: Array, start: Array | None = None, steps: int = 12) -> Array:
        """Gauss-Newton with backtracking, from zero (every effect at its prior) or from a fit nearby."""
        theta = np.zeros(len(self.names)) if start is None else start
        best = self.loss(theta, self.predict(theta), keep, weight)
        for _ in range(steps):
            f, jacobian = self.linearise(theta)
            move = np.clip(self.solve(theta, f, jacobian, keep, weight) - theta, -1.0, 1.0)
            scale, before = 1.0, best
            while scale > 0.05:
                trial = theta + scale * move
                found = self.loss(trial, self.predict(trial), keep, weight)
                if found < best:
                    theta, best = trial, found
                    break
                scale *= 0.5
            if before - best < 1e-3 * before:
                break
        return theta


def _spread(name: str) -> float:
    parts = name.split("|")
    level = parts[1] if len(parts) > 1 else "global"
    wide = 1.0 if FAMILIES[parts[0]].share or level == "global" else _WIDER
    return SPREAD[level] * wide
