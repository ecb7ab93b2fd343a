"""Self-training with the real vLLM."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.support.commands import run
from tw_plugins.evaluation.records import read_records
from tw_plugins.toy.preset import SMOKE_PRESET, write_files


@pytest.mark.timeout(600)
def test_with_the_real_vllm(tmp_path: Path) -> None:
    """A model that has learned nothing: all is sampled, nothing kept.

    (Asking for more adds to it: `tests/unit/data/test_selftrain.py`.)
    """
    files = write_files(tmp_path, 0, SMOKE_PRESET)
    out = tmp_path / "out"
    command = [sys.executable, "-m", "tw_plugins.cli", "data", "selftrain", "--model", str(files["model"])]
    command += ["--prompts", str(files["rl"]), "--out", str(out), "--limit", "3", "--max-tokens", "64"]
    run(tmp_path / "log", *command, "--samples", "2")
    funnel = json.loads((out / "funnel.json").read_text())
    assert (funnel["prompts"], funnel["samples"], funnel["kept"]) == (3, 6, 0)
    assert len({record.text for record in read_records(out / "samples.jsonl")}) == 6
