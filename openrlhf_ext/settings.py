"""ThreadWeaver's flags, `--tw.*`: declared once, parsed before upstream's, handed to every process.

OpenRLHF's parsers live in the `__main__` blocks of its commands and reject what they do not know, so the
launchers take our flags off the command line first. Ray actors read them from an environment variable, which
is also how `--train.agent_func_path` with upstream's own command is configured.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_type_hints

from tw_plugins.errors import UserError
from tw_plugins.reward import Acceleration, RewardSettings
from tw_plugins.rollout import Limits, Mode
from tw_plugins.rollout.deadline import check_deadline
from tw_plugins.settings import check_fields

PREFIX = "tw."
MODES: tuple[Mode, ...] = get_args(Mode)
ACCELERATIONS: tuple[Acceleration, ...] = get_args(Acceleration)
ENVIRONMENT = "THREADWEAVER_OPENRLHF"
METRICS = "threadweaver"
"""What our metrics begin with, as on verl."""


class SettingsError(UserError, ValueError):
    """A flag that cannot work; the message names it and what to set instead."""


def _flag(default: Any, text: str, choices: tuple[str, ...] | None = None) -> Any:
    return field(default=default, metadata={"help": text, "choices": choices})


@dataclass(frozen=True)
class Common:
    """Flags of both commands.

    Raises:
        SettingsError: a value of another type than its flag's; only `from_environment` can bring one.
    """

    metrics_file: str | None = _flag(None, "append one JSON line per step, {'step': …, 'data': {…}}, here")
    fp32: bool = _flag(False, "float32 parameters, in vLLM too (upstream has bf16 and fp16 only)")

    def __post_init__(self) -> None:
        try:
            check_fields(self, f"--{PREFIX}")
        except ValueError as error:
            raise SettingsError(str(error)) from error

    @classmethod
    def parser(cls) -> argparse.ArgumentParser:
        """Knows `--tw.*` only; leaves everything else alone."""
        parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False, usage=argparse.SUPPRESS)
        group = parser.add_argument_group("ThreadWeaver")
        hints = get_type_hints(cls)
        for flag in fields(cls):
            _add(group, flag.name, hints[flag.name], flag.default, flag.metadata)
        return parser

    @classmethod
    def from_environment(cls) -> Self:
        """What the launcher handed on; the defaults where there was none.

        Raises:
            SettingsError: the variable does not hold a JSON object of known flags.
        """
        text = os.environ.get(ENVIRONMENT, "{}")
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{ENVIRONMENT}={text!r}: {error}") from error

    def to_environment(self) -> dict[str, str]:
        """The variable for `from_environment`; only what differs from the defaults."""
        changed = {
            flag.name: value for flag in fields(self) if (value := getattr(self, flag.name)) != flag.default
        }
        return {ENVIRONMENT: json.dumps(changed)}


@dataclass(frozen=True)
class RLSettings(Common):
    """Flags of `train_ppo_ray`: the state machine's limits and the reward, the paper's by default.

    Raises:
        SettingsError: a value that is not allowed.
    """

    mode: Literal["parallel", "autoregressive"] = _flag(
        "parallel", "fork at every outline, or decode as one plain request", MODES
    )
    max_tokens: int | None = _flag(
        None, "joined response; default: --rollout.max_new_tokens, else what --data.max_len leaves"
    )
    max_thread_tokens: int | None = _flag(None, "one thread; default: max_tokens")
    max_threads: int = _flag(50, "threads per block; a wider fork is decoded sequentially")
    max_blocks: int = _flag(32, "forks per trajectory")
    answer_reserve: int | None = _flag(
        None, "kept for what follows the last block; default: an eighth of max_tokens, at most 512"
    )
    engine_timeout_s: float = _flag(
        3600.0, "longest that one request, its turn included, or one weight may take on its way to vLLM"
    )
    rho: float = _flag(RewardSettings.rho, "weight of the acceleration ratio in the reward")
    rho_clip: float = _flag(RewardSettings.rho_clip, "largest acceleration bonus")
    wrong: float = _flag(RewardSettings.wrong, "reward of a wrong answer")
    format_weight: float = _flag(RewardSettings.format_weight, "added to every well-formed trajectory")
    acceleration: Literal["eta", "critical_path", "none"] = _flag(
        RewardSettings.acceleration,
        "what the bonus pays for: eta (the paper's), critical_path (what a fork saves against its group), "
        "none (the sequential baseline)",
        ACCELERATIONS,
    )
    vllm_args: str = _flag("{}", "JSON object of further vLLM engine arguments, e.g. '{\"block_size\": 32}'")

    def __post_init__(self) -> None:
        super().__post_init__()
        self.engine_args()
        try:
            check_deadline(self.engine_timeout_s, f"--{PREFIX}engine_timeout_s")
        except ValueError as error:
            raise SettingsError(str(error)) from error
        try:
            self.reward()
        except ValueError as error:
            raise SettingsError(f"--{PREFIX}{error}") from error

    def reward(self) -> dict[str, Any]:
        """Settings of the reward, as `tw_plugins.reward.compute_score` takes them."""
        values = {flag.name: getattr(self, flag.name) for flag in fields(RewardSettings)}
        return asdict(RewardSettings(**values))

    def limits(self, room: int) -> Limits:
        """The state machine's limits when the framework allows `room` response tokens.

        Raises:
            SettingsError: limits that contradict each other.
        """
        try:
            return Limits.of(
                room if self.max_tokens is None else min(room, self.max_tokens),
                max_thread_tokens=self.max_thread_tokens,
                max_threads=self.max_threads,
                max_blocks=self.max_blocks,
                answer_reserve=self.answer_reserve,
            )
        except ValueError as error:
            raise SettingsError(f"--{PREFIX}*: {error}") from error

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
class SFTSettings(Common):
    """Flags of `train_sft`."""

    autoregressive_unit: bool = _flag(
        True, "train the whole joined trajectory too, so that the model also decodes sequentially"
    )
    strict: bool = _flag(False, "stop at the first malformed trajectory instead of counting and skipping it")
    keep_order: bool = _flag(False, "first epoch in the order of the file (a curriculum)")
    pack_tokens: int | None = _flag(
        None,
        "join rows to examples of at most so many tokens, which batch sizes then count",
    )


def append_metrics(path: str | Path, step: int, data: Mapping[str, Any]) -> None:
    """One line of the metrics file; numbers only, the format of verl's file logger."""
    numbers = {name: float(value) for name, value in data.items() if isinstance(value, int | float)}
    with Path(path).open("a") as file:
        file.write(json.dumps({"step": step, "data": numbers}) + "\n")


def _add(group: Any, name: str, kind: Any, default: Any, metadata: Mapping[str, Any]) -> None:
    flag, text = f"--{PREFIX}{name}", metadata["help"]
    if kind is bool:
        group.add_argument(flag, dest=name, default=default, help=text, action=argparse.BooleanOptionalAction)
        return
    plain = next((part for part in get_args(kind) if part in (int, float, str)), kind)
    kind = plain if plain in (int, float, str) else str
    shown = text if default is None else f"{text} (default: {default})"
    group.add_argument(
        flag,
        dest=name,
        default=default,
        type=kind,
        choices=metadata["choices"],
        help=shown.replace("%", "%%"),
    )
