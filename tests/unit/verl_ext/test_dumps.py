"""What our trainers add to verl's dumps, and that the viewer reads it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tensordict import NonTensorData, NonTensorStack
from verl.trainer.ppo.v1 import get_trainer_cls
from verl.trainer.ppo.v1.trainer_base import PPOTrainer

from tw_plugins.pages.reading.files import read
from verl_ext.dumps import ReadableDumps

TEXT = "<think>a</think>\\boxed{3}"
SUMMARY = {"text": TEXT, "mode": "parallel", "limits_hit": 2, "limit_max_blocks": 2}
MEASURES = {"total": 5.0, "longest": 5.0, "acceleration": 0.0, "parallel_ratio": 0.0, "blocks": 0.0}
REWARD = {"score": 1.0, "acc": 1.0, "format": 1.0, "limits_hit": 2.0, "threads_per_block": 0.0, **MEASURES}


def fields(**changed: Any) -> dict[str, Any]:
    return {"reward_extra_info": REWARD, "threadweaver": SUMMARY, **changed}


class VerlsTrainer:
    """verl's own writing of a file, without the transfer queue and the thread around it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def _log_rollout_data(self, batch: Any, timing_raw: Any, rollout_data_dir: str) -> None:
        infos = {"uid": batch.keys}
        n = len(batch.keys)
        self._dump_generations(["1 + 2?"] * n, ["a 3"] * n, ["3"] * n, [0.5] * n, infos, rollout_data_dir)

    def _dump_generations(self, *arguments: Any) -> None:
        PPOTrainer._write_generations(*arguments, 7)


class Trainer(ReadableDumps, VerlsTrainer):
    pass


def dump(monkeypatch: pytest.MonkeyPatch, folder: Path, stored: dict[str, Any]) -> list[dict[str, Any]]:
    def kv_batch_get(keys: list[str], **_: Any) -> dict[str, Any]:
        return {"extra_fields": NonTensorStack(*(NonTensorData(stored[key]) for key in keys))}

    monkeypatch.setitem(sys.modules, "transfer_queue", SimpleNamespace(kv_batch_get=kv_batch_get))
    batch = SimpleNamespace(keys=list(stored), partition_id="train")
    Trainer(folder)._log_rollout_data(batch, {}, str(folder))
    return [json.loads(line) for line in (folder / "7.jsonl").read_text().splitlines()]


@pytest.mark.parametrize("name", ["threadweaver_sync", "threadweaver_colocate_async"])
def test_our_trainers_write_them(name: str) -> None:
    trainer = get_trainer_cls(name)
    assert trainer._dump_generations is ReadableDumps._dump_generations
    assert callable(PPOTrainer._dump_generations) and callable(PPOTrainer._log_rollout_data)


def test_a_line_has_the_joined_text_and_the_viewer_shows_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    versions = {"call_versions": [[3, 3], [3, 4]]}
    first, _ = dump(monkeypatch, tmp_path, {"u_0_0": fields(**versions), "u_1_0": fields()})
    assert first["threadweaver"] == SUMMARY and first["acc"] == 1.0 and first["uid"] == "u_0_0"
    assert first["call_versions"] == versions["call_versions"]
    assert first["score"] == 0.5  # verl's, as the row was paid
    one, _ = read([tmp_path / "7.jsonl"]).trajectories
    assert (one.text, one.mode, one.correct, one.note) == (TEXT, "parallel", True, "")
    assert one.limits == {"max_blocks": 2} and one.totals is not None and one.totals.total == 5


def test_rows_of_other_agent_loops_are_dumped_as_they_were(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (line,) = dump(monkeypatch, tmp_path, {"u_0_0": {}})
    assert set(line) == {"input", "output", "gts", "score", "step", "uid"}


def test_validation_dumps_stay_as_they_are(tmp_path: Path) -> None:
    Trainer(tmp_path)._dump_generations(
        ["q"], ["a"], ["3"], [1.0], {"uid": ["v_0_0"], "acc": [1.0]}, str(tmp_path)
    )
    assert set(json.loads((tmp_path / "7.jsonl").read_text())) == {
        "input", "output", "gts", "score", "step", "uid", "acc",
    }  # fmt: skip
