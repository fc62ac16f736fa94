"""What is sent to the nodes of a cluster answers as the sources it was recorded from."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from app import batch_cluster
from app.batch import answer
from app.batch_cluster import answer_piece, pieces_of, record
from app.sources import shared_sources

ROWS = [
    {"mine": "1", "model": "meta-llama/Llama-3.1-8B-Instruct", "instance": "g6.xlarge"},
    {"mine": "2", "model": "no/such-model", "instance": "g6.xlarge"},
    {"mine": "3", "model": "8B", "spec": "Qwen/Qwen2.5-0.5B-Instruct"},
]


def test_recorded_sources_travel_and_answer_the_same(tmp_path: Path) -> None:
    cases = tmp_path / "cases.csv"
    cases.write_text("model,spec\n" + "".join(f"{row['model']},{row.get('spec', '')}\n" for row in ROWS))
    sent = pickle.loads(pickle.dumps(record(batch_cluster.models_of(cases), shared_sources())))
    assert answer_piece(sent, ROWS) == [answer(row, shared_sources()) for row in ROWS]


def test_each_model_is_looked_up_once_and_methods_of_drafting_never(tmp_path: Path) -> None:
    cases = tmp_path / "cases.csv"
    cases.write_text("model,spec\na/b,ngram\na/b,\n8B,c/d\na/b,c/d\n")
    assert batch_cluster.models_of(cases) == ["a/b", "c/d"]


def test_pieces_keep_the_order() -> None:
    rows = [{"n": str(number)} for number in range(7)]
    assert [len(piece) for piece in pieces_of(rows, 3)] == [3, 3, 1]
    assert [row for piece in pieces_of(rows, 3) for row in piece] == rows


def test_few_rows_stay_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = tmp_path / "cases.csv"
    cases.write_text("model\n" + "8B\n" * 30)
    monkeypatch.setattr(batch_cluster, "MANY_ROWS", 30)
    assert not batch_cluster.worth_spreading(cases)
    monkeypatch.setenv("RAY_ADDRESS", "head:6379")
    assert batch_cluster.worth_spreading(cases)
    monkeypatch.setattr(batch_cluster, "MANY_ROWS", 31)
    assert not batch_cluster.worth_spreading(cases)
