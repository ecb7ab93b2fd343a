"""Scripts of OpenRLHF in the planner's words, by upstream's defaults, and that the 8B ones fit."""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from openrlhf_ext import planner
from openrlhf_ext.planner import job_of
from tests.support.openrlhf.flags import RECIPES, namespace
from tw_plugins.planning import GPUS, Cluster, Rollout, State, Training, config_of, plan

PAPER = ("train_qwen3_8b_p_grpo.sh", "train_qwen3_8b_sft.sh")


def test_rl() -> None:
    job = job_of(RECIPES / "train_qwen3_8b_p_grpo.sh", ["--actor.model_name_or_path here"], 1)
    assert job is not None
    assert (job.framework, job.nodes, job.gpus_per_node, job.model) == ("OpenRLHF", 1, 8, "here")
    row = 40960 + 38912
    assert job.training == Training(8, State(2, 2, 12, 8, 8, 8), row, row, True, False, 1024, False)
    assert job.rollout == Rollout(8, 1, 0.8, 40960, 1024, 38912, 14400.0, True, True, False)


def test_sft_on_the_gpus_that_are_there() -> None:
    job = job_of(RECIPES / "train_qwen3_8b_sft.sh", [], 4)
    assert job is not None and job.rollout is None
    assert job.training == Training(4, State(2, 2, 12, 4, 4, 4), 81920, 81920, True, False, 1024)


def test_flags_on_top_of_a_script() -> None:
    flags = "--actor.num_gpus_per_node 4 --vllm.num_engines 4 --ds.zero_stage 2 --ds.adam_offload"
    job = job_of(RECIPES / "train_qwen3_8b_p_grpo.sh", [flags, "--algo.kl.init_coef 0.1"], 8)
    assert job is not None and job.rollout is not None
    assert (job.gpus_per_node, job.training.reference) == (4, True)
    assert job.training.state == State(2, 2, 12, 1, 4, 4, optimizer_offloaded=True)
    toy = job_of(RECIPES / "train_toy_p_grpo.sh", [], 8)
    assert toy is not None and toy.rollout is not None
    assert (toy.gpus_per_node, toy.rollout.colocated, toy.rollout.sleeps) == (2, False, False)


def test_of_a_row_split_over_ranks_each_has_its_part() -> None:
    for script in ("train_qwen3_8b_p_grpo.sh", "train_qwen3_8b_sft.sh"):
        whole, split = (job_of(RECIPES / script, flags, 8) for flags in ([], ["--ds.ring_attn_size 4"]))
        assert whole is not None and split is not None
        assert 4 * split.training.at_once == whole.training.at_once
    dynamic = ["--ds.ring_attn_size 4 --train.dynamic_batch_enable --train.max_tokens_per_gpu 1"]
    job = job_of(RECIPES / "train_qwen3_8b_p_grpo.sh", dynamic, 8)
    assert job is not None and 4 * job.training.at_once == job.training.row_tokens


@pytest.mark.parametrize("script", PAPER)
def test_a_recipe_fits_a_node_of_eight(script: str) -> None:
    job = job_of(RECIPES / script, [], 8)
    assert job is not None
    found = plan(job, config_of("Qwen3-8B"), Cluster(GPUS["h100"], job.gpus_per_node, job.nodes))
    assert found.problems == ()


def test_the_defaults_are_upstreams() -> None:
    """Of every flag that is declared here."""
    for flags, module, more in (
        (planner.RL, "openrlhf.cli.train_ppo_ray", ("--train.agent_func_path", "agent.py")),
        (planner.SFT, "openrlhf.cli.train_sft", ()),
    ):
        upstreams: Any = namespace(module, *more)
        for flag, default in flags.items():
            assert attrgetter(flag.removeprefix("--"))(upstreams) == default, flag


def test_a_script_with_several_arrays() -> None:
    """The kit's for OpenRLHF's examples; upstream's own scripts are written so."""
    script = "train_threadweaver_p_grpo.sh"
    job = job_of(RECIPES.parent / "upstream/openrlhf/examples/scripts" / script, [], 8)
    assert job is not None and job.rollout is not None
    assert (job.gpus_per_node, job.training.gpus, job.rollout.colocated) == (8, 8, True)


def test_another_file_is_another_frameworks(tmp_path: Path) -> None:
    assert job_of(tmp_path / "recipe.yaml", [], 8) is None
