"""The quickstart's stages and what each depends on: one is run again when that changes, and all after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from recipes.quickstart.settings import Settings, fingerprint_of

RECIPES = Path(__file__).parents[1]
STAGES = ("data", "sft", "selftrain", "rl", "eval")
DEFAULT_STAGES = ("data", "sft", "rl", "eval")
SELFTRAINED = "-selftrain"
"""Ends the names of the folders of `rl` and `eval` that follow `selftrain`."""

READ: Mapping[str, Sequence[str]] = {
    "data": ("preset", "seed"),
    "sft": ("sft_lr", "sft_micro_batch"),
    "selftrain": (
        "selftrain_samples",
        "selftrain_steps",
        "selftrain_lr",
        "rl_temperature",
        "max_tokens",
    ),
    "rl": (
        "rl_lr",
        "rl_steps",
        "rl_prompts",
        "rl_samples",
        "rl_temperature",
        "rl_micro_batch",
        "max_tokens",
        "acceleration",
    ),
    "eval": ("max_tokens", "wall_clock_problems"),
}
"""Which of `Settings` a stage reads, but for what the stages before it read."""
FILES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "verl": {
        "sft": ("toy_sft.yaml", "toy_sft_base.yaml"),
        "rl": ("toy_p_grpo.yaml", "toy_grpo_sequential.yaml", "toy_rl.yaml"),
    },
    "openrlhf": {
        "sft": ("train_toy_sft.sh",),
        "rl": ("train_toy_p_grpo.sh", "train_toy_grpo_sequential.sh"),
    },
}
"""Which recipes a stage runs, of `recipes/<framework>/`."""


def fingerprints(settings: Settings, framework: str) -> dict[str, str]:
    """By a stage's folder: of the settings and recipes that it and the stages before it depend on."""
    plain = _cumulative(DEFAULT_STAGES, settings, framework)
    trained = _cumulative(STAGES, settings, framework)
    after = {f"{name}{SELFTRAINED}": trained[name] for name in ("rl", "eval")}
    return {**plain, "selftrain": trained["selftrain"], **after}


def _cumulative(stages: Sequence[str], settings: Settings, framework: str) -> dict[str, str]:
    values, seen, found = asdict(settings), {}, {}
    for stage in stages:
        files = FILES[framework].get(stage, ())
        seen.update({name: values[name] for name in READ[stage]})
        seen.update({name: (RECIPES / framework / name).read_text() for name in files})
        found[stage] = fingerprint_of(seen)
    return found
