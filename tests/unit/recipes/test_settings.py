"""Numbers of the quickstart that follow from others."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recipes.quickstart.settings import FILE, HERE, SFT_CHECKPOINTS, given_of, settings_of
from tests.support.root import ROOT
from tw_plugins.pipeline.source import read_source

PROMPT = 256  # tokens, at most


@pytest.mark.parametrize("fast", [False, True])
def test_what_follows_from_others_does(fast: bool) -> None:
    found = read_source(FILE, given_of(0, fast), HERE).variables
    settings = settings_of(0, fast)
    preset = settings.preset
    assert found["sft_batch"] == preset.sft_batch
    assert found["sft_steps"] == settings.sft_steps == preset.sft_rows // preset.sft_batch
    assert found["sft_save"] == max(1, settings.sft_steps // SFT_CHECKPOINTS)
    assert found["rl_batch"] == settings.rl_prompts * settings.rl_samples
    assert found["rl_rows"] == settings.rl_prompts * settings.rl_steps
    assert found["rl_length"] == settings.max_tokens + PROMPT
    assert found["selftrain_drawn"] == settings.selftrain_samples * preset.rl_prompts
    assert found["selftrain_rows"] == settings.selftrain_steps * preset.sft_batch
    assert found["selftrain_save"] == max(1, settings.selftrain_steps // SFT_CHECKPOINTS)
    assert found["eval_rows"] == 2 * 2 * preset.eval_per_kind


@pytest.mark.parametrize("framework", ["verl", "openrlhf"])
def test_the_committed_seeds_are_of_these_settings(framework: str) -> None:
    kept = json.loads(Path(ROOT / f"docs/quickstart-seeds/{framework}.json").read_text())
    assert kept and all(run["settings"] == settings_of(run["seed"]).fingerprint() for run in kept)
