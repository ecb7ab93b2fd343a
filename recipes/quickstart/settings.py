"""How long everything runs: the full quickstart and the smoke run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tw_plugins.reward import Acceleration
from tw_plugins.toy.preset import SMOKE_PRESET, STANDARD_PRESET, Preset

SFT_CHECKPOINTS = 10
"""In one SFT; RL has one each step."""


@dataclass(frozen=True)
class Settings:
    """One run of the quickstart.

    Attributes:
        preset: problems and model.
        sft_lr, rl_lr: peaks of cosine schedules; RL's has no warm-up and ends at 30 %.
        rl_steps, rl_prompts, rl_samples: updates, prompts per update, trajectories per prompt.
        rl_temperature: of the rollouts; below 1 fewer slips of so small a model drown what a fork earns.
        micro_batch: rows that go through the model at once in SFT (their lengths are alike) and in RL.
        selftrain_samples, selftrain_steps, selftrain_lr: of the stage `selftrain`: samples per RL prompt, and
            SFT on what is kept of them.
        max_tokens: joined response, in tokens.
        wall_clock_problems: decomposable problems that the compared models decode back to back for the clock.
        acceleration: what P-GRPO's bonus pays for, see `tw_plugins.reward.RewardSettings`.
        seed: of the problems, the model and the rollouts.
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
        """Changes whenever a setting changes; records of seeds have it, stages their own (`stages.py`)."""
        return fingerprint_of(asdict(self))


def fingerprint_of(settings: Mapping[str, Any]) -> str:
    """Of `asdict(Settings(…))`, also once it has been JSON."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


FULL = Settings(
    preset=STANDARD_PRESET,
    sft_lr=2e-3,
    sft_micro_batch=4,
    rl_lr=2e-3,
    rl_steps=10,
    rl_prompts=12,
    rl_samples=8,
    rl_temperature=0.7,
    rl_micro_batch=8,
    selftrain_samples=4,
    selftrain_steps=16,
    selftrain_lr=3e-4,
    max_tokens=512,
    wall_clock_problems=30,
)
FAST = Settings(
    preset=SMOKE_PRESET,
    sft_lr=3e-3,
    sft_micro_batch=4,
    rl_lr=1e-4,
    rl_steps=2,
    rl_prompts=4,
    rl_samples=4,
    rl_temperature=0.7,
    rl_micro_batch=8,
    selftrain_samples=2,
    selftrain_steps=1,
    selftrain_lr=3e-4,
    max_tokens=256,
    wall_clock_problems=2,
)


def settings_of(seed: int, fast: bool) -> Settings:
    """Those of one run, in full or as a smoke run."""
    return replace(FAST if fast else FULL, seed=seed)
