"""Recipes of verl in the planner's words, and that the 8B ones fit the hardware that they are written for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.verl.configs import RECIPES, RL, SFT
from tw_plugins.planning import GPUS, Cluster, PlanError, Rollout, State, Training, config_of, plan
from verl_ext.planner import FSDP, FUSED_CHUNK, job_of

WRITTEN_FOR = {
    "qwen3_0.6b_p_grpo_1x24gib": ("Qwen3-0.6B", "rtx4090"),
    "qwen3_1.7b_p_grpo_1x80gib": ("Qwen3-1.7B", "h100"),
    "qwen3_8b_p_grpo": ("Qwen3-8B", "h100"),
    "qwen3_8b_grpo_sequential": ("Qwen3-8B", "h100"),
    "qwen3_8b_p_grpo_2x8x80gib": ("Qwen3-8B", "h100"),
    "qwen3_8b_p_grpo_separate_async_2x8x80gib": ("Qwen3-8B", "h100"),
    "qwen3_8b_sft": ("Qwen3-8B", "h100"),
}
"""Model and card of each recipe but the toy's."""


def recipe(name: str) -> Path:
    return RECIPES / f"{name}.yaml"


def test_rl() -> None:
    job = job_of(recipe("qwen3_8b_p_grpo"), ["actor_rollout_ref.model.path=here"], 1)
    assert job is not None
    assert (job.framework, job.nodes, job.gpus_per_node, job.model) == ("verl", 1, 8, "here")
    row = 2048 + 2 * 38912
    state = State(4, 4, 8, 8, 8, 8)
    assert job.training == Training(8, state, row, 81920, True, False, FUSED_CHUNK, False)
    assert job.rollout == Rollout(8, 1, 0.8, 40960, 1024, 38912, 14400.0, True, True, False, workers=8)


def test_a_rollout_pool_has_gpus_of_its_own() -> None:
    name = "qwen3_8b_p_grpo_separate_async_2x8x80gib"
    for hybrid in (False, True):
        setting = f"actor_rollout_ref.hybrid_engine={hybrid}"
        job = job_of(recipe(name), [setting, "actor_rollout_ref.rollout.n_gpus_per_node=4"], 1)
        assert job is not None and job.rollout is not None
        assert (job.nodes, job.training.gpus, job.rollout.gpus, job.rollout.colocated) == (2, 8, 4, hybrid)


def test_sft() -> None:
    job = job_of(recipe("qwen3_8b_sft"), ["trainer.nnodes=2"], 1)
    assert job is not None and job.rollout is None
    assert job.training == Training(16, State(4, 4, 8, 16, 16, 16), 81920, 81920, True, False, FUSED_CHUNK)


def test_settings_on_top_of_a_recipe() -> None:
    job = job_of(
        recipe("qwen3_8b_p_grpo"),
        [
            f"{FSDP}.param_offload=false",
            f"{FSDP}.fsdp_size=1",
            "actor_rollout_ref.actor.use_dynamic_bsz=false",
            "actor_rollout_ref.actor.ppo_micro_batch_size_per_gpu=2",
            "actor_rollout_ref.actor.use_kl_loss=true",
            "actor_rollout_ref.model.use_fused_kernels=false",
            "actor_rollout_ref.rollout.tensor_model_parallel_size=2",
        ],
        1,
    )
    assert job is not None and job.rollout is not None
    at_once = 2 * job.training.row_tokens
    assert (job.training.at_once, job.training.chunk, job.training.reference) == (at_once, None, True)
    assert job.training.state == State(4, 4, 8, 1, 1, 1)
    assert (job.rollout.engines, job.rollout.state_stays) == (4, True)


@pytest.mark.parametrize(
    ("name", "part", "fixed", "place"),
    [
        ("qwen3_8b_p_grpo", "actor_rollout_ref.actor", "ppo_micro_batch_size_per_gpu=1", FSDP),
        ("qwen3_8b_sft", "data", "micro_batch_size_per_gpu=1", "engine"),
    ],
)
def test_of_a_row_split_over_ranks_each_has_its_part(name: str, part: str, fixed: str, place: str) -> None:
    settings = [f"{part}.use_dynamic_bsz=false", f"{part}.{fixed}"]
    split = [*settings, f"{place}.ulysses_sequence_parallel_size=4"]
    jobs = [job_of(recipe(name), given, 1) for given in (settings, split)]
    whole, shared = [job.training for job in jobs if job]
    assert (whole.at_once, shared.row_tokens) == (whole.row_tokens, whole.row_tokens)
    assert 4 * shared.at_once == whole.at_once


@pytest.mark.parametrize("name", WRITTEN_FOR)
def test_a_recipe_fits_what_it_is_written_for(name: str) -> None:
    model, gpu = WRITTEN_FOR[name]
    job = job_of(recipe(name), [], 8)
    assert job is not None
    found = plan(job, config_of(model), Cluster(GPUS[gpu], job.gpus_per_node, job.nodes))
    assert found.problems == ()
    assert found.rollout is None or found.rollout.at_once >= 8


def test_every_recipe_is_planned() -> None:
    runs = {name for name in (*RL, *SFT) if not name.startswith("toy")}
    assert runs == set(WRITTEN_FOR)


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
