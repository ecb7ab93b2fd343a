"""What each stage of the quickstart depends on: every setting, and the recipes that its commands run."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

import pytest

from recipes.quickstart import settings
from recipes.quickstart.plan import STAGES, plan_of
from recipes.quickstart.settings import settings_of
from tests.support.root import ROOT
from tw_plugins.pipeline.fingerprints import fingerprints

RUN = Path("/run/of/the/quickstart")
NOT_RUN = {"toy_p_grpo_separate_async.yaml"}
FROM_SFT = {"sft", "selftrain", "rl-selftrain", "eval-selftrain"}
FROM_SELFTRAIN = FROM_SFT - {"sft"}
FROM_RL = FROM_SELFTRAIN - {"selftrain"}
VARIABLES = {
    "seed": "1",
    "preset": "smoke",
    "sft_lr": "1.0",
    "sft_micro_batch": "1",
    "selftrain_lr": "1.0",
    "selftrain_samples": "9",
    "selftrain_steps": "9",
    "rl_lr": "1.0",
    "rl_steps": "9",
    "rl_prompts": "9",
    "rl_samples": "9",
    "rl_micro_batch": "9",
    "rl_temperature": "1.0",
    "max_tokens": "9",
    "acceleration": "critical_path",
    "wall_clock_problems": "1",
}
AGAIN = {
    "seed": {"data", *FROM_SFT},
    "preset": {"data", *FROM_SFT},
    "sft_lr": FROM_SFT,
    "sft_micro_batch": FROM_SFT,
    "selftrain_lr": FROM_SELFTRAIN,
    "selftrain_samples": FROM_SELFTRAIN,
    "selftrain_steps": FROM_SELFTRAIN,
    "rl_temperature": FROM_SELFTRAIN,  # its samples are drawn at it too
    "max_tokens": FROM_SELFTRAIN,
    "wall_clock_problems": {"eval-selftrain"},
}
"""All others: from RL on."""


def of(framework: str, **variables: str) -> dict[str, str]:
    plan = plan_of(framework, RUN, chosen=STAGES, **variables)
    return fingerprints(plan)


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert before.keys() == after.keys()
    return {stage for stage in before if before[stage] != after[stage]}


@pytest.mark.parametrize("name", VARIABLES)
def test_a_setting_runs_again_what_depends_on_it(name: str) -> None:
    assert changed(of("verl"), of("verl", **{name: VARIABLES[name]})) == AGAIN.get(name, FROM_RL)


def test_every_setting_is_read_by_a_stage() -> None:
    assert VARIABLES.keys() == asdict(settings_of()).keys()


def test_a_run_that_is_moved_is_the_same() -> None:
    assert fingerprints(plan_of("verl", Path("/elsewhere"), chosen=STAGES)) == of("verl")


@pytest.mark.parametrize("framework", ["verl", "openrlhf"])
def test_every_recipe_of_the_toy_is_read(framework: str) -> None:
    plan = plan_of(framework, RUN, chosen=STAGES)
    read = {path for stage in plan.stages for path in stage.reads}
    assert read == {path for path in (ROOT / "recipes" / framework).glob("*toy*") if path.name not in NOT_RUN}


@pytest.mark.parametrize(
    ("framework", "recipe", "again"),
    [
        ("verl", "toy_rl.yaml", FROM_RL),
        ("verl", "toy_sft_base.yaml", FROM_SFT),
        ("openrlhf", "train_toy_p_grpo.sh", FROM_RL),
        ("openrlhf", "train_toy_sft.sh", FROM_SFT),
    ],
)
def test_an_edited_recipe_runs_again_what_depends_on_it(
    framework: str, recipe: str, again: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = of(framework)
    for folder in (framework, "quickstart"):
        shutil.copytree(ROOT / "recipes" / folder, tmp_path / folder)
    monkeypatch.setattr("recipes.quickstart.plan.FILE", tmp_path / "quickstart" / settings.FILE.name)
    assert of(framework) == before
    with (tmp_path / framework / recipe).open("a") as file:
        file.write("# edited\n")
    assert changed(before, of(framework)) == again
