"""SmolLM2's pipeline: numbers that follow from others, and every command of both frameworks."""

from __future__ import annotations

from pathlib import Path

import pytest

import openrlhf_ext.pipeline
import verl_ext.pipeline
from recipes.smollm2.dataset import FULL
from tests.support.root import ROOT
from tw_plugins.pipeline.plan import Plan, planned
from tw_plugins.pipeline.reading import read_pipeline
from tw_plugins.pipeline.source import read_source

FILE = ROOT / "recipes" / "smollm2" / "smollm2.yaml"
PROMPT = 256  # tokens, at most
TRAINERS = {"verl": verl_ext.pipeline.TRAINER, "openrlhf": openrlhf_ext.pipeline.TRAINER}


def plan_of(framework: str) -> Plan:
    suffixes = {name: trainer.suffix for name, trainer in TRAINERS.items()}
    asked = read_pipeline(FILE, suffixes, Path("/run"), {"framework": framework}).asked
    return planned(asked, TRAINERS[framework], Path("/run"))


def test_what_follows_from_others_does() -> None:
    found = read_source(FILE, {}, FILE.parent).variables
    assert found["sft_steps"] * found["sft_batch"] == FULL.sft_rows
    assert found["sft_warmup_ratio"] == found["sft_warmup"] / found["sft_steps"]
    assert found["sft_steps"] % found["sft_save"] == 0, "the last step's checkpoint is the model"
    assert found["rl_batch"] == found["rl_prompts"] * found["rl_samples"]
    assert found["rl_rows"] == found["rl_prompts"] * found["rl_steps"] == FULL.rl_prompts
    assert found["rl_length"] == found["max_tokens"] + PROMPT
    assert found["eval_rows"] == 2 * 2 * FULL.eval_per_kind


@pytest.mark.parametrize("framework", TRAINERS)
def test_two_trainings_run_at_once_only_where_they_fit(framework: str) -> None:
    stages = {stage.name: stage for stage in plan_of(framework).stages}
    assert {name: max(map(len, stage.rounds)) for name, stage in stages.items()} == {
        "data": 1, "add-tokens": 1, "sft": 2, "rl": 1, "eval": 1,
    }  # fmt: skip
    threads = {name: stage.rounds[0][0].env["OMP_NUM_THREADS"] for name, stage in stages.items()}
    assert (threads["sft"], threads["rl"], threads["eval"]) == ("1", "2", "2")
