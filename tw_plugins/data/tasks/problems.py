"""Problems drawn from reasoning-gym's tasks, no two the same.

A composite is what forks are for: K problems that do not depend on each other, and one answer, the tuple of
theirs, which grading compares part by part and in this order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from tw_plugins.datasets.holes import BadRow
from tw_plugins.datasets.references import reference_of
from tw_plugins.datasets.settings import INSTRUCTION
from tw_plugins.errors import UserError
from tw_plugins.settings import closest

__all__ = ["Problem", "TaskError", "draw"]

DRAWS = 20  # tries for one that was not there yet


class TaskError(UserError, ValueError):
    """A task that does not exist, or cannot give what was asked of it."""


@dataclass(frozen=True)
class Problem:
    """
    Attributes:
        prompt: what is asked.
        answer: the reference; None where only the task's scorer knows.
        tasks: name of the task, or of each part's.
        entries: of reasoning-gym, as its scorers take them, in the same order.
    """

    prompt: str
    answer: str | None
    tasks: tuple[str, ...]
    entries: tuple[Mapping[str, Any], ...]

    @property
    def is_readable(self) -> bool:
        """Whether an answer can be compared with the reference, without the task's scorer."""
        try:
            return bool(reference_of(self.answer))
        except BadRow:
            return False


def draw(tasks: Sequence[str], count: int, subtasks: int, seed: int) -> list[Problem]:
    """
    Args:
        tasks: names, taken in turn.
        count: of problems.
        subtasks: in each; 1 leaves them as they are.

    Raises:
        TaskError: an unknown task; fewer different problems than asked for; answers that cannot be joined.
    """
    drawn = _distinct(tasks, count * subtasks, seed)
    if subtasks == 1:
        return [_single(task, entry) for task, entry in drawn]
    return [_composite(drawn[at : at + subtasks]) for at in range(0, len(drawn), subtasks)]


def _distinct(tasks: Sequence[str], count: int, seed: int) -> list[tuple[str, Mapping[str, Any]]]:
    """Task and entry of problems with different questions, the same for the same arguments."""
    from reasoning_gym import create_dataset

    _check_names(tasks)
    tries = DRAWS * count
    # Most tasks seed problem i with seed + i: neighbouring seeds would give the same problems.
    seeds = [Random(f"{task}/{seed}").getrandbits(31) for task in tasks]
    datasets = [create_dataset(task, seed=own, size=tries) for task, own in zip(tasks, seeds, strict=True)]
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for number in range(tries):
        place = number % len(tasks)
        entry = datasets[place][number // len(tasks)]
        found.setdefault(entry["question"], (tasks[place], entry))
        if len(found) == count:
            return list(found.values())
    raise TaskError(
        f"{', '.join(tasks)}: {tries} draws give {len(found)} different problems, {count} are needed: lower "
        "--size, --eval-size or --subtasks, or give more tasks"
    )


def _check_names(tasks: Sequence[str]) -> None:
    from reasoning_gym.factory import DATASETS

    known = sorted(DATASETS.keys() - {"composite"})  # a mixture, which needs the configs of its tasks
    for task in tasks:
        if task not in known:
            meant = closest(task, known)
            hint = f"did you mean {meant}?" if meant else f"choose from {', '.join(known)}"
            raise TaskError(f"reasoning-gym has no task {task} to draw from; {hint}")


def _single(task: str, entry: Mapping[str, Any]) -> Problem:
    return Problem(f"{entry['question']}\n\n{INSTRUCTION}", entry["answer"], (task,), (entry,))


def _composite(parts: Sequence[tuple[str, Mapping[str, Any]]]) -> Problem:
    count = len(parts)
    problems = "\n\n".join(
        f"Problem {number}:\n{entry['question'].strip()}" for number, (_, entry) in enumerate(parts, 1)
    )
    form = "; ".join(f"answer {number}" for number in range(1, count + 1))
    prompt = (
        f"Solve {count} problems. None depends on another.\n\n{problems}\n\nLet's think step by step and "
        f"output the final answers in their order within one \\boxed{{({form})}}."
    )
    tasks, entries = zip(*parts, strict=True)
    return Problem(prompt, _joined(parts), tasks, entries)


def _joined(parts: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """The tuple of the answers.

    Raises:
        TaskError: an answer with a semicolon or several lines, or that grading cannot read.
    """
    answers = []
    for task, entry in parts:
        try:
            answers.append(reference_of(entry["answer"]))
            if ";" in answers[-1]:
                raise BadRow("a semicolon, which is between answers", repr(answers[-1]))
        except BadRow as bad:
            raise TaskError(
                f"an answer of {task} cannot be joined with others, {bad}: take another task, or --subtasks 1"
            ) from bad
    try:
        return reference_of(f"({'; '.join(answers)})")
    except BadRow as bad:
        names = ", ".join(task for task, _ in parts)
        raise TaskError(f"joined answers of {names}: {bad}: lower --subtasks, or take other tasks") from bad
