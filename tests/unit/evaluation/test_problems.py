"""Problem files: whose index is whose, texts as prompts, and what is said of columns of other types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.tokenizers import tokenizer
from tw_plugins.datasets.columns import Columns
from tw_plugins.evaluation.problems import read_problems
from tw_plugins.evaluation.scores import EvaluationError

RL: dict[str, Any] = {"prompt": "3+4?", "reward_model": {"ground_truth": "7"}}


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_text_is_a_users_message(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", RL)
    (problem,) = read_problems(path, tokenizer())
    assert problem.prompt == "3+4?" and problem.messages == [{"role": "user", "content": "3+4?"}]


def test_a_row_is_known_by_its_place(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", RL, '{"half', "[1]", {**RL, "prompt": " "}, RL)
    assert [problem.index for problem in read_problems(path, tokenizer())] == [0, 4]


@pytest.mark.parametrize("given", ["abc", None, [1], {"a": 1}])
def test_an_index_that_is_no_number_is_the_place(given: Any, tmp_path: Path) -> None:
    rows = [{**RL, "extra_info": {"index": index}} for index in ("8", given)]
    found = read_problems(lines(tmp_path / "p.jsonl", *rows), tokenizer())
    assert [problem.index for problem in found] == [8, 1]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("[1]", "not an object of columns"),
        ({**RL, "reward_model": {"ground_truth": ""}}, "no reference answer"),
        ({**RL, "prompt": [1]}, "a message is no object"),
        ({**RL, "prompt": 3}, "prompt is neither text nor messages"),
        ({**RL, "prompt": " "}, "empty user message"),
        ({"problem": None, "answer": "2"}, "no prompt"),
        ({"problem": "?", "answer": []}, "no reference answer"),
        ({"question": "?", "answer": ["2", "-3"]}, "several reference answers"),
        ({"text": "?"}, "lacks a column that rows before it have"),
    ],
)
def test_what_cannot_be_asked_or_graded_is_named_and_left_out(
    row: Any, reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = lines(tmp_path / "p.jsonl", RL, row)
    assert len(read_problems(path, tokenizer())) == 1
    assert f"1 left out, {reason}: {path}, line 2" in caplog.text
    with pytest.raises(EvaluationError, match=r"has 1 problems, 2 are asked for"):
        read_problems(path, tokenizer(), limit=2)


@pytest.mark.parametrize("extra", ["x", None, {"index": 10**400}, {"index": float("inf")}, {"kind": None}])
def test_extra_info_of_any_kind_does_no_harm(extra: Any, tmp_path: Path) -> None:
    (problem,) = read_problems(lines(tmp_path / "p.jsonl", {**RL, "extra_info": extra}), tokenizer())
    assert problem.kind == "all"


def test_the_instruction_follows_a_benchmarks_problem_only(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", {"problem": "3+4?", "answer": "7"}, RL)
    found = read_problems(path, tokenizer(), instruction="Think.")
    assert [problem.prompt for problem in found] == ["3+4?\n\nThink.", "3+4?"]
    assert read_problems(path, tokenizer(), 1, "")[0].prompt == "3+4?"


def test_columns_may_be_named(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", {"task": {"text": "3+4?"}, "right": 7, "answer": "8"})
    (problem,) = read_problems(path, tokenizer(), columns=Columns("task.text", "right"))
    assert (problem.prompt, problem.reference) == ("3+4?", "7")
