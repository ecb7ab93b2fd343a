"""verl's commands of a pipeline: what Hydra composes of them, with an accelerator and without."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir
from typer.testing import CliRunner

import tests.support.verl.configs  # noqa: F401  (its import of verl tells Hydra of threadweaver_rl)
from recipes.quickstart import plan as quickstart
from tests.support.root import ROOT
from tw_plugins.cli.app import app
from tw_plugins.cli.pipeline import read_plan
from tw_plugins.pipeline.errors import PipelineError
from tw_plugins.pipeline.jobs import Job
from tw_plugins.pipeline.plan import Plan
from tw_plugins.pipeline.trainers import Training
from verl_ext.pipeline import TRAINER

RUN = Path("/run")
QWEN = ROOT / "recipes" / "pipelines" / "qwen3_8b_verl.yaml"
SMOLLM2 = ROOT / "recipes" / "smollm2" / "smollm2.yaml"


def composed(job: Job) -> Any:
    """What verl's trainer makes of a command's arguments."""
    path, folder, name, config, *overrides = job.command[job.command.index("--config-path") :]
    assert (path, name) == ("--config-path", "--config-name")
    with initialize_config_dir(folder, version_base=None):
        return compose(config, overrides)


def trainings(plan: Plan) -> dict[str, Job]:
    return {training.name: trained.jobs[0] for training, trained in plan.trainings}


@pytest.fixture(params=[True, False], ids=["accelerator", "none"])
def accelerator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    monkeypatch.setattr(quickstart, "has_accelerator", lambda: request.param)
    return bool(request.param)


@pytest.mark.parametrize("name", ["SFT with threads", "P-GRPO, fork-join"])
def test_the_quickstart_asks_for_the_cpu_where_there_is_nothing_better(accelerator: bool, name: str) -> None:
    found = trainings(quickstart.plan_of("verl", RUN))[name]
    assert found.env.get("VERL_PLATFORM") == (None if accelerator else "cpu")
    config = composed(found)
    assert config.trainer.device == ("cuda" if accelerator else "cpu")
    if name.startswith("P-GRPO"):
        workers = config.ray_kwargs.ray_init.runtime_env.get("env_vars")
        assert workers == (None if accelerator else {"VERL_PLATFORM": "cpu"})
        extension = config.actor_rollout_ref.rollout.engine_kwargs.vllm.get("worker_extension_cls")
        assert (extension is None) == accelerator


@pytest.mark.parametrize("chosen", ["nvidia", "CPU"])
def test_verls_own_variable_is_obeyed(
    accelerator: bool, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERL_PLATFORM", chosen)
    arguments = trainings(quickstart.plan_of("verl", RUN))["SFT with threads"].command
    assert ("trainer.device=cuda" in arguments) == (chosen == "nvidia")


def test_the_baseline_differs_as_its_recipe_does() -> None:
    jobs = trainings(quickstart.plan_of("verl", RUN))
    own, baseline = composed(jobs["P-GRPO, fork-join"]), composed(jobs["GRPO, sequential"])
    kwargs = [config.reward.custom_reward_function.reward_kwargs for config in (own, baseline)]
    assert [each.acceleration for each in kwargs] == ["eta", "none"]
    assert own.data.train_files == baseline.data.train_files and own.actor_rollout_ref.rollout.n == 8


def test_every_command_of_qwen3_8b_composes() -> None:
    jobs = trainings(read_plan(QWEN, RUN, {}))
    assert len(jobs) == 4
    for name, job in jobs.items():
        config = composed(job)
        model = config.actor_rollout_ref.model.path if "GRPO" in name else config.model.path
        assert model.startswith(str(RUN)) and config.trainer.n_gpus_per_node == 8
    assert composed(jobs["SFT on own samples"]).trainer.total_epochs == 1
    assert composed(jobs["P-GRPO, fork-join"]).trainer.total_training_steps == 350


def test_every_command_of_smollm2_composes() -> None:
    configs = {name: composed(job) for name, job in trainings(read_plan(SMOLLM2, RUN, {})).items()}
    assert len(configs) == 4
    rl = configs["P-GRPO, fork-join"].actor_rollout_ref.rollout
    assert rl.checkpoint_engine.update_weights_bucket_megabytes * 2**20 > 49216 * 576 * 4, "its embedding"
    assert configs["SFT with threads"].data.max_length >= 545, "its longest row"


def test_plan_takes_it() -> None:
    done = CliRunner().invoke(app, ["plan", str(QWEN)])
    assert done.exit_code == 0 and done.output.count("it fits") == 2, done.output


def given(recipe: str, **changed: Any) -> Training:
    made = Training("t", RUN, ROOT / "recipes" / "verl" / recipe, "my model", "a,b={c}.parquet", "v.jsonl")
    return replace(made, **changed)


def test_hydra_reads_names_as_they_are() -> None:
    config = composed(TRAINER.rl(given("toy_p_grpo.yaml", verifier="my verifier.py:verify")).jobs[0])
    assert (config.actor_rollout_ref.model.path, config.data.train_files) == ("my model", "a,b={c}.parquet")
    assert config.reward.custom_reward_function.reward_kwargs.verifier == "my verifier.py:verify"


def test_rl_wants_data_to_validate_on() -> None:
    with pytest.raises(PipelineError, match=r"give rl\.validation"):
        TRAINER.rl(given("toy_p_grpo.yaml", validation=None))


@pytest.mark.parametrize(
    ("changed", "started"),
    [
        ({"device": "cpu"}, ["-m", "verl.trainer.sft_trainer"]),
        ({"gpus": 1}, ["-m", "verl.trainer.sft_trainer"]),
        ({"gpus": 8}, ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=8"]),
        ({}, ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=gpu"]),
    ],
)
def test_sft_has_a_process_for_each_gpu(changed: dict[str, Any], started: list[str]) -> None:
    job = TRAINER.sft(given("toy_sft.yaml", **changed)).jobs[0]
    assert job.command[1 : 1 + len(started)] == started
    assert ("RANK" in job.env) == (len(started) == 2)


def test_without_a_number_of_steps_the_last_checkpoints_model_is_linked(tmp_path: Path) -> None:
    from tests.support.jobs import quiet_bars
    from tw_plugins.pipeline.jobs import run_side_by_side

    folder = tmp_path / "with spaces"
    trained = TRAINER.sft(given("toy_sft.yaml", folder=folder))
    model = folder / "checkpoints" / "global_step_12" / "huggingface"
    model.mkdir(parents=True)
    (folder / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("12")
    run_side_by_side(trained.jobs[1:], quiet_bars())
    assert trained.model.resolve() == model
    assert TRAINER.sft(given("toy_sft.yaml", steps=3)).model.parts[-2:] == ("global_step_3", "huggingface")


def test_a_recipe_stands_on_those_that_it_names(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "recipes" / "verl", tmp_path, dirs_exist_ok=True)
    files = TRAINER.files(tmp_path / "qwen3_8b_p_grpo.yaml")
    assert [file.name for file in files] == ["qwen3_8b_p_grpo.yaml", "qwen3_8b_rl.yaml"]
