"""ThreadWeaver's flags, `--tw.*`: parsed before upstream's, handed to every process.

Most are the core's settings (`rollout.settings`, `reward.settings`, `sft.settings`); here are those that only
OpenRLHF needs, and how all of them become flags.

OpenRLHF's parsers live in the `__main__` blocks of its commands and reject what they do not know, so the
launchers take our flags off the command line first. Ray actors read them from an environment variable, which
is also how `--train.agent_func_path` with upstream's own command is configured.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Self

from tw_plugins.datasets.settings import PromptSettings
from tw_plugins.reward import RewardSettings
from tw_plugins.rollout import RolloutSettings
from tw_plugins.settings import Setting, Settings, SettingsError, declared, setting
from tw_plugins.sft import settings as sft

__all__ = [
    "ENVIRONMENT",
    "METRICS",
    "PREFIX",
    "Common",
    "RLSettings",
    "SFTSettings",
    "SettingsError",
    "append_metrics",
]

PREFIX = "tw."
ENVIRONMENT = "THREADWEAVER_OPENRLHF"
METRICS = "threadweaver"
"""What our metrics begin with, as on verl."""


@dataclass(frozen=True)
class Common(Settings):
    """Flags of both commands."""

    PREFIX = f"--{PREFIX}"

    metrics_file: str | None = setting(None, "append one JSON line per step, {'step': …, 'data': {…}}, here")
    fp32: bool = setting(False, "float32 parameters, in vLLM too (upstream has bf16 and fp16 only)")
    logits_chunk: int = setting(
        1024, "tokens whose logits are in memory at once (0: of the whole batch, as upstream)", least=0
    )

    @classmethod
    def parser(cls) -> argparse.ArgumentParser:
        """Knows `--tw.*` only; leaves everything else alone."""
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS)
        group = parser.add_argument_group("ThreadWeaver")
        for flag in declared(cls).values():
            _add(group, flag)
        return parser

    @classmethod
    def from_environment(cls) -> Self:
        """What the launcher handed on; the defaults where there was none.

        Raises:
            SettingsError: the variable does not hold a JSON object of known flags.
        """
        with _handed_on() as given:
            return cls(**given)

    @staticmethod
    def shared() -> Common:
        """What the launcher handed on of the flags that both commands have.

        Raises:
            SettingsError: as `from_environment`.
        """
        with _handed_on() as given:
            return Common(**{name: given[name] for name in declared(Common) if name in given})

    def to_environment(self) -> dict[str, str]:
        """The variable for `from_environment`; only what differs from the defaults."""
        changed = {
            flag.name: value for flag in fields(self) if (value := getattr(self, flag.name)) != flag.default
        }
        return {ENVIRONMENT: json.dumps(changed)}


@dataclass(frozen=True)
class RLSettings(PromptSettings, RewardSettings, RolloutSettings, Common):
    """Flags of `train_ppo_ray`: the rollout's settings and the reward's, the paper's by default."""

    bypass_mode: bool = setting(
        False,
        "the rollout's log-probs in the place of the actor's, without a second forward; see recompute_every",
    )
    rollouts_dir: str | None = setting(
        None, "write each step's trajectories here, one file a step, for `threadweaver view trajectories`"
    )
    vllm_args: str = setting(
        "{}", "JSON object of further vLLM engine arguments, e.g. '{\"block_size\": 32}'"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.engine_args()

    def reward(self) -> dict[str, Any]:
        """Settings of the reward, as `tw_plugins.reward.compute_score` takes them."""
        return {name: getattr(self, name) for name in declared(RewardSettings)}

    def engine_args(self) -> dict[str, Any]:
        """`--tw.vllm_args` as keyword arguments.

        Raises:
            SettingsError: not a JSON object.
        """
        try:
            given = json.loads(self.vllm_args)
        except ValueError as error:
            raise SettingsError(
                f"--{PREFIX}vllm_args {self.vllm_args!r} is not JSON: {error}. Write an object."
            ) from error
        if not isinstance(given, dict):
            raise SettingsError(f"--{PREFIX}vllm_args {self.vllm_args!r} is not a JSON object: write one")
        return given


@dataclass(frozen=True)
class SFTSettings(sft.SFTSettings, Common):
    """Flags of `train_sft`."""


@contextmanager
def _handed_on() -> Iterator[dict[str, Any]]:
    text = os.environ.get(ENVIRONMENT, "{}")
    try:
        yield json.loads(text)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{ENVIRONMENT}={text!r}: {error}") from error


def append_metrics(path: str | Path, step: int, data: Mapping[str, Any]) -> None:
    """One line of the metrics file; numbers only, the format of verl's file logger."""
    numbers = {name: float(value) for name, value in data.items() if isinstance(value, int | float)}
    with Path(path).open("a") as file:
        file.write(json.dumps({"step": step, "data": numbers}) + "\n")


def _add(group: Any, flag: Setting) -> None:
    name = f"--{PREFIX}{flag.name}"
    shared = {"dest": flag.name, "default": flag.default}
    if bool in flag.kinds:
        group.add_argument(name, help=flag.text, action=argparse.BooleanOptionalAction, **shared)
        return
    kind = next((part for part in flag.kinds if part in (int, float)), str)
    shown = flag.text if flag.default is None else f"{flag.text} (default: {flag.default})"
    group.add_argument(name, type=kind, choices=flag.choices, help=shown.replace("%", "%%"), **shared)
