"""Fit the engine's constants by least squares on logged servers: `python -m estimators.fitting.memory_fit`.

Prints each constant with its spread and writes data/engine_fits.csv. Nothing is fitted for weights or the cache,
which are counted.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from estimators.engines.versions import read_version
from estimators.fitting import memory_accuracy as accuracy
from estimators.fitting.memory_measured import GIB, LoggedCase, PlainCase, plain_cases, vllm_cases
from estimators.fitting.tables import MEMORY_TABLES
from estimators.formats import DTYPE_BYTES
from estimators.memory import activations, printed
from estimators.memory.footprint import Replica, Share

AS_OF = accuracy.AS_OF
FITS = MEMORY_TABLES / "engine_fits.csv"
V0, V1, NEW = ("0", "0.9"), ("0.9", "0.15"), ("0.15", "")
Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log with the sizes its activations depend on."""

    case: LoggedCase
    replica: Replica
    tokens: int
    seqs: int
    vocab: int
    hidden: int
    width: int  # bytes of the compute type
    experts: float
    tower: bool

    def sampler_peaks(self, copies: int) -> bool:
        """Whether the sampler's copies, roughly `copies` bytes a logit, make the peak rather than a layer."""
        forward = self.tokens * (2 * self.hidden + 3 * activations.dense_width(self.case.precision())) * self.width
        return self.seqs * self.vocab * (self.width + copies) > forward


def logs(table: str) -> list[Log]:
    return [
        _log(case)
        for case in vllm_cases(table)
        if case.model
        and case.placement.pp == 1
        and case.activation_gib is not None
        and case.line not in UNLIKE_DEFAULTS
    ]


def _log(case: LoggedCase) -> Log:
    precision = case.precision()
    replica = accuracy.replica_of(case)
    running = accuracy.running_of(case)
    width = DTYPE_BYTES[precision.compute_dtype]
    kept = bool(running.value("expert_workspaces"))
    experts = activations.expert_workspace_bytes(precision, case.placement, running.batched_tokens, width, kept)
    return Log(
        case=case,
        replica=replica,
        tokens=running.batched_tokens,
        seqs=min(running.sampled_seqs, running.batched_tokens),
        vocab=precision.spec.vocab_size,
        hidden=precision.spec.hidden_size,
        width=width,
        experts=experts if kept else 0.0,
        tower=activations.has_tower(precision),
    )


def least_squares(
    columns: Sequence[Callable[[Log], float]], target: Callable[[Log], float], rows: Sequence[Log]
) -> tuple[list[float], float]:
    """Coefficients and root mean square of the residuals."""
    matrix = np.array([[column(row) for column in columns] for row in rows])
    values = np.array([target(row) for row in rows])
    solved = np.linalg.lstsq(matrix, values, rcond=None)[0]
    spread = float(np.sqrt(np.mean((matrix @ solved - values) ** 2)))
    return [float(value) for value in solved], spread


def sampler_new(rows: list[Log]) -> list[Row]:
    """B D w a + S V s + tower + c = activations - S V w - experts, on vLLM 0.19."""
    used = [row for row in rows if row.sampler_peaks(12)]
    columns = [
        lambda row: float(row.tokens * row.hidden * row.width),
        lambda row: float(row.seqs * row.vocab),
        lambda row: float(row.tower) * GIB,
        lambda row: float(GIB),
    ]
    (hidden, copies, tower, base), spread = least_squares(columns, _beyond_logits, used)
    source = f"least squares on {len(used)} vLLM 0.19 start-up logs (vllm_0_19_h100.csv)"
    n = len(used)
    return [
        _row(("0", ""), "hidden_copies", hidden, "ratio", 0, n, source),
        _row(NEW, "sampler_copies", copies, "byte", spread / (1024 * 131072), n, source),
        _row(("0", ""), "tower_activation", tower * GIB, "byte", spread, n, source),
        _row(NEW, "activation_base", base * GIB, "byte", spread, n, source),
    ]


