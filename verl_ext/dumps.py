"""verl's dumps of training rollouts, with the trajectory as it was joined and what it was paid for.

verl writes the decoded training row (`trainer.rollout_data_dir`): special tokens, with them the control tags,
are left out, and the branches follow the answer. Here each line also gets the agent loop's summary
(`tw_plugins.reward.facts`) under `threadweaver`, the first and last version of the weights of each call, and
the reward function's values, which verl writes in validation only.
Seam: `PPOTrainer._log_rollout_data`, `_dump_generations` (`trainer/ppo/v1/trainer_base.py`).
Works around `trainer_base.py:1297` (verl 0.9.1), which decodes the row and drops the rest; can go once
verl's dump of training takes the reward function's values and the agent loop's `extra_fields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tw_plugins.reward.facts import EXTRA_FIELD
from verl_ext.row_positions import per_row
from verl_ext.staleness import CALL_VERSIONS


class ReadableDumps:
    """Mix-in for a V1 trainer."""

    _dumped: Mapping[str, Mapping[str, Any]] = {}

    def _log_rollout_data(self, batch: Any, timing_raw: Any, rollout_data_dir: str) -> None:
        import transfer_queue as tq

        rows = tq.kv_batch_get(
            keys=batch.keys, partition_id=batch.partition_id, select_fields=["extra_fields"]
        )
        self._dumped = dict(zip(batch.keys, per_row(rows["extra_fields"]), strict=True))
        super()._log_rollout_data(batch, timing_raw, rollout_data_dir)  # type: ignore[misc]
        self._dumped = {}

    def _dump_generations(
        self, inputs: Any, outputs: Any, gts: Any, scores: Any, reward_extra_infos_dict: Any, dump_path: str
    ) -> None:
        rows = [self._dumped.get(key, {}) for key in reward_extra_infos_dict.get("uid", ())]
        infos = [row.get("reward_extra_info") or {} for row in rows]
        names = {name for info in infos for name in info if name != "score"}  # verl's own is the row's
        more = {name: [info.get(name) for info in infos] for name in sorted(names)}
        if any(EXTRA_FIELD in row for row in rows):
            more |= {name: [row.get(name) for row in rows] for name in (EXTRA_FIELD, CALL_VERSIONS)}
        super()._dump_generations(  # type: ignore[misc]
            inputs, outputs, gts, scores, {**reward_extra_infos_dict, **more}, dump_path
        )
