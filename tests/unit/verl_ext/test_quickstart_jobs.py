"""The quickstart's commands of verl: what they compose to, with an accelerator and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

import tests.support.verl.configs  # noqa: F401  (its import of verl tells Hydra of threadweaver_rl)
from recipes.quickstart import verl_jobs
from recipes.quickstart.settings import FAST
from tw_plugins.pipeline.jobs import Job

STAGES = ("sft", "rl")


def job(stage: str, folder: Path) -> Job:
    files = folder / "model", folder / "data.parquet"
    if stage == "sft":
        return verl_jobs.sft_job("SFT", folder, *files, FAST)
    return verl_jobs.rl_job("RL", folder, False, *files, folder / "held_out.parquet", FAST)


def composed(command: Any) -> Any:
    """What verl's trainer makes of a command's arguments."""
    path, folder, name, config, *overrides = command[3:]
    assert (path, name) == ("--config-path", "--config-name")
    with initialize_config_dir(folder, version_base=None):
        return compose(config, overrides)


@pytest.fixture(params=[True, False], ids=["accelerator", "none"])
def accelerator(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.delenv("VERL_PLATFORM", raising=False)
    monkeypatch.setattr(verl_jobs, "has_accelerator", lambda: request.param)
    return bool(request.param)


@pytest.mark.parametrize("stage", STAGES)
def test_the_cpu_is_asked_for_where_there_is_nothing_better(
    accelerator: bool, stage: str, tmp_path: Path
) -> None:
    found = job(stage, tmp_path)
    assert found.env.get("VERL_PLATFORM") == (None if accelerator else "cpu")
    config = composed(found.command)
    assert config.trainer.device == ("cuda" if accelerator else "cpu")
    if stage == "rl":
        workers = config.ray_kwargs.ray_init.runtime_env.get("env_vars")
        assert workers == (None if accelerator else {"VERL_PLATFORM": "cpu"})
        extension = config.actor_rollout_ref.rollout.engine_kwargs.vllm.get("worker_extension_cls")
        assert (extension is None) == accelerator


@pytest.mark.parametrize("chosen", ["nvidia", "CPU"])
def test_verls_own_variable_is_obeyed(
    accelerator: bool, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VERL_PLATFORM", chosen)
    arguments = job("sft", tmp_path).command
    assert ("trainer.device=cuda" in arguments) == (chosen == "nvidia")
