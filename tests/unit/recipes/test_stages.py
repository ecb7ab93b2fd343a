"""What each stage of the quickstart depends on: every setting, and the recipes that its jobs run."""

from __future__ import annotations

import shutil
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest

from recipes.quickstart import stages
from recipes.quickstart.settings import FAST, FULL, Settings
from recipes.quickstart.stages import FILES, READ, RECIPES, STAGES, fingerprints

NOT_RUN = {"toy_p_grpo_separate_async.yaml"}
AFTER_SELFTRAIN = {"rl-selftrain", "eval-selftrain"}
FROM_SFT = {"sft", "selftrain", "rl", "eval", *AFTER_SELFTRAIN}
FROM_SELFTRAIN = {"selftrain", *AFTER_SELFTRAIN}
FROM_RL = {"rl", "eval", *AFTER_SELFTRAIN}
EVALUATION = {"eval", "eval-selftrain"}


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert before.keys() == after.keys()
    return {stage for stage in before if before[stage] != after[stage]}


@pytest.mark.parametrize(
    ("other", "again"),
    [
        ({"seed": 1}, {"data", *FROM_SFT}),
        ({"preset": FAST.preset}, {"data", *FROM_SFT}),
        ({"sft_lr": 1.0}, FROM_SFT),
        ({"selftrain_lr": 1.0}, FROM_SELFTRAIN),
        ({"rl_lr": 1.0}, FROM_RL),
        ({"rl_temperature": 1.0}, FROM_RL | FROM_SELFTRAIN),  # its samples are drawn at it too
        ({"wall_clock_problems": 1}, EVALUATION),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_setting_runs_again_what_depends_on_it(other: dict[str, Any], again: set[str]) -> None:
    assert changed(fingerprints(FULL, "verl"), fingerprints(replace(FULL, **other), "verl")) == again


def test_every_setting_is_read_by_a_stage() -> None:
    assert set().union(*READ.values()) == {field.name for field in fields(Settings)} == set(asdict(FULL))
    assert tuple(READ) == STAGES


@pytest.mark.parametrize("framework", FILES)
def test_every_recipe_of_the_toy_is_named(framework: str) -> None:
    named = {name for names in FILES[framework].values() for name in names}
    assert named == {path.name for path in (RECIPES / framework).glob("*toy*")} - NOT_RUN


@pytest.mark.parametrize(
    ("framework", "recipe", "again"),
    [
        ("verl", "toy_rl.yaml", FROM_RL),
        ("verl", "toy_sft.yaml", FROM_SFT),
        ("openrlhf", "train_toy_p_grpo.sh", FROM_RL),
        ("openrlhf", "train_toy_sft.sh", FROM_SFT),
    ],
)
def test_an_edited_recipe_runs_again_what_depends_on_it(
    framework: str, recipe: str, again: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = fingerprints(FULL, framework)
    shutil.copytree(RECIPES / framework, tmp_path / framework)
    monkeypatch.setattr(stages, "RECIPES", tmp_path)
    assert fingerprints(FULL, framework) == before
    with (tmp_path / framework / recipe).open("a") as file:
        file.write("# edited\n")
    assert changed(before, fingerprints(FULL, framework)) == again
