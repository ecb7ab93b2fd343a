"""ThreadWeaver's settings inside a verl config: `actor_rollout_ref.rollout.custom.threadweaver`.

`rollout.custom` is verl's own "extension point for custom configurations" (`workers/config/rollout.py`), so
every setting can be given in a recipe's YAML or on the command line:

    ++actor_rollout_ref.rollout.custom.threadweaver.max_threads=8

They are declared in the core (`rollout.settings`, `reward.settings`, `sft.settings`); here is what verl alone
can do, and where they stand in its config.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from tw_plugins.datasets.settings import PromptSettings
from tw_plugins.reward import RewardSettings
from tw_plugins.rollout import Limits, RolloutSettings
from tw_plugins.settings import SettingsError, section, setting
from tw_plugins.verifiers.names import ALLOWED, MATH, check_name

__all__ = [
    "KEY",
    "OUR_REWARD",
    "PASTED",
    "REWARD_KEY",
    "Prompts",
    "RewardKwargs",
    "Settings",
    "SettingsError",
    "prompt_settings",
    "reward_is_ours",
    "reward_settings",
    "settings_from",
]

KEY = "actor_rollout_ref.rollout.custom.threadweaver"
PASTED = f"++{KEY}"
"""On a command line: Hydra adds what is not there yet, as in configs without our group, or overrides it."""
OUR_REWARD = "tw_plugins.reward"
REWARD_KEY = "reward.custom_reward_function.reward_kwargs"


@dataclass(frozen=True)
class Settings(RolloutSettings):
    """All settings of the rollout."""

    PREFIX = f"{KEY}."

    layout: Literal["trie", "rows"] = setting(
        "trie",
        "trie: one row per trajectory; rows: one row per request, for engines without mask support (with "
        "adv_estimator=grpo)",
    )
    request_ids: Literal["trajectory", "thread"] = setting(
        "trajectory",
        "trajectory: one request id, so that every thread finds the prefix cache of its parent; thread: one "
        "for each thread, which spreads them over the replicas",
    )

    def limits(self, room: int) -> Limits:
        """The state machine's limits when `data.max_response_length` is `room`.

        A `max_tokens` above it counts: verl's rows are as long as they are.

        Raises:
            SettingsError: limits that contradict each other.
        """
        return super().limits(room if self.max_tokens is None else self.max_tokens)


class RewardKwargs(RewardSettings):
    """The reward's settings by their names in verl's config."""

    PREFIX = f"{REWARD_KEY}."


@dataclass(frozen=True)
class Prompts(PromptSettings):
    """Of `verl_ext.prompts.PromptDataset`; the prompt's column is verl's own `data.prompt_key`."""

    PREFIX = "data.threadweaver."

    answer_key: str | None = setting(
        None, "column of the reference answers; `null` takes the first usual name"
    )
    split: str = setting("train", "of folders and of data sets of the hub")
    verifier: str = setting(
        MATH,
        "the reward's, which says what a reference may be; threadweaver_rl takes it from there",
        check=check_name,
        allowed=ALLOWED,
    )


def prompt_settings(data: Any) -> Prompts:
    """Out of verl's `data` section.

    Raises:
        SettingsError: an unknown key or a value that is not allowed.
    """
    return Prompts.read(section(data.get("threadweaver"), "data.threadweaver", "strict=true"))


def settings_from(config: Any) -> Settings:
    """Read the settings out of a whole verl config (a DictConfig or a mapping).

    Raises:
        SettingsError: an unknown key or a value that is not allowed.
    """
    custom = section(config.actor_rollout_ref.rollout.get("custom"), KEY.rpartition(".")[0], "threadweaver")
    return Settings.read(section(custom.get("threadweaver"), KEY, "max_threads=8"))


def reward_is_ours(path: str | None) -> bool:
    """Whether `reward.custom_reward_function.path` is our module, as a package or as a file."""
    return str(path).endswith((OUR_REWARD, "tw_plugins/reward", "tw_plugins/reward/__init__.py"))


def reward_settings(config: Any) -> RewardSettings | None:
    """Settings of our reward function; None where the run has another, whose settings are its own business.

    Raises:
        SettingsError: a setting that `RewardSettings` does not have, or a value that is not allowed.
    """
    function = config.reward.custom_reward_function
    if not reward_is_ours(function.get("path")):
        return None
    return RewardKwargs.read(section(function.get("reward_kwargs"), REWARD_KEY, "rho=0.5"))
