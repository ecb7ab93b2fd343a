"""A pipeline's file: variables, choices by framework, paths, and errors with their lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pipelines import RUN, SUFFIXES, TEXT, write
from tw_plugins.pipeline.errors import PipelineError
from tw_plugins.pipeline.reading import read_pipeline
from tw_plugins.pipeline.schema import Asked


def read(folder: Path, text: str = TEXT, **given: str) -> Asked:
    return read_pipeline(write(folder, text), SUFFIXES, RUN, given).asked


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_variables_stand_where_they_are_named(tmp_path: Path) -> None:
    asked = read(tmp_path)
    assert asked.eval and asked.eval.options["max-tokens"] == 512
    assert asked.sft and asked.sft.settings == ["optim.lr=0.001"]
    given = read(tmp_path, lr="1e-5", tokens="64")
    assert given.sft and given.sft.settings == ["optim.lr=1e-5"]
    assert given.eval and given.eval.options["max-tokens"] == 64


def test_a_framework_takes_what_is_its_own(tmp_path: Path) -> None:
    asked = read(tmp_path, TEXT.replace("framework: verl", "framework: openrlhf"))
    assert asked.sft and asked.sft.settings == ["--adam.lr", "0.001"] and asked.sft.recipe.suffix == ".sh"
    assert asked.rl and asked.rl.validation is None


def test_paths_are_of_the_files_folder_and_names_stay(tmp_path: Path) -> None:
    asked = read(tmp_path)
    assert asked.stage1 and asked.stage1.data == str(tmp_path / "traces.jsonl")
    assert asked.eval and (asked.model, asked.eval.data) == ("owner/model", "aime24")


def test_a_verifier_of_the_files_folder(tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    assert read(tmp_path, TEXT.replace("choice", "mine.py:verify")).verifier == f"{tmp_path}/mine.py:verify"
    assert read(tmp_path, TEXT.replace("choice", "package.mine:verify")).verifier == "package.mine:verify"


def test_a_run_and_what_is_for_the_framework(tmp_path: Path) -> None:
    text = TEXT.replace('"optim.lr=${lr}"', '"data.train_files=${run}/x", "a=${data.y}", "b=$${lr}"')
    asked = read(tmp_path, text)
    assert asked.sft and asked.sft.settings == [f"data.train_files={RUN}/x", "a=${data.y}", "b=${lr}"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("framework: verl", "framework: vrl", "there is no framework vrl: did you mean verl?"),
        ("  recipe: {verl", "  recipee: {verl", "there is no sft.recipee; did you mean recipe?"),
        ("seed: 4", "seeds: 4", "there is no seeds; did you mean seed?"),
        ("  steps: 7", "  steps: many", "rl.steps='many': it must be integer"),
        ("  steps: 7", "  steps: 0", "rl.steps=0: it must be greater than or equal to 1"),
        ("  clock: 3", "  clok: 3", "there is no eval.clok; did you mean clock?"),
        ("toy_p_grpo.yaml", "toy_pgrpo.yaml", "toy_pgrpo.yaml"),
        ("optim.lr=${lr}", "optim.lr=${rl}", "there is no variable rl"),
        ("  data: traces.jsonl", "  data: trace.jsonl", "there is no"),
        ("verl/toy_sft.yaml", "openrlhf/train_toy_sft.sh", "recipes of verl end in .yaml"),
        ("seed: 4", "seed: 4\nseed: 5", "seed stands in line"),
        ("model: owner/model\n", "", "model is missing: add it"),
        ("seed: 4", "seed: [4", "this is no YAML"),
        ("verifier: choice", "verifier: {a: b}", "verifier="),
    ],
)
def test_an_error_names_its_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in TEXT
    text = TEXT.replace(old, new, 1)
    with pytest.raises(PipelineError) as caught:
        read(tmp_path, text)
    message = str(caught.value)
    line = 1 if not new else line_of(text, new)
    allowed = {line, line + 1} if "\n" in new or "no YAML" in said else {line}
    assert any(f"my.yaml:{number}: " in message for number in allowed) and said in message, message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "- a\n", "a: b: c\n", "\x00", "a: !!python/object:x y\n", "&a a: *b\n"])
def test_what_is_no_file_of_settings(tmp_path: Path, text: str) -> None:
    with pytest.raises(PipelineError, match=r"my\.yaml:1: "):
        read(tmp_path, text)


def test_a_variable_that_the_file_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"has no variable token \(did you mean tokens\?\)"):
        read(tmp_path, token="1")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("framework: verl\nmodel: a/b\n", "it has no stage"),
        (TEXT.replace("add-tokens: {}", "chat_template: chatml"), "chat_template is written by add-tokens"),
        (TEXT.replace("stage1:\n", "stage1:\n  skip: true\n"), "sft has no data"),
    ],
)
def test_what_does_not_fit_together(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(PipelineError, match=said):
        read(tmp_path, text)
