"""The script for a GPU, tiny and on the CPU: every part gives its figures, and nothing that fails ends it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tw_plugins.bench import BenchError, gpu
from tw_plugins.bench.gpu import FULL, PARTS, TINY, bench_gpu


@pytest.fixture(autouse=True)
def no_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is not measured: on the CPU each figure takes a process of its own."""
    for module in ("update", "head"):
        monkeypatch.setattr(f"tw_plugins.bench.{module}.peak_of_process", lambda *_: 0)


def test_every_part_is_measured_and_written_as_it_comes(tmp_path: Path) -> None:
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        written = json.loads((tmp_path / "out/gpu.json").read_text())
        assert sum(len(part["rows"]) for part in written["parts"]) >= len(said)

    parts = bench_gpu(tmp_path / "out", (), TINY, "cpu", say)
    assert [part.name for part in parts] == [title for title, _ in PARTS.values()]
    assert all(part.rows for part in parts)
    right, exact, *_ = parts
    assert {row["outcome"] for row in right.rows} == {"right"}
    assert {row["attention"] for row in right.rows} == {"trie", "sdpa", "eager"}
    ways = {row["way"]: float(row["gradient off by"]) for row in exact.rows}
    assert len(ways) == 6 and max(ways.values()) < 1e-5  # float32 on the CPU
    table = (tmp_path / "out/gpu.md").read_text()
    assert all(f"## {title}" in table for title, _ in PARTS.values())


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), "out of memory"),
        (RuntimeError("no kernel"), "no kernel"),
    ],
)
def test_what_fails_is_a_row_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    def fails(*_: Any) -> None:
        raise error

    monkeypatch.setattr(gpu, "bench_update", fails)
    layer, head = bench_gpu(tmp_path, ("layer", "head"), TINY, "cpu", lambda _: None)
    assert [said in row["outcome"] for row in layer.rows] == [True]
    assert len(head.rows) == 2 and not any("outcome" in row for row in head.rows)


def test_what_comes_too_late_says_so(tmp_path: Path) -> None:
    (layer,) = bench_gpu(tmp_path, ("layer",), replace(TINY, minutes=0), "cpu", lambda _: None)
    assert layer.rows == [{"model": "a layer of toy", "tokens": "200", "outcome": "not begun: out of time"}]


def test_a_part_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="--part is all: choose of right, exact, layer"):
        bench_gpu(tmp_path / "out", ("all",), FULL, "cpu")
    assert not (tmp_path / "out").exists()