def forward_new(cases: list[LoggedCase], base: float) -> Row:
    """B D w h = activations - 3 B F w - c, where a layer makes the peak: small vocabularies and inner stages."""
    rows = []
    for case in cases:
        if not case.model or case.activation_gib is None:
            continue
        log = _log(case)
        inner = activations.dense_width(case.precision()) / case.placement.tp
        if case.placement.pp > 1 or not (log.sampler_peaks(12) or log.experts):
            rest = case.activation_gib * GIB - 3 * log.tokens * inner * log.width - base
            rows.append((log.tokens * log.hidden * log.width, rest))
    matrix, values = np.array([[float(size)] for size, _ in rows]), np.array([rest for _, rest in rows])
    (copies,) = np.linalg.lstsq(matrix, values, rcond=None)[0]
    spread = float(np.sqrt(np.mean((matrix[:, 0] * copies - values) ** 2)))
    source = "least squares on vLLM 0.19 logs where a layer makes the peak (vllm_0_19_h100.csv)"
    return _row(("0.8", ""), "forward_hidden", float(copies), "ratio", spread / float(matrix.mean()), len(rows), source)


def sampler_old(rows: list[Log], versions: tuple[str, str], known: list[Row]) -> list[Row]:
    """S V s + c = activations - S V w - B D w a with a of the newest regime, on older logs."""
    values = {row["constant"]: float(row["value"]) for row in known}
    low, high = read_version(versions[0]), read_version(versions[1])

    def rest(row: Log) -> float:
        inside = row.tokens * row.hidden * row.width * values["hidden_copies"]
        return _beyond_logits(row) - inside - row.tower * values["tower_activation"]

    used = [
        row
        for row in rows
        if low <= read_version(row.case.settings.version) < high
        and row.sampler_peaks(35)
        and accuracy.running_of(row.case).samples
    ]
    columns = [lambda row: float(row.seqs * row.vocab), lambda row: float(GIB)]
    (copies, base), spread = least_squares(columns, rest, used)
    source = f"least squares on vllm_logs.csv:{', '.join(str(row.case.line) for row in used)}"
    typical = float(np.median([row.seqs * row.vocab for row in used]))
    return [
        _row(versions, "sampler_copies", copies, "byte", spread / typical, len(used), source),
        _row(versions, "activation_base", base * GIB, "byte", spread, len(used), source),
    ]


# Activations that no default explains: line 6 shows a third of what its page's other four servers do, 18 states no
# flags for its 9.4 GiB, 14 has room for 256 sampled requests but not for the whole prompts its version ran, 38 shows
# a quarter of that, 51 shares its device, 57 profiles images.
UNLIKE_DEFAULTS = frozenset({6, 14, 18, 38, 51, 57})


def _beyond_logits(row: Log) -> float:
    return (row.case.activation_gib or 0) * GIB - row.seqs * row.vocab * row.width - row.experts


SHARED_DEVICES = frozenset({8, 9, 51})  # 8 and 9: a pull request that also counts what was there before


def non_torch(table: list[LoggedCase], versions: tuple[str, str]) -> list[Row]:
    """Mean at TP 1 and with PP, a line in T beyond."""
    low, high = read_version(versions[0]), read_version(versions[1] or None)
    seen = [
        case
        for case in table
        if case.non_torch_gib is not None
        and low <= read_version(case.settings.version or "999") < high
        and not (case.table == accuracy.LOGS and case.line in SHARED_DEVICES)
    ]
    made = []
    single = [case.non_torch_gib * GIB for case in seen if case.placement.gpus == 1 and case.non_torch_gib]
    if single:
        made.append(_mean(versions, "non_torch", single, "logs at TP 1"))
    staged = [case.non_torch_gib * GIB for case in seen if case.placement.pp > 1 and case.non_torch_gib]
    if staged:
        made.append(_mean(("0", ""), "non_torch_pp", staged, "logs with pipeline stages at TP 1"))
    many = [
        (case.placement.tp, case.non_torch_gib * GIB) for case in seen if case.placement.tp > 1 and case.non_torch_gib
    ]
    made += _line(versions, many)
    return made


