"""`data check` shows what will be trained or asked, and what not and why."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support import chat
from tw_plugins.cli.app import app

THREADS = (
    "<think>\n<Parallel>\n<Outlines>\n<Outline>1: a</Outline>\n<Outline>2: b</Outline>\n</Outlines>\n"
    "<Thread>\n1: x\n</Thread><Thread>\n2: y\n</Thread>\n</Parallel>\n</think>2"
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    chat.chat_tokenizer(chat.THINKING).save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "config.json").write_text('{"model_type": "qwen3"}')
    return tmp_path / "model"


def check(model: Path, folder: Path, rows: list[Any], *options: str) -> tuple[int, str]:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    arguments = ["data", "check", str(path), "--model", str(model), *options]
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    return result.exit_code, result.output


def test_trained_tokens_are_marked_and_nothing_stands_twice(model: Path, tmp_path: Path) -> None:
    rows = [
        {"question": "1+1?", "response": THREADS + "<|im_end|>"},
        {"messages": "[red]", "response": "</Thread>"},
    ]
    status, output = check(model, tmp_path, rows)
    assert status == 1 and "1 rows to train, 1 left out" in output
    assert output.count("<think>") == 1 and "<|im_start|>assistant\n<think>\n«<Parallel>" in output
    assert "</Parallel>\n</think>2<|im_end|>»" in output and "<Thread>\n2:« y" in output
    assert "1 left out, " in output and "rows.jsonl, line 2" in output
    assert check(model, tmp_path, rows[:1])[0] == 0


def test_prompts_and_their_answers(model: Path, tmp_path: Path) -> None:
    rows = [{"problem": "[bold]1+1?", "answer": "so\n#### 2"}, {"problem": "?", "answer": float("nan")}]
    for use in ("rl", "eval"):
        status, output = check(model, tmp_path, rows, "--for", use)
        assert status == 1 and "1 prompts to ask, 1 left out" in output
        assert "[bold]1+1?\n\nLet's think step by step" in output and "reference answer: 2" in output
        assert "1 left out, no reference answer" in output


def test_a_folder_without_a_tokenizer_is_named_for_what_it_is(model: Path, tmp_path: Path) -> None:
    rows = [{"question": "1+1?", "response": "2"}]
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text('{"base_model_name_or_path": "base"}')
    status, output = check(tmp_path / "lora", tmp_path, rows)
    assert status == 2 and "is a LoRA adapter of base, not a model: merge it" in output.replace("\n", " ")
    (tmp_path / "empty").mkdir()
    status, output = check(tmp_path / "empty", tmp_path, rows)
    assert status == 2 and "has no config.json: give the folder" in output.replace("\n", " ")
    (model / "config.json").unlink()
    assert check(model, tmp_path, rows)[0] == 0  # all that is needed is there


def test_no_name_is_no_file(model: Path) -> None:
    result = CliRunner().invoke(app, ["data", "check", "", "--model", str(model)])
    assert result.exit_code == 2 and "a file of rows has no name" in result.output


def test_a_base_model_needs_a_template(model: Path, tmp_path: Path) -> None:
    (model / "chat_template.jinja").unlink()
    rows = [{"question": "1+1?", "response": "2"}]
    status, output = check(model, tmp_path, rows)
    assert status == 2 and "has no chat template" in output and "--chat-template" in output
    assert check(model, tmp_path, rows, "--chat-template", "chatml")[0] == 0
    file = tmp_path / "mine.jinja"
    file.write_text(chat.CHATML)
    assert check(model, tmp_path, rows, "--chat-template", str(file))[0] == 0
    status, output = check(model, tmp_path, rows, "--chat-template", "nothing")
    assert status == 2 and "nothing is no file of a chat template: give one, or one of chatml" in output


@pytest.mark.parametrize("use", ["sft", "rl"])
def test_a_model_that_disagrees_on_its_end_is_shown(model: Path, tmp_path: Path, use: str) -> None:
    rows = [{"question": "1+1?", "response": "2", "answer": "2"}]
    assert "end of turn" not in check(model, tmp_path, rows, "--for", use)[1]
    (model / "generation_config.json").write_text('{"eos_token_id": 0}')
    status, output = check(model, tmp_path, rows, "--for", use)
    assert status == 0 and "end of turn: the tokenizer '<|im_end|>' (258)" in output
    assert "they disagree: `threadweaver data add-tokens` writes" in output


@pytest.mark.parametrize("use", ["sft", "rl"])
def test_a_system_prompt_of_the_templates_own_is_shown(model: Path, tmp_path: Path, use: str) -> None:
    rows = [{"question": "1+1?", "response": "2", "answer": "2"}]
    said = "the chat template adds 18 tokens to each prompt without a system message: '<|im_start|>system"
    for template, shown in ((chat.TRIMMED, True), ("<|endoftext|>" + chat.CHATML, False)):
        (model / "chat_template.jinja").write_text(template)
        status, output = check(model, tmp_path, rows, "--for", use)
        assert status == 0 and ("the chat template adds" in output) is (said in output) is shown
