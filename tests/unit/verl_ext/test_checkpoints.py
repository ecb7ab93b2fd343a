"""verl's own saving and loading, with our modes: what is kept of the transfer queue."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from verl.trainer.ppo.v1 import get_trainer_cls, trainer_base

from verl_ext.checkpoints import without_prompt

SYNC, ASYNC, SEPARATE = (f"threadweaver_{mode}" for mode in ("sync", "colocate_async", "separate_async"))
PROMPT = {"is_prompt": True, "status": "running"}


class Queue(SimpleNamespace):
    """A transfer queue whose checkpoint is a file, with one prompt under way and one step's trained row."""

    def __init__(self) -> None:
        self.tags: dict[str, Any] = {}

    def save_checkpoint(self, folder: str, **_: Any) -> None:
        Path(folder).mkdir()

    def load_checkpoint(self, folder: str) -> None:
        self.tags = {"b": PROMPT, "b_0_0": {}, "a_0_0": {}, "a_1_0": {}}

    def kv_list(self, partition: str) -> Any:
        return {partition: dict(self.tags)} if self.tags else None  # as verl's is for an empty one

    def kv_clear(self, keys: list[str], partition_id: str) -> None:
        assert partition_id == "train"
        for key in keys:
            del self.tags[key]


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue()
    monkeypatch.setattr(trainer_base, "tq", queue)
    monkeypatch.setitem(__import__("sys").modules, "transfer_queue", queue)
    return queue


def trainer(mode: str, folder: Path) -> Any:
    """verl's trainer of the mode, without its workers."""
    made = object.__new__(get_trainer_cls(mode))
    actor: dict[str, Any] = {"actor": {"checkpoint": {}}}
    kept = {"default_local_dir": str(folder), "default_hdfs_dir": None, "resume_mode": "auto"}
    made.config = OmegaConf.create(
        {"trainer": {**kept, "del_local_ckpt_after_load": False}, "actor_rollout_ref": actor}
    )
    made.trainer_mode, made.global_steps, made.use_critic = mode, 3, False
    made.actor_rollout_wg = SimpleNamespace(save_checkpoint=_nothing, load_checkpoint=_nothing)
    made.train_dataloader = SimpleNamespace(state_dict=lambda: {"at": 12}, load_state_dict=_nothing)
    made.checkpoint_callback = SimpleNamespace(on_save=_nothing)
    return made


def _nothing(*_: Any, **__: Any) -> None:
    pass


@pytest.mark.parametrize(("mode", "queue_too"), [(SYNC, False), (ASYNC, True), (SEPARATE, True)])
def test_only_prompts_under_way_need_the_queue(
    queue: Queue, tmp_path: Path, mode: str, queue_too: bool
) -> None:
    saving = trainer(mode, tmp_path)
    saving._save_checkpoint()
    assert (tmp_path / "global_step_3" / "transfer_queue").exists() == queue_too
    assert torch.load(tmp_path / "global_step_3" / "data.pt") == {"at": 12}
    assert (tmp_path / "latest_checkpointed_iteration.txt").read_text() == "3"
    assert saving.trainer_mode == mode


def test_what_was_trained_does_not_come_back(queue: Queue, tmp_path: Path) -> None:
    trainer(ASYNC, tmp_path)._save_checkpoint()
    resumed = trainer(ASYNC, tmp_path)
    resumed._load_checkpoint()
    assert list(queue.tags) == ["b", "b_0_0"]
    assert (resumed.global_steps, resumed._restored_tq_prompt_count) == (3, 1)


def test_a_sync_run_takes_no_queue_from_a_checkpoint_that_has_one(queue: Queue, tmp_path: Path) -> None:
    trainer(ASYNC, tmp_path)._save_checkpoint()
    resumed = trainer(SYNC, tmp_path)
    resumed._load_checkpoint()
    assert queue.tags == {} and (resumed.global_steps, resumed.trainer_mode) == (3, SYNC)


@pytest.mark.parametrize("mode", [SYNC, ASYNC])
def test_a_run_that_begins(queue: Queue, tmp_path: Path, mode: str) -> None:
    begun = trainer(mode, tmp_path)
    begun._load_checkpoint()
    assert begun.global_steps == 0 and queue.tags == {}


def test_a_failed_save_leaves_the_mode_as_it_was(queue: Queue, tmp_path: Path) -> None:
    failing = trainer(SYNC, tmp_path)
    failing.actor_rollout_wg.save_checkpoint = lambda *_, **__: 1 / 0
    with pytest.raises(ZeroDivisionError):
        failing._save_checkpoint()
    assert failing.trainer_mode == SYNC


def test_rows_of_a_prompt_in_the_queue_stay() -> None:
    tags = {"p": PROMPT, "p_0_0": {}, "p_0_1": {}, "q_0_0": {}, "padding_0_0": {"is_padding": True}}
    assert without_prompt(tags) == ["q_0_0", "padding_0_0"]
    assert without_prompt({}) == []


def test_verl_still_saves_the_step_that_it_trained() -> None:
    """When this fails, verl clears a step's rows before it saves: `UntrainedQueue` can go."""
    source = inspect.getsource(trainer_base.PPOTrainer.fit)
    assert source.index("self._save_checkpoint()") < source.index("tq.kv_clear(keys=batch.keys")