def _line(versions: tuple[str, str], points: list[tuple[int, float]]) -> list[Row]:
    if not points:
        return []
    ranks = sorted({tp for tp, _ in points})
    columns = [[1.0, float(tp)] if len(ranks) > 1 else [1.0, 0.0] for tp, _ in points]
    matrix, values = np.array(columns), np.array([value for _, value in points])
    base, slope = np.linalg.lstsq(matrix, values, rcond=None)[0]
    if base < 0:  # scattered points; no engine gives memory back
        base, slope = 0.0, float(matrix[:, 1] @ values / (matrix[:, 1] @ matrix[:, 1]))
    spread = float(np.sqrt(np.mean((matrix @ np.array([base, slope]) - values) ** 2)))
    source = f"least squares on logs at TP {', '.join(map(str, ranks))}"
    return [
        _row(versions, "non_torch_tp_base", float(base), "byte", spread, len(points), source),
        _row(versions, "non_torch_per_rank", float(slope), "byte", spread, len(points), source),
    ]


def graphs(cases: list[LoggedCase]) -> list[Row]:
    """CUDA graphs: base + share x layers of the stage, on vLLM 0.19."""
    points = [
        (math.ceil(case.precision().spec.layer_count / case.placement.pp), case.graphs_gib * GIB)
        for case in cases
        if case.graphs_gib is not None and case.model
    ]
    matrix = np.array([[1.0, float(layers)] for layers, _ in points])
    values = np.array([value for _, value in points])
    base, slope = np.linalg.lstsq(matrix, values, rcond=None)[0]
    spread = float(np.sqrt(np.mean((matrix @ np.array([base, slope]) - values) ** 2)))
    source = "least squares on vLLM 0.19 start-up logs (vllm_0_19_h100.csv)"
    return [
        _row(("0", ""), "graph_base", float(base), "byte", spread, len(points), source),
        _row(("0", ""), "graph_per_layer", float(slope), "byte", spread, len(points), source),
    ]


def contexts(cases: list[LoggedCase]) -> list[Row]:
    one = [case.context_gib * GIB for case in cases if case.context_gib and case.placement.gpus == 1]
    many = [case.context_gib * GIB for case in cases if case.context_gib and case.placement.gpus > 1]
    return [
        _mean(("0", ""), "context", one, "device memory taken before vLLM 0.19 counts, H100"),
        _mean(("0", ""), "context_many", many, "device memory taken before vLLM 0.19 counts, H100, TP or PP above 1"),
    ]


def interval(cases: Iterable[LoggedCase]) -> list[Row]:
    """Shares by which everything but the cache lay below and above its estimate: 10th and 90th percentile.

    On the published logs alone, which are many people's servers; the sweep is one laboratory's and was fitted on.
    """
    ratios = []
    for case in cases:
        if case.model and not case.capacity_left_out:
            replica = accuracy.replica_of(case)
            share = min(replica.shares, key=replica.room)
            ratios.append((replica.budget - _pool(case, share)) / share.fixed - 1)
    source = "10th and 90th percentile of logged over estimated memory outside the cache (vllm_logs.csv)"
    return _bounds(sorted(ratios), source, "vllm")


def _pool(case: LoggedCase, share: Share) -> float:
    if case.kv_gib is not None:
        return case.kv_gib * GIB
    tokens = case.kv_tokens or 0
    return tokens * printed.token_bytes(share, accuracy.running_of(case), accuracy.length_of(case))


def plain_interval() -> list[Row]:
    ratios = sorted(error.measured / error.estimate - 1 for error in accuracy.plain_errors())
    source = "10th and 90th percentile of published over estimated peaks (transformers_memory.csv)"
    return _bounds(ratios, source, "transformers")


def _bounds(ratios: list[float], source: str, engine: str) -> list[Row]:
    low, high = accuracy.quantile(ratios, 0.1), accuracy.quantile(ratios, 0.9)
    return [
        _row(("0", ""), "fixed_low", max(0.0, -low), "ratio", 0, len(ratios), source, engine),
        _row(("0", ""), "fixed_high", max(0.0, high), "ratio", 0, len(ratios), source, engine),
    ]


