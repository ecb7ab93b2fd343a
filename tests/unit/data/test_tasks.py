"""Tasks become files that every reader takes, with references that can be checked, and no problem twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tests.support.reasoning_gym import reasoning_gym, score_answer
from tw_plugins.cli import app as cli
from tw_plugins.data.tasks import TaskError, write_tasks
from tw_plugins.datasets.examples import Example, read_examples
from tw_plugins.grading import is_equivalent
from tw_plugins.verifiers import Task, VerifierSettings, verify

__all__ = ["reasoning_gym"]


def examples(path: Path) -> list[Example]:
    read = list(read_examples([path], "answer"))
    assert all(isinstance(each, Example) for each in read)
    return read  # type: ignore[return-value]


def entries(example: Example) -> list[dict[str, Any]]:
    found = json.loads(example.columns["extra_info"]["entry"])
    return found if isinstance(found, list) else [found]


def questions(path: Path) -> Iterator[str]:
    return (entry["question"] for example in examples(path) for entry in entries(example))


@pytest.mark.usefixtures("reasoning_gym")
def test_a_task_alone(tmp_path: Path) -> None:
    made = write_tasks(["chain_sum"], tmp_path, size=20, eval_size=5)
    rl = examples(tmp_path / "rl.parquet")
    assert (len(rl), len(examples(tmp_path / "eval.parquet")), made.unreadable) == (20, 5, 0)
    for place, example in enumerate(rl):
        (entry,) = entries(example)
        (message,) = example.messages
        assert message["content"].startswith(entry["question"]) and message["content"].endswith("\\boxed{}.")
        assert example.target == example.columns["label"] == entry["answer"]
        assert example.columns["extra_info"]["source"] == example.columns["datasource"] == "chain_sum"
        assert example.columns["extra_info"]["index"] == place
        assert score_answer(example.target, entry) == 1
    facts = json.loads((tmp_path / "tasks.json").read_text())
    assert facts["tasks"] == ["chain_sum"] and facts["rl"] == 20 and facts["reasoning_gym"] == "0.1"


@pytest.mark.usefixtures("reasoning_gym")
@pytest.mark.parametrize("subtasks", [2, 6])
def test_several_in_one(tmp_path: Path, subtasks: int) -> None:
    write_tasks(["chain_sum", "spell_backward"], tmp_path, size=8, eval_size=4, subtasks=subtasks)
    rl = examples(tmp_path / "rl.parquet")
    assert len(rl) == 8
    for example in rl:
        parts, asked = entries(example), example.messages[0]["content"]
        assert len(parts) == subtasks and asked.startswith(f"Solve {subtasks} problems")
        places = [asked.index(f"Problem {n}:\n{part['question']}") for n, part in enumerate(parts, 1)]
        assert places == sorted(places) and f"answer {subtasks})}}" in asked
        answers = [part["answer"] for part in parts]
        assert example.target == f"({'; '.join(answers)})"
        assert example.columns["extra_info"]["source"].split("+")[:2] == ["chain_sum", "spell_backward"]
        assert is_equivalent(f"({', '.join(answers)})", example.target)
        assert not is_equivalent(f"({', '.join(answers[::-1])})", example.target)  # each in its place
        assert not is_equivalent(f"({', '.join([*answers[:-1], 'x'])})", example.target)


@pytest.mark.usefixtures("reasoning_gym")
def test_no_part_is_asked_twice_and_a_seed_says_which(tmp_path: Path) -> None:
    def written(name: str, seed: int) -> list[str]:
        write_tasks(["chain_sum"], tmp_path / name, size=20, eval_size=10, subtasks=3, seed=seed)
        files = ("rl", "eval")
        return [question for file in files for question in questions(tmp_path / name / f"{file}.parquet")]

    first = written("a", 1)
    assert len(first) == len(set(first)) == 90
    assert written("b", 1) == first and set(first).isdisjoint(written("c", 2))
    write_tasks(["coin_flip"], tmp_path, size=3, eval_size=2)
    assert len({*questions(tmp_path / "rl.parquet"), *questions(tmp_path / "eval.parquet")}) == 5


@pytest.mark.usefixtures("reasoning_gym")
@pytest.mark.parametrize(
    ("tasks", "subtasks", "message"),
    [
        (["chain_sun"], 1, "reasoning-gym has no task chain_sun to draw from; did you mean chain_sum?"),
        (["poetry"], 1, "no task poetry to draw from; choose from chain_sum, coin_flip, "),
        (["composite"], 1, "no task composite to draw from; choose from"),
        (["coin_flip"], 1, "coin_flip: 300 draws give 5 different problems, 15 are needed: lower --size"),
        (["chain_sum", "rotate"], 2, "an answer of rotate cannot be joined with others, .* --subtasks 1"),
        (["graph_color"], 2, "an answer of graph_color cannot be joined with others, no reference answer"),
        (["lists"], 2, "an answer of lists cannot be joined with others, a semicolon"),
        (["essays"], 6, "joined answers of essays, essays, .* worked solution.*: lower --subtasks"),
    ],
)
def test_what_a_task_cannot_give(tmp_path: Path, tasks: list[str], subtasks: int, message: str) -> None:
    with pytest.raises(TaskError, match=message):
        write_tasks(tasks, tmp_path / "out", size=10, eval_size=5, subtasks=subtasks)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("reasoning_gym")
@pytest.mark.parametrize("task", ["rotate", "graph_color"])
def test_references_for_the_tasks_own_scorer_are_said(tmp_path: Path, task: str) -> None:
    options = ["--size", "4", "--eval-size", "2", "--out", str(tmp_path)]
    done = CliRunner().invoke(cli.app, ["data", "tasks", task, *options], env={"COLUMNS": "300"})
    assert done.exit_code == 0 and f"RL: {tmp_path / 'rl.parquet'}" in done.output
    assert "6 of 6 references are for the task's own scorer" in done.output


def test_the_real_package(tmp_path: Path) -> None:
    pytest.importorskip("reasoning_gym")
    write_tasks(["chain_sum", "gsm_symbolic"], tmp_path, size=6, eval_size=2, subtasks=3)
    settings = VerifierSettings(verifier="reasoning_gym")
    for example in examples(tmp_path / "rl.parquet"):
        for answer, score in ((example.target, 1), ("(no; no; no)", 0)):
            task = Task("", f"\\boxed{{{answer}}}", example.target, example.columns["extra_info"])
            assert verify(task, settings).score == score


@pytest.mark.usefixtures("reasoning_gym")
def test_what_json_has_no_form_for_is_text_and_scored_all_the_same(tmp_path: Path) -> None:
    write_tasks(["shares"], tmp_path, size=5, eval_size=2)
    for example in examples(tmp_path / "rl.parquet"):
        (entry,) = entries(example)
        assert score_answer(entry["answer"], entry) == 1
        assert entry["question"] == f"What is {entry['metadata']['share']} of 1000?"


@pytest.mark.usefixtures("reasoning_gym")
def test_a_scorer_that_does_not_know_its_answer_from_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="pairs: its scorer gives its own answer 1, and 0 once the entry"):
        write_tasks(["chain_sum", "pairs"], tmp_path, size=4, eval_size=2)
