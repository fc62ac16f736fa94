"""Count parameters of a config by building its model on torch's meta device: shapes, and no memory for the numbers.

Needs the environment of `make profile-setup`; run it from the project's folder with that environment's Python:

.venv-profile/bin/python -m tools.count_params config.json      the count of the model a config describes
.venv-profile/bin/python -m tools.count_params --add config.json  the same, kept in tests/reference/meta_counts.csv
.venv-profile/bin/python -m tools.count_params --reference      every row of that table built again
.venv-profile/bin/python -m tools.count_params --catalogue      every embedded config built again

The last two print what differs, and what these libraries cannot build, and exit with 1 when something differs.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from estimators.architecture.catalogue import entries, load_config

REFERENCE = Path(__file__).parents[1] / "tests" / "reference" / "meta_counts.csv"
COLUMNS = ("model_type", "params", "config", "source", "as_of")
# They change what is stored, or name code to run; the architecture is the same without.
NOT_SHAPE = ("quantization_config", "auto_map")


def count(config: Mapping[str, Any]) -> int:
    """Parameters of the class transformers builds for a config, a tied tensor counted once."""
    import torch
    import transformers as tf

    shaped = {name: value for name, value in config.items() if name not in NOT_SHAPE}
    parsed = tf.CONFIG_MAPPING[str(shaped.get("model_type"))].from_dict(shaped)
    builders = (tf.AutoModelForImageTextToText, tf.AutoModelForCausalLM, tf.AutoModelForSeq2SeqLM)
    for builder in builders:
        if type(parsed) in builder._model_mapping:
            with torch.device("meta"):
                model: Any = builder.from_config(parsed)  # type: ignore[no-untyped-call]
            return sum(parameter.numel() for parameter in model.parameters())
    raise KeyError(f"no class generates text from {shaped.get('model_type')}")


def checked(cases: Iterator[tuple[str, Mapping[str, Any], int | None]]) -> int:
    """Builds each (name, config, count it should have); returns how many came out otherwise."""
    equal = different = 0
    for name, config, wanted in cases:
        try:
            found = count(config)
        except Exception as problem:  # whatever a class of transformers makes of a config
            print(f"not built: {name}: {type(problem).__name__}: {' '.join(str(problem).split())[:120]}")
            continue
        if wanted is not None and found != wanted:
            print(f"differs: {name}: built {found:,}, the table says {wanted:,}")
            different += 1
        equal += found == wanted
    print(f"{equal} equal, {different} different")
    return different


def reference() -> Iterator[tuple[str, Mapping[str, Any], int | None]]:
    with REFERENCE.open(newline="", encoding="utf-8") as file:
        for number, row in enumerate(csv.DictReader(file), start=2):
            yield f"{row['model_type']} (line {number})", json.loads(row["config"]), int(row["params"])


def embedded() -> Iterator[tuple[str, Mapping[str, Any], int | None]]:
    for entry in entries():
        yield entry.id, load_config(entry.id), entry.params


def add(config: Mapping[str, Any], params: int, path: Path = REFERENCE) -> None:
    """One more row of the reference table."""
    import torch
    import transformers as tf

    source = f"transformers {tf.__version__} built on the meta device with torch {torch.__version__.partition('+')[0]}"
    text = json.dumps(config, separators=(",", ":"))
    with path.open("a", newline="", encoding="utf-8") as file:
        cells = (config["model_type"], params, text, source, datetime.now(UTC).date().isoformat())
        csv.writer(file, lineterminator="\n").writerow(cells)


def main() -> int:
    parser = argparse.ArgumentParser(prog="tools.count_params", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("configs", nargs="*", type=Path, metavar="config.json")
    parser.add_argument("--add", action="store_true", help="keep the counts in tests/reference/meta_counts.csv")
    parser.add_argument("--reference", action="store_true", help="build every row of that table again")
    parser.add_argument("--catalogue", action="store_true", help="build every embedded config again")
    asked = parser.parse_args()
    if not (asked.configs or asked.reference or asked.catalogue):
        parser.error("name a config.json, or --reference, or --catalogue")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    different = 0
    for path in asked.configs:
        config = json.loads(path.read_text(encoding="utf-8"))
        params = count(config)
        print(f"{path}: {params}")
        if asked.add:
            add(config, params)
    if asked.reference:
        different += checked(reference())
    if asked.catalogue:
        different += checked(embedded())
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
