"""An evaluation again, with the real vLLM: greedy on one machine, nothing differs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.commands import run
from tw_plugins.evaluation.records import read_records
from tw_plugins.toy.preset import SMOKE_PRESET, write_files


@pytest.mark.timeout(600)
def test_nothing_differs(tmp_path: Path) -> None:
    files = write_files(tmp_path, 0, SMOKE_PRESET)
    out, command = tmp_path / "out", [sys.executable, "-m", "tw_plugins.cli", "eval"]
    asked = ["--model", str(files["model"]), "--data", str(files["eval"]), "--out", str(out)]
    options = ["--limit", "6", "--max-tokens", "48", "--concurrency", "1", "--wall-clock", "2"]
    run(tmp_path / "log", *command, "run", *asked, *options)
    run(tmp_path / "log", *command, "rerun", str(out))
    rerun = json.loads((tmp_path / "out-rerun" / "rerun.json").read_text())
    assert {mode: found["samples"] for mode, found in rerun["modes"].items()} == {
        "parallel": 6,
        "autoregressive": 6,
    }
    assert all(not found["differences"] for found in rerun["modes"].values())
    assert rerun["may_be_because"] == []
    texts = [record.text for record in read_records(out / "parallel.jsonl")]
    assert len(set(texts)) == 6 and all(texts), "it decoded something"
