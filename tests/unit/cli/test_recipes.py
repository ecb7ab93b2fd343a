"""`threadweaver recipes`: what is listed can be copied, and what is copied is whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from tests.support.root import ROOT
from tw_plugins.cli.app import app
from tw_plugins.cli.recipe_files import RecipeError, copy_recipe, recipes_in, title_of

RECIPES = recipes_in(ROOT / "recipes")
runner = CliRunner()


def test_what_others_stand_on_is_not_listed() -> None:
    assert {"verl/qwen3_8b_p_grpo", "openrlhf/train_qwen3_8b_sft", "pipelines/qwen3_8b_verl"} <= set(RECIPES)
    assert not {"verl/qwen3_8b_rl", "verl/toy_sft_base", "quickstart/fast"} & set(RECIPES)


@pytest.mark.parametrize("name", RECIPES)
def test_each_is_listed_with_a_title_of_its_own(name: str) -> None:
    title = title_of(RECIPES[name])
    beside = [title_of(one) for one in RECIPES.values() if one.parent == RECIPES[name].parent]
    assert 10 < len(title) < 120 and beside.count(title) == 1
    assert any(
        line.split() == [name, *title.split()]
        for line in runner.invoke(app, ["recipes", "ls"]).output.splitlines()
    )


@pytest.mark.parametrize("name", [name for name in RECIPES if name.startswith(("verl/", "pipelines/"))])
def test_every_file_that_a_copied_yaml_names_is_copied(name: str, tmp_path: Path) -> None:
    for file in copy_recipe(name, tmp_path):
        if file.suffix == ".yaml":
            found = yaml.safe_load(file.read_text())
            bases = [
                f"{base}.yaml"
                for base in found.get("defaults", ())
                if (ROOT / "recipes/verl" / f"{base}.yaml").exists()
            ]
            stages = [found.get(stage) or {} for stage in ("sft", "selftrain", "rl")]
            recipes = [stage[key] for stage in stages for key in ("recipe", "baseline") if key in stage]
            assert all((file.parent / one).is_file() for one in [*bases, *recipes])


def test_a_baseline_brings_the_script_that_it_runs_and_both_can_be_run(tmp_path: Path) -> None:
    first, second = copy_recipe("openrlhf/train_toy_grpo_sequential", tmp_path)
    assert (first.name, second.name) == ("train_toy_grpo_sequential.sh", "train_toy_p_grpo.sh")
    assert os.access(first, os.X_OK) and os.access(second, os.X_OK)


@pytest.mark.parametrize("name", ["toy_p_grpo", "verl/toy_p_grpo", "toy_p_grpo.yaml"])
def test_a_name_may_be_short(name: str, tmp_path: Path) -> None:
    assert [file.name for file in copy_recipe(name, tmp_path)] == ["toy_p_grpo.yaml", "toy_rl.yaml"]


def test_the_command_says_what_it_wrote_and_what_comes_next(tmp_path: Path) -> None:
    done = runner.invoke(app, ["recipes", "cp", "pipelines/qwen3_8b_verl", str(tmp_path)])
    *files, last = done.output.splitlines()
    assert done.exit_code == 0 and all(Path(file).is_file() for file in files)
    assert last == f"next: threadweaver pipeline run --dry-run {tmp_path}/pipelines/qwen3_8b_verl.yaml"


def test_a_file_of_the_users_is_not_written_over(tmp_path: Path) -> None:
    first, base = copy_recipe("verl/toy_p_grpo", tmp_path)
    copy_recipe("verl/toy_p_grpo", tmp_path)  # the same again does no harm
    base.write_text("mine: 1\n")
    first.unlink()
    with pytest.raises(RecipeError, match=r"toy_rl.yaml is there and has been changed"):
        copy_recipe("verl/toy_p_grpo", tmp_path)
    assert base.read_text() == "mine: 1\n" and not first.exists()


@pytest.mark.parametrize("name", ["verl/qwen3_8b_pgrpo", "qwen3_8b_p_grp"])
def test_a_mistyped_name_is_told_the_right_one(name: str, tmp_path: Path) -> None:
    done = runner.invoke(app, ["recipes", "cp", name, str(tmp_path)])
    assert done.exit_code == 2 and "did you mean verl/qwen3_8b_p_grpo?" in done.output
