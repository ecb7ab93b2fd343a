"""One line makes a run of verl one of ThreadWeaver's, in a YAML or on the command line."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import pytest
import verl.trainer
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from verl.utils.import_utils import load_extern_object

from tests.support.root import ROOT
from tests.support.verl.configs import rl_files
from tw_plugins.reward import compute_score
from tw_plugins.sft import TrieSFTDataset
from verl_ext import preflight
from verl_ext.config import FOLDER

VERLS = Path(verl.trainer.__file__).parent / "config"
README = ROOT / "README.md"
BASES = {"rl": "ppo_trainer", "sft": "sft_trainer_engine"}
Toy = dict[str, Path]


def composed(folder: Path, name: str, *overrides: str) -> Any:
    with initialize_config_dir(str(folder), version_base=None):
        return compose(name, list(overrides))


def readmes_defaults(stage: str) -> list[str]:
    """What README has pasted into a user's YAML; of SFT its comment says the two names."""
    (block,) = re.findall(
        r"^```yaml\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    defaults: list[str] = yaml.safe_load(block)["defaults"]
    return defaults if stage == "rl" else [*block.partition("SFT: ")[2].strip().split(", "), "_self_"]


def users_file(folder: Path, stage: str) -> Path:
    """The smallest YAML of a user's own, with README's line."""
    mine = {"hydra": {"searchpath": ["pkg://verl.trainer.config"]}, "defaults": readmes_defaults(stage)}
    (folder / "mine.yaml").write_text(yaml.safe_dump(mine))
    return folder


@pytest.mark.parametrize("stage", BASES)
def test_the_yaml_and_the_command_line_give_the_same(tmp_path: Path, stage: str) -> None:
    in_a_file = composed(users_file(tmp_path, stage), "mine")
    on_the_line = composed(VERLS, BASES[stage], f"+threadweaver={stage}")
    assert in_a_file == on_the_line
    assert on_the_line != composed(VERLS, BASES[stage])


@pytest.mark.parametrize("stage", BASES)
def test_everything_in_the_file_arrives(stage: str) -> None:
    """Over verl's own defaults, under the user's own settings."""
    ours = OmegaConf.load(FOLDER / f"threadweaver_{stage}.yaml")
    config = composed(VERLS, BASES[stage], f"+threadweaver={stage}")
    assert OmegaConf.merge(config, ours) == config
    changed = composed(VERLS, BASES[stage], f"+threadweaver={stage}", "trainer.project_name=mine")
    assert changed.trainer.project_name == "mine"


def test_a_run_of_verls_with_the_group_is_one_of_ours(toy: Toy, caplog: pytest.LogCaptureFixture) -> None:
    sizes = ["actor_rollout_ref.rollout.n=8", "data.train_batch_size=16"]
    config = composed(VERLS, "ppo_trainer", "+threadweaver=rl", *rl_files(toy), *sizes)
    assert preflight.uses_threadweaver(config)
    preflight.check(config)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []  # Eq. 4 as it is


def test_verl_finds_what_the_configs_name() -> None:
    rl, sft = (composed(VERLS, base, f"+threadweaver={stage}") for stage, base in BASES.items())
    function = rl.reward.custom_reward_function
    assert load_extern_object(function.path, function.name) is compute_score
    assert load_extern_object(sft.data.custom_cls.path, sft.data.custom_cls.name) is TrieSFTDataset
