"""verl's V1 trainers plus ThreadWeaver's training metrics and the bonus that needs the whole group.

    trainer.v1.trainer_mode: threadweaver_sync            (verl's `sync`)
    trainer.v1.trainer_mode: threadweaver_colocate_async  (verl's `colocate_async`)
    trainer.v1.trainer_mode: threadweaver_separate_async  (verl's `separate_async`; `verl_ext.separate`)

verl logs what a reward function returns for validation only (`val-*`); its training step drops it. These
modes log the same values of the training trajectories under `threadweaver/*`, and warn where the run goes
wrong (`tw_plugins.adapter.vital_signs`). With `acceleration: critical_path` they also add its bonus to the
rewards before advantages are made; with the paper's `eta` the plain modes have the same rewards and updates.

To verl every mode not named "sync" is asynchronous (`trainer_base.py`): `threadweaver_sync` generates,
updates and hands over weights in `sync`'s turns, but with `ReplayBufferAsync`, prompts fetched one at a time
(`data.gen_batch_size` is 1) and failed groups refilled.

Seams: `register_trainer`, `PPOTrainer._compute_metrics` and `_compute_advantage`
(`verl/trainer/ppo/v1/trainer_base.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property, wraps
from types import ModuleType
from typing import Any

from tw_plugins.adapter.staleness import staleness
from tw_plugins.adapter.vital_signs import VitalSigns
from tw_plugins.reward import RewardSettings
from tw_plugins.reward.critical_path import with_critical_path_bonus
from verl_ext import metrics_file
from verl_ext.checkpoints import UntrainedQueue, WithoutQueue
from verl_ext.dumps import ReadableDumps
from verl_ext.engine_guard import check_workers
from verl_ext.recomputing import Recomputing
from verl_ext.row_keys import group_of, last_rows
from verl_ext.row_positions import per_row
from verl_ext.separate import SeparateAsync
from verl_ext.settings import reward_settings, settings_from
from verl_ext.staleness import decoded_by
from verl_ext.verl_settings import uses_threadweaver
from verl_ext.vital_signs import vital_signs_of
from verl_ext.watch import WatchedTrainer

METRICS = "threadweaver"


def trajectory_metrics(infos: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    """Means over trajectories of everything numeric that the reward function returned.

    Args:
        infos: what it returned, one mapping per trajectory.

    Returns:
        `threadweaver/<name>/mean` for each value; `threadweaver/trajectories` counts them.
    """
    sums: dict[str, float] = {}
    count = 0
    for info in infos:
        count += 1
        for name, value in info.items():
            if isinstance(value, int | float):
                sums[name] = sums.get(name, 0.0) + float(value)
    means = {f"{METRICS}/{name}/mean": total / count for name, total in sums.items()}
    return {**means, f"{METRICS}/trajectories": float(count)}


class ThreadWeaverTraining:
    """Mix-in for a V1 trainer: pays the group's bonus, and adds our metrics to verl's own."""

    config: Any

    @cached_property
    def _vital_signs(self) -> VitalSigns:
        return vital_signs_of(self.config)

    def _compute_advantage(self, batch: Any, metrics: dict[str, Any]) -> Any:
        """The bonus stands on the last token of a trajectory's last row, where verl's reward stands."""
        settings = reward_settings(self.config)
        if settings and settings.acceleration == "critical_path":
            import transfer_queue as tq
            from tensordict import TensorDict

            keys = last_rows(batch.keys, batch.tags)
            rows = tq.kv_batch_get(
                keys=keys, partition_id=batch.partition_id, select_fields=["extra_fields", "rm_scores"]
            )
            before = [fields["reward_extra_info"] for fields in per_row(rows["extra_fields"])]
            rewards = rows["rm_scores"].clone()
            for reward, old, new in zip(rewards.unbind(), before, _paid(before, keys, settings), strict=True):
                reward[-1] += new["score"] - old["score"]  # a view of the row
            changed = TensorDict({"rm_scores": rewards}, batch_size=len(keys))
            tq.kv_batch_put(keys=keys, partition_id=batch.partition_id, fields=changed)
        return super()._compute_advantage(batch, metrics=metrics)  # type: ignore[misc]

    def _compute_metrics(
        self, batch: Any, metrics: dict[str, Any], timing_raw: Any, global_steps: int, epoch: int
    ) -> None:
        """Before verl clears the step's rows."""
        import transfer_queue as tq

        super()._compute_metrics(  # type: ignore[misc]
            batch, metrics, timing_raw, global_steps=global_steps, epoch=epoch
        )
        keys = last_rows(batch.keys, batch.tags)
        rows = tq.kv_batch_get(keys=keys, partition_id=batch.partition_id, select_fields=["extra_fields"])
        fields = per_row(rows["extra_fields"])
        infos = [each.get("reward_extra_info") or {} for each in fields]
        settings = reward_settings(self.config)
        if settings and settings.acceleration == "critical_path":
            infos = _paid(infos, keys, settings)
        metrics.update(trajectory_metrics(infos))
        signs = self._vital_signs.of_step(global_steps, infos, list(map(group_of, keys)))
        metrics.update({f"{METRICS}/{name}": value for name, value in signs.items()})
        stale = staleness(decoded_by(fields), global_steps - 1)  # it begins with the weights of the last step
        metrics.update({f"{METRICS}/{name}": value for name, value in stale.items()})
        asked = self.config.data.train_batch_size * self.config.actor_rollout_ref.rollout.n
        metrics[f"{METRICS}/failed_trajectories"] = max(asked - len(keys), 0)


def _paid(infos: list[dict[str, Any]], keys: list[str], settings: RewardSettings) -> list[dict[str, Any]]:
    return with_critical_path_bonus(infos, list(map(group_of, keys)), settings.rho, settings.rho_clip)


def _set_up(setup: Any) -> Any:
    """Of every trainer mode, verl's own too: the file of metrics goes on where the run does; where rows may
    have branches, all workers watch for them."""

    @wraps(setup)
    def checked(self: Any) -> None:
        setup(self)
        if uses_threadweaver(self.config):
            metrics_file.go_on()
            if settings_from(self.config).layout == "trie":
                check_workers([*self.actor_rollout_wg.workers])

    return checked


def register(trainer_base: ModuleType) -> None:
    """Called by `verl_ext.plugin` once `verl.trainer.ppo.v1.trainer_base` is imported."""
    from verl.trainer.ppo.v1.trainer_colocate_async import PPOTrainerColocateAsync
    from verl.trainer.ppo.v1.trainer_separate_async import PPOTrainerSeparateAsync
    from verl.trainer.ppo.v1.trainer_sync import PPOTrainerSync

    trainer_base.PPOTrainer._setup = _set_up(trainer_base.PPOTrainer._setup)
    mixed_in = (ReadableDumps, WatchedTrainer, Recomputing, ThreadWeaverTraining)
    for name, bases in (
        ("sync", (WithoutQueue, PPOTrainerSync)),
        ("colocate_async", (UntrainedQueue, PPOTrainerColocateAsync)),
        ("separate_async", (UntrainedQueue, SeparateAsync, PPOTrainerSeparateAsync)),
    ):
        ours = type(bases[-1].__name__, (*mixed_in, *bases), {})
        trainer_base.register_trainer(f"{METRICS}_{name}")(ours)
