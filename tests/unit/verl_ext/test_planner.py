"""Recipes of verl in the planner's words, and that the 8B ones fit the hardware that they are written for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.verl.configs import RECIPES
from tw_plugins.planning import GPUS, Cluster, PlanError, Rollout, State, Training, config_of, plan
from verl_ext.planner import FSDP, FUSED_CHUNK, job_of

SEQUENCE = ("qwen3_8b_p_grpo", "qwen3_8b_grpo_sequential", "qwen3_8b_sft")


def recipe(name: str) -> Path:
    return RECIPES / f"{name}.yaml"


def test_rl() -> None:
    job = job_of(recipe("qwen3_8b_p_grpo"), ["actor_rollout_ref.model.path=here"], 1)
    assert job is not None
    assert (job.framework, job.nodes, job.gpus_per_node, job.model) == ("verl", 1, 8, "here")
    row = 2048 + 2 * 38912
    assert job.training == Training(8, State(4, 4, 8, 8, 8, 8), row, row, True, False, FUSED_CHUNK, False)
    assert job.rollout == Rollout(8, 1, 0.6, 40960, 1024, 38912, 3600.0, True, True, True)


def test_sft() -> None:
    job = job_of(recipe("qwen3_8b_sft"), ["trainer.nnodes=2"], 1)
    assert job is not None and job.rollout is None
    assert job.training == Training(16, State(4, 4, 8, 16, 16, 16), 81920, 81920, True, False, FUSED_CHUNK)


def test_settings_on_top_of_a_recipe() -> None:
    job = job_of(
        recipe("qwen3_8b_p_grpo"),
        [
            f"{FSDP}.param_offload=true",
            f"{FSDP}.optimizer_offload=true",
            f"{FSDP}.fsdp_size=1",
            "actor_rollout_ref.actor.use_dynamic_bsz=true",
            "actor_rollout_ref.actor.ppo_max_token_len_per_gpu=90000",
            "actor_rollout_ref.actor.use_kl_loss=true",
            "actor_rollout_ref.model.use_fused_kernels=false",
            "actor_rollout_ref.rollout.tensor_model_parallel_size=2",
        ],
        1,
    )
    assert job is not None and job.rollout is not None
    assert (job.training.at_once, job.training.chunk, job.training.reference) == (90000, None, True)
    assert job.training.state == State(4, 4, 8, 1, 1, 1)
    assert (job.rollout.engines, job.rollout.state_stays) == (4, False)


@pytest.mark.parametrize("name", SEQUENCE)
def test_a_recipe_fits_a_node_of_eight(name: str) -> None:
    job = job_of(recipe(name), [], 8)
    assert job is not None
    found = plan(job, config_of("Qwen3-8B"), Cluster(GPUS["h100"], job.gpus_per_node, job.nodes))
    assert found.problems == ()


def test_a_remedy_is_a_setting_that_verl_has() -> None:
    """On half of the GPUs; the first that helps is composed by Hydra and fits."""
    fewer = ["trainer.n_gpus_per_node=2"]
    job = job_of(recipe("qwen3_8b_p_grpo"), fewer, 8)
    assert job is not None
    config, cluster = config_of("Qwen3-8B"), Cluster(GPUS["h100"], 2)
    found = plan(job, config, cluster)
    assert found.problems and found.remedies
    mended = job_of(recipe("qwen3_8b_p_grpo"), [*fewer, *found.remedies[0].split()], 8)
    assert mended is not None and plan(mended, config, cluster).fits


def test_what_is_no_recipe(tmp_path: Path) -> None:
    assert job_of(tmp_path / "train.sh", [], 8) is None
    with pytest.raises(PlanError, match="mend the recipe or the setting"):
        job_of(recipe("qwen3_8b_p_grpo"), ["no.such.key=1"], 8)
    with pytest.raises(PlanError, match="does not use ThreadWeaver: add threadweaver_rl"):
        off = ("algorithm.adv_estimator=grpo", "reward.custom_reward_function.path=null")
        loop = "actor_rollout_ref.rollout.agent.default_agent_loop=single_turn_agent"
        job_of(recipe("qwen3_8b_p_grpo"), [*off, loop, "actor_rollout_ref.rollout.custom=null"], 8)
