"""How long everything runs: the full quickstart and the smoke run, as their files say it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

from tw_plugins.pipeline.source import read_source
from tw_plugins.reward import Acceleration
from tw_plugins.storage.files import read_text
from tw_plugins.toy.preset import PRESETS, SMOKE_PRESET, Preset

HERE = Path(__file__).parent
FILE, FAST_FILE = HERE / "quickstart.yaml", HERE / "fast.yaml"
SFT_CHECKPOINTS = 10
"""In one SFT; RL has one each step."""


@dataclass(frozen=True)
class Settings:
    """One run of the quickstart: variables of `quickstart.yaml`, where each has its meaning.

    Attributes:
        preset: problems and model.
        selftrain_samples, selftrain_steps, selftrain_lr: of the stage `selftrain`.
        acceleration: what P-GRPO's bonus pays for, see `tw_plugins.reward.RewardSettings`.
    """

    preset: Preset
    sft_lr: float
    sft_micro_batch: int
    rl_lr: float
    rl_steps: int
    rl_prompts: int
    rl_samples: int
    rl_temperature: float
    rl_micro_batch: int
    selftrain_samples: int
    selftrain_steps: int
    selftrain_lr: float
    max_tokens: int
    wall_clock_problems: int
    acceleration: Acceleration = "eta"
    seed: int = 0

    @property
    def smoke(self) -> bool:
        """Whether it is the run in which nothing is learned."""
        return self.preset == SMOKE_PRESET

    @property
    def sft_steps(self) -> int:
        """Updates of SFT: one pass over the file."""
        return self.preset.sft_rows // self.preset.sft_batch

    def fingerprint(self) -> str:
        """Changes whenever a setting changes; records of seeds have it, stages have their own."""
        return fingerprint_of(asdict(self))


def fingerprint_of(settings: Mapping[str, Any]) -> str:
    """Of `asdict(Settings(…))`, also once it has been JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def settings_of(seed: int = 0, fast: bool = False) -> Settings:
    """Those of one run, in full or as a smoke run."""
    variables = _variables(seed, fast)
    given = {one.name: variables[one.name] for one in fields(Settings) if one.name != "preset"}
    return Settings(preset=PRESETS[variables["preset"]], **given)


@cache
def _variables(seed: int, fast: bool) -> Mapping[str, Any]:
    return read_source(FILE, given_of(seed, fast), HERE).variables


def given_of(seed: int, fast: bool) -> dict[str, str]:
    """What a run gives `quickstart.yaml` in the place of its own variables."""
    import yaml

    smoke = yaml.load(read_text(FAST_FILE), Loader=yaml.BaseLoader) if fast else {}
    return {**smoke, "seed": str(seed)}


def job_environment() -> dict[str, str]:
    """What every command of the quickstart gets, whatever its framework."""
    import yaml

    return dict(yaml.load(read_text(FILE), Loader=yaml.BaseLoader)["environment"])