def plain(cases: Iterable[PlainCase]) -> list[Row]:
    """b F w a prompt token + c, on the Qwen2.5 page: the one whose figures are peaks and hold no prompt logits."""
    used = [case for case in cases if not case.left_out and case.gpus == 1 and case.version == "4.46"]
    rows, values = [], []
    for case in used:
        precision = case.precision()
        inner = activations.prompt_width(precision) * DTYPE_BYTES[precision.compute_dtype]
        rows.append([float(case.prompt_tokens * inner), float(GIB)])
        values.append(case.memory_gib * GIB - accuracy.plain_resident(case))
    matrix, target = np.array(rows), np.array(values)
    inner_copies, base = np.linalg.lstsq(matrix, target, rcond=None)[0]
    spread = float(np.sqrt(np.mean((matrix @ np.array([inner_copies, base]) - target) ** 2)))
    source = "least squares on the Qwen2.5 speed page, one A100 (transformers_memory.csv:2-81)"
    return [
        _row(("0", ""), "prompt_inner", float(inner_copies), "ratio", 0, len(used), source, "transformers"),
        _row(("0", ""), "activation_base", float(base * GIB), "byte", spread, len(used), source, "transformers"),
    ]


def _mean(versions: tuple[str, str], name: str, values: list[float], source: str) -> Row:
    middle = float(np.mean(values))
    spread = float(np.sqrt(np.mean((np.array(values) - middle) ** 2)))
    return _row(versions, name, middle, "byte", spread, len(values), source)


def _row(
    versions: tuple[str, str],
    name: str,
    value: float,
    unit: str,
    spread: float,
    n: int,
    source: str,
    engine: str = "vllm",
) -> Row:
    return {
        "engine": engine,
        "version_from": versions[0],
        "version_to": versions[1],
        "constant": name,
        "value": f"{value:.6g}",
        "unit": unit,
        "spread": f"{spread:.4g}" if spread > 1e-9 * abs(value) else "",
        "n": str(n),
        "source": source,
        "as_of": AS_OF,
    }


def left_out_errors() -> list[float]:
    """Activation peaks of vLLM 0.19, each model estimated from constants fitted without it: estimate - log, in GiB."""
    rows, errors = logs(accuracy.SWEEP), []
    for model in sorted({row.case.model for row in rows}):
        fitted = {
            row["constant"]: float(row["value"]) for row in sampler_new([r for r in rows if r.case.model != model])
        }
        for row in (row for row in rows if row.case.model == model and row.sampler_peaks(12)):
            estimate = row.tokens * row.hidden * row.width * fitted["hidden_copies"] + row.experts
            estimate += row.seqs * row.vocab * (row.width + fitted["sampler_copies"])
            estimate += row.tower * fitted["tower_activation"] + fitted["activation_base"]
            errors.append(estimate / GIB - (row.case.activation_gib or 0.0))
    return errors


def fits() -> list[Row]:
    """Every fitted constant."""
    old, new = list(vllm_cases(accuracy.LOGS)), list(vllm_cases(accuracy.SWEEP))
    sampler = sampler_new(logs(accuracy.SWEEP))
    (base,) = (float(row["value"]) for row in sampler if row["constant"] == "activation_base")
    made = [*sampler, forward_new(new, base)]
    for versions in (V0, V1):
        made += sampler_old(logs(accuracy.LOGS), versions, sampler)
    for versions, cases in ((V0, old), (V1, old), (NEW, new)):
        made += non_torch(cases, versions)
    made += [*graphs(new), *contexts(new)]
    made += plain(plain_cases())
    made += [*interval(old), *plain_interval()]
    return made


def main() -> None:
    found = fits()
    contexts_of_plain = [{**row, "engine": "transformers"} for row in found if row["constant"] == "context"]
    found += contexts_of_plain + [{**row, "constant": "context_many"} for row in contexts_of_plain]
    with FITS.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, list(found[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(found)
    for row in found:
        print(" ".join(f"{row[key]:>14}" for key in ("engine", "version_from", "version_to")), end=" ")
        print(f"{row['constant']:22} {row['value']:>12} {row['unit']:6} spread {row['spread'] or '-':>9} n {row['n']}")
    errors = sorted(abs(error) for error in left_out_errors())
    middle, most = accuracy.quantile(errors, 0.5), accuracy.quantile(errors, 0.9)
    print(
        f"activations with the model left out of the fit: median {middle:.3f} GiB, p90 {most:.3f} GiB, n {len(errors)}"
    )


if __name__ == "__main__":
    main()
