"""The smoke job of the folder for verl-recipe, from an empty folder, in a mode that no other run has."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.kits import check_steps, copy_kit, run_smoke

COLOCATE_ASYNC_SPLIT_ROWS = [
    "trainer.v1.trainer_mode=threadweaver_colocate_async",
    "trainer.n_gpus_per_node=2",
    "ray_kwargs.ray_init.num_gpus=2",
    "actor_rollout_ref.actor.ulysses_sequence_parallel_size=2",
    "actor_rollout_ref.model.use_remove_padding=true",
    "reward.custom_reward_function.reward_kwargs.acceleration=critical_path",
]


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_the_smoke_job(tmp_path: Path) -> None:
    kit = copy_kit("verl-recipe/threadweaver", tmp_path / "kit")
    steps = run_smoke(kit / "run_smoke.sh", tmp_path, *COLOCATE_ASYNC_SPLIT_ROWS)
    check_steps(steps)
    assert all(step["threadweaver/trajectories"] == 16 for step in steps)
