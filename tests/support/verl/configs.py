"""The recipes, composed by Hydra against the installed verl exactly as its trainers compose them."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import verl  # noqa: F401  (its plug-ins tell Hydra of threadweaver_rl)
import yaml
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from omegaconf import OmegaConf

from tests.support.root import ROOT

RECIPES = ROOT / "recipes" / "verl"
RL = (
    "toy_p_grpo",
    "toy_p_grpo_separate_async",
    "toy_grpo_sequential",
    "qwen3_0.6b_p_grpo_1x24gib",
    "qwen3_1.7b_p_grpo_1x80gib",
    "qwen3_8b_p_grpo",
    "qwen3_8b_grpo_sequential",
    "qwen3_8b_p_grpo_2x8x80gib",
    "qwen3_8b_p_grpo_separate_async_2x8x80gib",
)
SFT = ("toy_sft", "qwen3_8b_sft")


def compose(name: str, *settings: str) -> Any:
    """The recipe ``name`` as a DictConfig, with ``key=value`` settings on top."""
    config = deepcopy(_composed(name))
    for setting in settings:
        key, _, value = setting.partition("=")
        OmegaConf.update(config, key, yaml.safe_load(value), force_add=True)
    return config


@cache  # a second each
def _composed(name: str) -> Any:
    with initialize_config_dir(str(RECIPES), version_base=None):
        return hydra_compose(name)


def rl_config(toy: Mapping[str, Path], *settings: str, name: str = "toy_p_grpo") -> Any:
    """An RL recipe on the toy's files."""
    return compose(name, *rl_files(toy), *settings)


def sft_config(toy: Mapping[str, Path], *settings: str, name: str = "toy_sft") -> Any:
    """An SFT recipe on the toy's files."""
    return compose(name, f"model.path={toy['model']}", f"data.train_files={toy['sft']}", *settings)


def rl_files(toy: Mapping[str, Path]) -> list[str]:
    """Overrides that fill in the ``???`` of an RL recipe."""
    return [
        f"actor_rollout_ref.model.path={toy['model']}",
        f"data.train_files={toy['rl']}",
        f"data.val_files={toy['eval']}",
    ]
