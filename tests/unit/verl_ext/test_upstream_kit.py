"""The folder for verl-recipe: complete, and it composes against the installed verl."""

from __future__ import annotations

import importlib.metadata
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from verl.utils.config import omega_conf_to_dataclass

from tests.support.kits import check_scripts, copy_kit, recorded
from tests.support.verl.configs import RECIPES, rl_config, sft_config
from verl_ext import preflight

KIT = "verl-recipe/threadweaver"
SCRIPT = "run_threadweaver_qwen3_8b.sh"
Toy = dict[str, Path]


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    return copy_kit(KIT, tmp_path / "kit")


def composed(kit: Path, cwd: Path, stage: str, *arguments: str, **env: str) -> Any:
    """What verl is told by the script: its arguments, composed as its trainers compose them."""
    command = "torchrun" if stage == "sft" else "python3"
    found = recorded(kit / SCRIPT, command, stage, *arguments, cwd=cwd, **env)
    module = found.index("-m")
    assert found[module + 1] == ("verl.trainer.sft_trainer" if stage == "sft" else "verl.trainer.main_ppo")
    path, folder, name, config, *overrides = found[module + 2 :]
    assert (path, name) == ("--config-path", "--config-name")
    with initialize_config_dir(folder, version_base=None):
        return compose(config, overrides)


def variables(toy: Toy, config: str = "qwen3_8b") -> dict[str, str]:
    files = {"MODEL": toy["model"], "TRAIN_FILES": toy["rl"], "VAL_FILES": toy["eval"]}
    return {name: str(path) for name, path in files.items()} | {"CONFIG": config}


def test_the_folder_has_what_upstream_asks_for(kit: Path) -> None:
    assert {path.suffix for path in kit.rglob("*") if path.is_file()} == {".md", ".txt", ".yaml", ".sh"}
    required = (kit / "REQUIRED_VERL.txt").read_text().splitlines()
    fields = dict(line.split("=", 1) for line in required if not line.startswith("#"))
    version = importlib.metadata.version("verl")
    assert (fields["MODE"], fields["TAG"]) == ("pinned_tag", f"v{version}")
    assert fields["PIP_INSTALL"] == f"pip install verl=={version}"
    assert re.fullmatch("[0-9a-f]{40}", fields["COMMIT"])  # install_verl.sh checks it out
    assert not any("veRL" in path.read_text() for path in kit.rglob("*") if path.is_file())  # pre-commit
    readme = (kit / "README.md").read_text()
    assert "## Required `verl` version" in readme and "(REQUIRED_VERL.txt)" in readme
    for file in (*kit.rglob("*.sh"), *(kit / "config").iterdir()):
        assert file.name in readme or f"{file.stem.rpartition('_')[0]}_{{sft,rl}}.yaml" in readme, file


def test_scripts_parse(kit: Path) -> None:
    check_scripts(kit)


@pytest.mark.parametrize("config", ["qwen3_8b", "smoke"])
def test_rl_becomes_verls_configs(kit: Path, tmp_path: Path, toy: Toy, config: str) -> None:
    found = composed(kit, tmp_path, "rl", **variables(toy, config), CKPTS_DIR="/ckpts", NNODES="2")
    OmegaConf.resolve(found)
    preflight.check(found)
    assert omega_conf_to_dataclass(found.algorithm).adv_estimator == "p_grpo"
    assert (found.trainer.default_local_dir, found.trainer.nnodes) == ("/ckpts/rl", 2)
    assert found.actor_rollout_ref.rollout.agent.default_agent_loop == "threadweaver"


@pytest.mark.parametrize("config", ["qwen3_8b", "smoke"])
def test_sft_becomes_verls_configs(kit: Path, tmp_path: Path, toy: Toy, config: str) -> None:
    found = composed(kit, tmp_path, "sft", **variables(toy, config), CKPTS_DIR="/ckpts")
    OmegaConf.resolve(found)
    assert omega_conf_to_dataclass(found.engine).strategy == "fsdp2"
    assert found.data.custom_cls.path == "pkg://tw_plugins.sft"
    assert found.trainer.default_local_dir == "/ckpts/sft"


def test_the_qwen3_configs_are_our_recipes(kit: Path, tmp_path: Path, toy: Toy) -> None:
    """The kit adds nothing to the paper's settings and leaves none out."""
    ours = {
        "rl": rl_config(toy, name="qwen3_8b_p_grpo"),
        "sft": sft_config(toy, f"data.train_files={toy['rl']}", name="qwen3_8b_sft"),
    }
    for stage, recipe in ours.items():
        found = composed(kit, tmp_path, stage, **variables(toy))
        for config in (found, recipe):
            config.trainer.default_local_dir = None
            OmegaConf.resolve(config)
        assert found == recipe


def test_overrides_follow_the_stage(kit: Path, tmp_path: Path, toy: Toy) -> None:
    """The README's sequential baseline is our recipe's."""
    custom = "actor_rollout_ref.rollout.custom.threadweaver.mode=autoregressive"
    bonus = "reward.custom_reward_function.reward_kwargs.acceleration=none"
    readme = (kit / "README.md").read_text()
    assert custom in readme and bonus in readme
    found = composed(kit, tmp_path, "rl", custom, bonus, **variables(toy))
    baseline = yaml.safe_load((RECIPES / "qwen3_8b_grpo_sequential.yaml").read_text())
    assert found.actor_rollout_ref.rollout.custom.threadweaver.mode == "autoregressive"
    assert baseline["actor_rollout_ref"]["rollout"]["custom"]["threadweaver"]["mode"] == "autoregressive"
    assert found.reward.custom_reward_function.reward_kwargs.acceleration == "none"


def test_what_is_missing_is_said(kit: Path, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="folder of a model that has the control tokens"):
        recorded(kit / SCRIPT, "python3", "rl", cwd=tmp_path)
    with pytest.raises(AssertionError, match="no stage rlhf: sft or rl"):
        recorded(kit / SCRIPT, "python3", "rlhf", cwd=tmp_path, MODEL="m", TRAIN_FILES="t")
