"""Learn how the classes of the installed transformers lay out their tensors, and check the reader against them.

Run by `python -m tools.layouts` in the measuring environment. Writes estimators/architecture/data/layouts.jsonl, and
data/class_checks.csv, which the Accuracy page shows: for each type the parameters and the cache of the built class at
its default configuration, the reader's, and how many configurations of other sizes, on which nothing was fitted, agree.
A line with `by_hand`, which says what no build at other sizes shows, is checked and never learned again.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from estimators.architecture import class_tensors, layouts
from estimators.architecture.fields import ConfigError
from estimators.architecture.parse import parse_config
from estimators.architecture.spec import ModelSpec, SpecSource
from estimators.provenance import Refusal
from tools.layouts.building import Shapes, build, changed, classes, default
from tools.layouts.caching import cached
from tools.layouts.learning import assembled
from tools.layouts.sampling import Study, study

CHECKS = layouts.TABLE.with_name("class_checks.csv")
FIELDS = ("model_type", "class", "params", "read_params", "cache", "read_cache", "sizes", "exact", "worst", "reading")


def learn(model_types: list[str]) -> None:
    lines = {kind: json.loads(line) for kind, line in layouts.lines().items()}
    checks = {row["model_type"]: row for row in read_checks()}
    for model_type in model_types or sorted(classes()):
        made = study(model_type)
        if made is None:
            print(f"{model_type}: no configuration of it can be built", file=sys.stderr)
            continue
        learned = lines.get(model_type, {})
        if "by_hand" not in learned:
            lines[model_type] = learned = assembled(made)
            write_layouts(lines)
        row = checked(made)
        learned["miss"] = max(learned["miss"], float(row["worst"]), default_miss(row))
        write_layouts(lines)
        checks[model_type] = checked(made)
        write_checks(checks)
        print(*(checks[model_type][field] for field in FIELDS))


def checked(made: Study) -> dict[str, Any]:
    """The row of one type: the reader against the class."""
    model_type, config = made.model_type, default(made.model_type)
    shapes = build(model_type, config)
    spec = read(config)
    misses = [miss(made, values, shapes_) for values, shapes_ in ((s.values, s.shapes) for s in made.unseen)]
    return {
        "model_type": model_type,
        "class": classes().get(model_type, ""),
        "params": "" if shapes is None else parameters(shapes),
        "read_params": "" if spec is None else spec.resident_params,
        "cache": cached(model_type, config) or "",
        "read_cache": "" if spec is None else kept(spec),
        "sizes": len(misses),
        "exact": sum(miss == 0 for miss in misses),
        "worst": max(misses, default=0.0),
        "reading": "" if spec is None else spec.reading.value,
        "source": f"transformers {version('transformers')} built on the meta device, python -m tools.layouts",
        "as_of": datetime.now(UTC).date().isoformat(),
    }


def default_miss(row: dict[str, Any]) -> float:
    if row["params"] == "" or row["read_params"] == "":
        return 0.0 if row["params"] == "" else 1.0
    return float(round(abs(row["read_params"] / row["params"] - 1), 6))


def miss(made: Study, values: Any, shapes: Shapes) -> float:
    """Relative error of the layout's parameters at other sizes; 1 where its formulas give none.

    Of the layout alone: the reader refuses some sizes that a class builds, such as heads that do not divide.
    """
    config = changed(made.base, {path: value for path, value in values.items() if not path.endswith(".#")})
    of = layouts.layout(made.model_type)
    try:
        found = 0 if of is None else class_tensors.count(class_tensors.composed(of, config))
    except ConfigError:
        return 1.0
    return round(abs(found / parameters(shapes) - 1), 6)


def read(config: dict[str, Any]) -> ModelSpec | None:
    try:
        return parse_config(config, model_id="built", source=SpecSource.FILE, source_note="a class's default")
    except Refusal:
        return None


def parameters(shapes: Shapes) -> int:
    return sum(math.prod(shape) for shape, buffer in shapes.values() if not buffer)


def kept(spec: ModelSpec) -> int:
    attending = [group for group in spec.groups if group.attention is not None and group.stack == "decoder"]
    return sum(g.count * g.attention.cached_elements_per_token for g in attending if g.attention is not None)


def read_checks() -> list[dict[str, str]]:
    if not CHECKS.exists():
        return []
    with CHECKS.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_layouts(lines: dict[str, Any]) -> None:
    text = "".join(json.dumps(lines[kind], separators=(",", ":")) + "\n" for kind in sorted(lines))
    Path(layouts.TABLE).write_text(text, encoding="utf-8")
    for known in (layouts.lines, layouts.layout):
        known.cache_clear()


def write_checks(checks: dict[str, Any]) -> None:
    with CHECKS.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*FIELDS, "source", "as_of"), lineterminator="\n")
        writer.writeheader()
        writer.writerows(checks[kind] for kind in sorted(checks))
