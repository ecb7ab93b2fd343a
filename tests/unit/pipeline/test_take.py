"""How many of a model's own samples SFT takes."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tw_plugins.pipeline.take import TooFewSamples, take


def test_own_samples_are_cut_to_what_sft_takes(tmp_path: Path) -> None:
    pq.write_table(pa.table({"response": ["a", "b", "c"]}), tmp_path / "sft.parquet")
    (tmp_path / "funnel.json").write_text(json.dumps({"kept": 3}))
    assert pq.read_table(take(tmp_path, 2))["response"].to_pylist() == ["a", "b"]
    with pytest.raises(TooFewSamples, match="kept 3 samples, SFT on them takes 4"):
        take(tmp_path, 4)
