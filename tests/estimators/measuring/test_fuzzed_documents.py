"""Reports, exports and results that were changed on the way: each is read or refused in a sentence, and no figure of
one that is read is what no measurement can be."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from random import Random
from typing import Any

import pytest

from estimators.measuring.measurement import Measurement, export_json, import_json
from estimators.measuring.server.reports import read_guidellm
from estimators.precision import Weights
from estimators.provenance import Refusal
from estimators.quality.lm_eval_results import parse_results
from estimators.workload import Engine
from tests.conftest import REFERENCE
from tests.hostile import PAYLOADS
from tests.profiling_samples import measurement

REPORTS = sorted((REFERENCE / "guidellm").glob("v*.json"))
ODD = (
    None, True, 0, -1, 1e308, -1e308, 1e-300, 2**70, 0.5, 10**400, "", "nan", "1", "x" * 4000, "\ud83d", "\x00", [], {},
    [[]], {"a": {}}, [1, "a"], *PAYLOADS,
)  # fmt: skip


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) of a document."""
    for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
        yield node, key
        yield from places(node[key])


def mutated(document: Any, draw: Random) -> str:
    document = copy.deepcopy(document)
    for _ in range(draw.choice((1, 1, 2, 6))):
        found = list(places(document))
        if not found:
            break
        inside, key = draw.choice(found)
        how = draw.random()
        if how < 0.2:
            del inside[key]
        elif how < 0.3 and isinstance(inside, list):
            inside.extend([inside[key]] * draw.choice((2, 300)))
        elif how < 0.4:
            inside[key] = copy.deepcopy(draw.choice(found)[0])
        else:
            inside[key] = draw.choice(ODD)
    return json.dumps(document)


def figures(made: Measurement) -> Iterator[float]:
    for readings in (made.ttft_s, made.itl_s, made.e2e_s, made.output_tok_per_s):
        if readings is not None:
            yield readings.median


def sound(several: tuple[Measurement, ...]) -> None:
    for made in several:
        assert made.batch >= 1
        assert made.prompt_tokens >= 0
        assert all(math.isfinite(figure) and figure > 0 for figure in figures(made))
        json.loads(export_json([made]))


def read_report(text: str) -> None:
    sound(read_guidellm(text).measurements(engine=Engine.VLLM, weights=Weights.BF16))


def read_export(text: str) -> None:
    sound(import_json(text))


@pytest.mark.parametrize(
    ("document", "read", "times"),
    [
        *((path.read_text(encoding="utf-8"), read_report, 120) for path in REPORTS),
        (export_json([measurement(), measurement(accelerator="L4")]), read_export, 600),
        ((REFERENCE / "lm_eval_0.4.13_results.json").read_text(encoding="utf-8"), parse_results, 300),
    ],
    ids=["0.3", "0.5", "0.7", "0.8", "failed", "export", "lm-eval"],
)
def test_a_document_that_was_changed_is_read_or_refused(
    document: str, read: Callable[[str], object], times: int
) -> None:
    draw, whole = Random(30), json.loads(document)
    begun = time.thread_time()
    for _ in range(times):
        with suppress(Refusal):
            read(mutated(whole, draw))
    assert time.thread_time() - begun < 10
