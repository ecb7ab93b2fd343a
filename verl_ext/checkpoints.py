"""What of TransferQueue belongs in a checkpoint: prompts under way, never the step that was trained.

Every mode that is not named "sync" saves the queue with the weights, while the rows that these weights were
trained on are still in it (verl 0.9.1, `trainer_base.py:485`, cleared in line 511). No prompt is theirs any
more: verl never samples them, never clears them, and saves them again with every later checkpoint.

    threadweaver_sync             saves no queue: between its steps no prompt is under way
    threadweaver_colocate_async,  save it, for the prompts; what was trained is dropped when it is loaded
    threadweaver_separate_async

Seam: `PPOTrainer._save_checkpoint`, `_load_checkpoint` (`verl/trainer/ppo/v1/trainer_base.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from verl_ext.row_keys import group_of

PARTITION = "train"


class WithoutQueue:
    """Mix-in for `sync`: its checkpoints are those of verl's own, weights and the place in the data."""

    trainer_mode: str

    def _save_checkpoint(self) -> None:
        with self._named_sync():
            super()._save_checkpoint()  # type: ignore[misc]

    def _load_checkpoint(self) -> None:
        with self._named_sync():
            super()._load_checkpoint()  # type: ignore[misc]

    @contextmanager
    def _named_sync(self) -> Iterator[None]:
        mode, self.trainer_mode = self.trainer_mode, "sync"
        try:
            yield
        finally:
            self.trainer_mode = mode


class UntrainedQueue:
    """Mix-in for the asynchronous modes."""

    def _load_checkpoint(self) -> None:
        import transfer_queue as tq

        super()._load_checkpoint()  # type: ignore[misc]
        trained = without_prompt((tq.kv_list(PARTITION) or {}).get(PARTITION, {}))
        if trained:
            tq.kv_clear(keys=trained, partition_id=PARTITION)


def without_prompt(tags: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The keys of rows whose prompt has left the queue: it was sampled for a step.

    Args:
        tags: verl's, by key; a prompt's has `is_prompt` and its key is the uid.
    """
    prompts = {key for key, tag in tags.items() if tag.get("is_prompt", False)}
    return [key for key in tags if key not in prompts and group_of(key) not in prompts]
