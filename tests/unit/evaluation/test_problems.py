"""Problem files: whose index is whose, texts as prompts, and what is said of columns of other types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.messages import assert_message
from tests.support.tokenizers import tokenizer
from tw_plugins.evaluation.problems import read_messages, read_problems
from tw_plugins.evaluation.scores import EvaluationError

RL: dict[str, Any] = {"prompt": "3+4?", "reward_model": {"ground_truth": "7"}}


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return path


def test_a_text_is_a_users_message(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", RL)
    (problem,) = read_problems(path, tokenizer())
    assert problem.prompt == "3+4?" and read_messages(path) == [[{"role": "user", "content": "3+4?"}]]


def test_a_row_is_known_by_its_line(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", RL, '{"half', "", "[1]", RL)
    assert [problem.index for problem in read_problems(path, tokenizer())] == [0, 4]


@pytest.mark.parametrize("given", ["abc", None, [1], {"a": 1}])
def test_an_index_that_is_no_number_is_the_place(given: Any, tmp_path: Path) -> None:
    rows = [{**RL, "extra_info": {"index": index}} for index in ("8", given)]
    found = read_problems(lines(tmp_path / "p.jsonl", *rows), tokenizer())
    assert [problem.index for problem in found] == [8, 1]


def test_a_line_that_is_no_object_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read_problems(lines(tmp_path / "p.jsonl", RL, "[1]"), tokenizer())
    assert "p.jsonl, line 2 is not a whole JSON record: left out" in caplog.text


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({**RL, "reward_model": "7"}, "line 2: reward_model is '7', must be an object with ground_truth"),
        ({**RL, "extra_info": "x"}, "line 2: extra_info is 'x', must be an object"),
        ({**RL, "prompt": [1]}, r"line 2: prompt must be chat messages .* or a text, it is \[1\]"),
        ({**RL, "prompt": 3}, "line 2: prompt must be chat messages .* or a text, it is 3"),
        ({**RL, "prompt": " "}, "line 2: prompt is empty. Every problem needs"),
        ({"problem": None, "answer": "2"}, "line 2: problem is empty. Every problem needs"),
        ({"problem": "?", "answer": []}, "line 2: answer is empty. Every problem needs"),
        ({"Problem": "?", "Answer": "2"}, "line 2 lacks the column prompt, reward_model; it has Problem"),
    ],
)
def test_columns_of_other_types_are_named(row: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(EvaluationError) as error:
        read_problems(lines(tmp_path / "p.jsonl", RL, row), tokenizer())
    assert_message(error.value, message)


def test_other_formats_are_named(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text("problem,answer\n")
    with pytest.raises(EvaluationError) as error:
        read_problems(tmp_path / "p.csv", tokenizer())
    assert_message(error.value, r"p\.csv: problems are read from Parquet .* and JSON Lines .*Write the file")


def test_the_instruction_follows_a_benchmarks_problem_only(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", {"problem": "3+4?", "answer": "7"}, RL)
    found = read_problems(path, tokenizer(), instruction="Think.")
    assert [problem.prompt for problem in found] == ["3+4?\n\nThink.", "3+4?"]
    assert read_messages(path, 1, "")[0][0]["content"] == "3+4?"
