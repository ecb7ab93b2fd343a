"""ThreadWeaver's settings inside a verl config: `actor_rollout_ref.rollout.custom.threadweaver`.

`rollout.custom` is verl's own "extension point for custom configurations" (`workers/config/rollout.py`), so
every setting can be given in a recipe's YAML or on the command line:

    +actor_rollout_ref.rollout.custom.threadweaver.max_threads=8
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from tw_plugins.errors import UserError
from tw_plugins.reward import RewardSettings
from tw_plugins.rollout import Limits, Mode
from tw_plugins.rollout.deadline import check_deadline
from tw_plugins.settings import check_fields

Layout = Literal["trie", "rows"]
RequestIds = Literal["trajectory", "thread"]
KEY = "actor_rollout_ref.rollout.custom.threadweaver"
OUR_REWARD = "tw_plugins.reward"
REWARD_KEY = "reward.custom_reward_function.reward_kwargs"


class SettingsError(UserError, ValueError):
    """A setting of ThreadWeaver that cannot work; the message names the key and what to set instead."""


@dataclass(frozen=True)
class Settings:
    """All settings of the rollout, in tokens where they count something.

    Attributes:
        mode: "parallel" forks at every outline; "autoregressive" decodes the same checkpoint as one request
            (P6).
        layout: "trie" returns one row per trajectory, "rows" one row per request (for engines without mask
            support).
        request_ids: "trajectory" keeps one request id, so that every thread finds the prefix cache of its
            parent; "thread" gives each thread its own, which spreads them over the replicas.
        max_tokens: joined response; None takes `data.max_response_length`.
        max_thread_tokens, max_threads, max_blocks, answer_reserve: see `tw_plugins.rollout.Limits`.
        engine_timeout_s: longest that one request, its turn included, or one hand-over of weights may take.
    """

    mode: Mode = "parallel"
    layout: Layout = "trie"
    request_ids: RequestIds = "trajectory"
    max_tokens: int | None = None
    max_thread_tokens: int | None = None
    max_threads: int = 50
    max_blocks: int = 32
    answer_reserve: int | None = None
    engine_timeout_s: float = 3600.0

    def __post_init__(self) -> None:
        try:
            check_fields(self, f"{KEY}.")
            check_deadline(self.engine_timeout_s, f"{KEY}.engine_timeout_s")
        except ValueError as error:
            raise SettingsError(str(error)) from error

    def limits(self, response_length: int) -> Limits:
        """The state machine's limits when the framework allows `response_length` tokens.

        Raises:
            SettingsError: limits that contradict each other.
        """
        try:
            return Limits.of(
                response_length if self.max_tokens is None else self.max_tokens,
                max_thread_tokens=self.max_thread_tokens,
                max_threads=self.max_threads,
                max_blocks=self.max_blocks,
                answer_reserve=self.answer_reserve,
            )
        except ValueError as error:
            raise SettingsError(f"{KEY}: {error}") from error


def settings_from(config: Any) -> Settings:
    """Read the settings out of a whole verl config (a DictConfig or a mapping).

    Raises:
        SettingsError: an unknown key or a value that is not allowed.
    """
    custom = _mapping(config.actor_rollout_ref.rollout.get("custom"), KEY.rpartition(".")[0], "threadweaver")
    given = _mapping(custom.get("threadweaver"), KEY, "max_threads=8")
    known = [field.name for field in fields(Settings)]
    if unknown := sorted(map(str, set(given) - set(known))):
        raise SettingsError(f"{KEY} has no setting {', '.join(unknown)}; the settings are {', '.join(known)}")
    return Settings(**given)


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
    given = _mapping(function.get("reward_kwargs"), REWARD_KEY, "rho=0.5")
    known = [field.name for field in fields(RewardSettings)]
    if unknown := sorted(map(str, set(given) - set(known))):
        raise SettingsError(
            f"{REWARD_KEY} has no setting {', '.join(unknown)}; the settings are {', '.join(known)}"
        )
    try:
        return RewardSettings(**given)
    except ValueError as error:
        raise SettingsError(f"{REWARD_KEY}.{error}") from error


def _mapping(value: Any, key: str, example: str) -> dict[str, Any]:
    """What a section of the config holds; nothing where it is absent."""
    if not isinstance(value, Mapping | None):
        raise SettingsError(f"{key}={value!r}: it must hold settings, e.g. {key}.{example}")
    return dict(value or {})
