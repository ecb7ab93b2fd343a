"""verl's V1 trainers plus ThreadWeaver's training metrics.

    trainer.v1.trainer_mode: threadweaver_sync            (verl's `sync`)
    trainer.v1.trainer_mode: threadweaver_colocate_async  (verl's `colocate_async`)

verl logs what a reward function returns for validation only (`val-*`); its training step drops it. These
modes log the same values of the training trajectories under `threadweaver/*`. The plain modes train exactly
the same. Seam: `register_trainer`, `PPOTrainer._compute_metrics` (`verl/trainer/ppo/v1/trainer_base.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

from verl_ext.dumps import ReadableDumps
from verl_ext.rows import per_row

METRICS = "threadweaver"


def trajectory_metrics(extra_fields: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Means over trajectories of everything numeric that the reward function returned.

    Args:
        extra_fields: one mapping per trajectory with the reward function's dict under `reward_extra_info`.

    Returns:
        `threadweaver/<name>/mean` for each value; `threadweaver/trajectories` counts them.
    """
    sums: dict[str, float] = {}
    count = 0
    for fields in extra_fields:
        count += 1
        for name, value in (fields.get("reward_extra_info") or {}).items():
            if isinstance(value, int | float):
                sums[name] = sums.get(name, 0.0) + float(value)
    means = {f"{METRICS}/{name}/mean": total / count for name, total in sums.items()}
    return {**means, f"{METRICS}/trajectories": float(count)}


def last_rows(keys: list[str], tags: list[dict[str, Any]]) -> list[str]:
    """The key `{uid}_{session}_{row}` of each trajectory's last row, without verl's filling rows."""
    last: dict[str, str] = {}
    for key, tag in zip(keys, tags, strict=True):
        if not tag.get("is_padding", False):
            session, row = key.rsplit("_", 1)
            if session not in last or int(last[session].rsplit("_", 1)[1]) < int(row):
                last[session] = key
    return list(last.values())


class ThreadWeaverMetrics:
    """Mix-in for a V1 trainer: adds the metrics to verl's own, before verl clears the step's rows."""

    def _compute_metrics(self, batch: Any, metrics: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        import transfer_queue as tq

        super()._compute_metrics(batch, metrics, *args, **kwargs)  # type: ignore[misc]
        keys = last_rows(batch.keys, batch.tags)
        rows = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
        metrics.update(trajectory_metrics(per_row(rows["extra_fields"])))


def register(trainer_base: ModuleType) -> None:
    """Called by `verl_ext.plugin` once `verl.trainer.ppo.v1.trainer_base` is imported."""
    from verl.trainer.ppo.v1.trainer_colocate_async import PPOTrainerColocateAsync
    from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

    for name, base in (("sync", PPOTrainerSync), ("colocate_async", PPOTrainerColocateAsync)):
        with_metrics = type(base.__name__, (ReadableDumps, ThreadWeaverMetrics, base), {})
        trainer_base.register_trainer(f"{METRICS}_{name}")(with_metrics)
