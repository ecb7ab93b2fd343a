"""Rows with the columns that data is published with become examples; holes keep their place and reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tw_plugins.datasets.columns import Columns
from tw_plugins.datasets.examples import Example, example_of, read_examples, wanted_by
from tw_plugins.datasets.holes import BadRowError, Hole, Holes
from tw_plugins.datasets.rows import Row
from tw_plugins.storage.parquet import DataFileError

ASKED = [{"role": "user", "content": "1+1?"}]
ANSWERED = [*ASKED, {"role": "assistant", "content": "2"}]


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": ASKED, "reward_model": {"style": "rule", "ground_truth": "2"}},
        {"prompt": "1+1?", "answer": "2"},
        {"problem": "1+1?", "answer": 2, "solution": "It is two."},
        {"Problem": "1+1?", "Answer": "2"},
        {"question": "1+1?", "answer": "1 and 1 are 2.\n#### 2"},
        {"question": "1+1?", "final_answer": ["2"]},
        {"Question": "1+1?", "Short Answer": "2"},
        {"problem": "1+1?", "answer": None, "solution": "So \\boxed{2}."},
        {"prompt": "1+1?", "ground_truth": "2"},
        {"conversations": [{"from": "human", "value": "1+1?"}], "label": "2"},
        {"question": "1+1?", "answer": "2", "system": None, "input": "", "images": [], "tools": "[]"},
    ],
)
def test_usual_columns_of_questions(columns: dict[str, Any]) -> None:
    example = example_of(Row("f, row 0", columns), "answer")
    assert isinstance(example, Example) and (example.messages, example.target) == (ASKED, "2")


@pytest.mark.parametrize(
    "columns",
    [
        {"prompt": "1+1?", "response": "2"},
        {"question": "1+1?", "completion": [{"type": "text", "text": "2"}]},
        {"prompt": ASKED, "completion": ANSWERED[1:]},
        {"messages": json.dumps(ANSWERED)},
        {"messages": ANSWERED},
        {"conversations": [{"from": "human", "value": "1+1?"}, {"from": "gpt", "value": "2"}]},
    ],
)
def test_usual_columns_of_responses(columns: dict[str, Any]) -> None:
    example = example_of(Row("f, row 0", columns), "response")
    assert isinstance(example, Example) and (example.messages, example.target) == (ASKED, "2")


def test_columns_that_are_named_are_taken_and_no_others() -> None:
    row = Row("f, row 0", {"prompt": "no", "answer": "no", "task": {"text": "1+1?"}, "right": "2"})
    example = example_of(row, "answer", Columns(prompt="task.text", answer="right"))
    assert isinstance(example, Example) and (example.messages, example.target) == (ASKED, "2")
    with pytest.raises(
        DataFileError, match=r"f, row 0 has no column left for the reference answer; it has pr"
    ):
        example_of(row, "answer", Columns(answer="left"))


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"prompt": None, "answer": "2"}, "no prompt"),
        ({"prompt": ANSWERED, "answer": "2"}, "the prompt's last message is not to be answered"),
        ({"prompt": "1+1?", "answer": None}, "no reference answer"),
        ({"prompt": "1+1?", "reward_model": {"ground_truth": ["2", "-3"]}}, "several reference answers"),
    ],
)
def test_a_row_that_is_no_example_is_a_hole(columns: dict[str, Any], reason: str) -> None:
    hole = example_of(Row("f, row 0", columns), "answer")
    assert isinstance(hole, Hole) and (hole.where, hole.reason) == ("f, row 0", reason)


def test_null_responses_are_holes() -> None:
    for response in (None, 3):
        assert isinstance(example_of(Row("f", {"prompt": "1+1?", "response": response}), "response"), Hole)


def write(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_sources_one_after_the_other(tmp_path: Path) -> None:
    good, bad = {"prompt": "1+1?", "answer": "2"}, {"prompt": "", "answer": "2"}
    files = [write(tmp_path / f"{name}.jsonl", good, bad, {"text": ""}, good) for name in "ab"]
    holes = Holes()
    examples = list(holes.out_of(read_examples(files, "answer")))
    assert [example.where for example in examples] == [f"{file}, line {n}" for file in files for n in (1, 4)]
    assert holes.counted == {"empty user message": 2, "lacks a column that rows before it have": 2}
    (line,) = [line for line in holes.lines() if "empty" in line]
    assert line.startswith(f"2 left out, empty user message: {files[0]}, line 2 (message 1), {files[1]}")
    with pytest.raises(BadRowError, match=r"a\.jsonl, line 2: empty user message"):
        list(Holes(strict=True).out_of(read_examples(files, "answer")))


def test_a_source_without_rows_or_columns(tmp_path: Path) -> None:
    with pytest.raises(DataFileError, match="has no rows"):
        list(read_examples([write(tmp_path / "a.jsonl")], "answer"))
    with pytest.raises(DataFileError, match=r"line 1 has no column prompt or .* it has text"):
        list(read_examples([write(tmp_path / "a.jsonl", {"text": ""})], "answer"))


@pytest.mark.parametrize(
    ("where", "columns", "source"),
    [
        ("data/my.jsonl, line 3", {}, "my"),
        ("openai/gsm8k, row 0", {}, "openai/gsm8k"),
        ("openai/gsm8k@main:test, row 0", {}, "openai/gsm8k"),
        ("my.jsonl, line 1", {"data_source": "lighteval/MATH"}, "lighteval/MATH"),
        ("my.jsonl, line 1", {"datasource": "old"}, "old"),
    ],
)
def test_what_a_verifier_reads_beside_prompt_and_reference(
    where: str, columns: dict[str, Any], source: str
) -> None:
    row = Row(where, {"prompt": "1+1?", "answer": [1, "b"], "metadata": {"a": (1, 2)}, **columns})
    example = example_of(Row(where, {**row.columns, "extra_info": {"level": 5}}), wanted_by("choice"))
    assert isinstance(example, Example) and example.target == [1, "b"]
    assert example.extra == {"data_source": source, "metadata": '{"a": [1, 2]}', "level": 5}


@pytest.mark.parametrize(
    ("answer", "target"), [(7, "7"), (" B ", "B"), (None, None), (float("nan"), None), ({"a": 1}, {"a": 1})]
)
def test_other_verifiers_references_are_as_published(answer: Any, target: Any) -> None:
    example = example_of(Row("f, row 0", {"prompt": "1+1?", "answer": answer}), "reference")
    assert isinstance(example, Example) and example.target == target


SYSTEM = {"role": "system", "content": "Be brief."}


@pytest.mark.parametrize(
    ("columns", "messages"),
    [
        ({"system": "Be brief.", "conversations": ASKED}, [SYSTEM, *ASKED]),
        ({"System Prompt": "Be brief.", "question": "1+1?"}, [SYSTEM, *ASKED]),
        ({"system": "Be brief.", "messages": [SYSTEM, *ASKED]}, [SYSTEM, *ASKED]),
        ({"instruction": "Add.", "input": "1 1"}, [{"role": "user", "content": "Add.\n\n1 1"}]),
        ({"instruction": "1+1?", "input": ""}, ASKED),
        ({"prompt": "1+1?", "instruction": "Add.", "input": "3 4"}, ASKED),
    ],
)
def test_what_stands_beside_a_prompt_is_asked_too(columns: dict[str, Any], messages: Any) -> None:
    example = example_of(Row("f, row 0", {**columns, "answer": "2"}), "answer")
    assert isinstance(example, Example) and example.messages == messages


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"images": [b"\x89PNG"]}, "more than text"),
        ({"image": {"bytes": b"", "path": "a.png"}}, "more than text"),
        ({"tools": '[{"name": "f"}]'}, "more than text"),
        (
            {"system": "Be brief.", "prompt": [{"role": "system", "content": "Be long."}, *ASKED]},
            "two system",
        ),
        ({"system": 5}, "not text"),
    ],
)
def test_what_would_be_asked_without_a_part_of_it_is_a_hole(columns: dict[str, Any], reason: str) -> None:
    hole = example_of(Row("f, row 0", {"prompt": ASKED, "answer": "2", **columns}), "answer")
    assert isinstance(hole, Hole) and reason in hole.reason


def test_a_response_of_several_messages_is_a_hole() -> None:
    hole = example_of(Row("f, row 0", {"prompt": ASKED, "completion": [*ANSWERED[1:], *ASKED]}), "response")
    assert isinstance(hole, Hole) and "one message" in hole.reason
