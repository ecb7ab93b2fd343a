"""Sampling that goes on where it was broken off: what is missing, and whether the settings are the same."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tw_plugins.errors import UserError
from tw_plugins.evaluation.problems import EvalProblem
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.files import is_there, opened

__all__ = ["SETTINGS", "ResumeError", "asked_for", "check_settings", "in_order", "missing", "read_settings"]

SETTINGS = "settings.json"
Problem = TypeVar("Problem", bound=EvalProblem)


class Answered(Protocol):
    """What is kept of a sample says which problem it answers."""

    @property
    def index(self) -> int: ...

    @property
    def prompt(self) -> str: ...


Answer = TypeVar("Answer", bound=Answered)


class ResumeError(UserError, ValueError):
    """A folder of other settings, or problems that cannot be told apart."""


def check_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings into a new folder; in one that has some they must be these.

    Raises:
        ResumeError: they are others (the message has each with both values), or cannot be read.
    """
    given = json.loads(json.dumps(settings))
    if is_there(out / SETTINGS):
        before = read_settings(out)
        if changed := [name for name, value in given.items() if before.get(name) != value]:
            was = ", ".join(f"{name} was {before.get(name)!r}, is {given[name]!r}" for name in changed)
            raise ResumeError(f"{out} holds samples of other settings: {was}. Give another --out.")
        return
    write_text(out / SETTINGS, json.dumps(given, indent=2) + "\n")


def read_settings(out: Path) -> dict[str, Any]:
    """The settings of the samples in a folder.

    Raises:
        OSError, FileError: it has none, or something that is no file.
        ResumeError: the file is not what :func:`check_settings` writes.
    """
    path = out / SETTINGS
    with opened(path) as file:
        content = file.read()
    try:
        settings = json.loads(content)
    except ValueError:
        settings = None
    if not isinstance(settings, dict):
        raise ResumeError(
            f"{path} is not a JSON object: give another --out, or remove it if you know that the samples "
            "beside it are of these settings"
        )
    return settings


def missing(problems: Sequence[Problem], there: Iterable[Answered], samples: int) -> list[Problem]:
    """Each problem as often as it still has to be sampled, with the number of the sample; round by round, so
    that all get their first. Samples that have no number stand for the first ones that are missing.

    Raises:
        ResumeError: two problems have one index, or samples are of another problem than has their index now,
            or were graded against another reference.
    """
    indices = Counter(problem.index for problem in problems)
    if twice := [index for index, times in indices.items() if times > 1]:
        raise ResumeError(f"extra_info.index {twice[0]} is there twice: give each prompt its own")
    prompts = {problem.index: problem.prompt for problem in problems}
    references = {problem.index: problem.reference for problem in problems}
    numbers: dict[int, set[int | None]] = defaultdict(set)
    unnumbered = Counter[int]()
    for record in there:
        if prompts.get(record.index, record.prompt) != record.prompt:
            raise ResumeError(
                f"a sample of index {record.index} answers {record.prompt!r:.60}, the problem of that index "
                f"is {prompts[record.index]!r:.60}: the problems have changed. Give another --out."
            )
        graded, reference = getattr(record, "reference", None), references.get(record.index)
        if graded is not None and record.index in references and graded != reference:
            raise ResumeError(
                f"a sample of index {record.index} was graded against {graded!r:.60}, its answer is "
                f"{reference!r:.60} now. Give another --out."
            )
        numbers[record.index].add(_number(record))
        unnumbered[record.index] += _number(record) is None
    todo = {
        index: [turn for turn in range(samples) if turn not in numbers[index]][unnumbered[index] :]
        for index in prompts
    }
    return [
        replace(problem, sample=turn)
        for turn in range(samples)
        for problem in problems
        if turn in todo[problem.index]
    ]


def in_order(there: Iterable[Answer]) -> list[Answer]:
    """By the numbers of the samples, whichever was there first; those without one before all others."""
    return sorted(there, key=lambda record: -1 if (number := _number(record)) is None else number)


def asked_for(problems: Sequence[Problem], there: Iterable[Answer], samples: int) -> list[Answer]:
    """The first ``samples`` of each problem, in the order of the problems; a file may hold more."""
    of_problem: dict[int, list[Answer]] = defaultdict(list)
    for record in in_order(there):
        of_problem[record.index].append(record)
    return [record for problem in problems for record in of_problem[problem.index][:samples]]


def _number(record: Answered) -> int | None:
    """Which sample of its problem a record is; older ones do not say, and pairs of a clock have none."""
    return getattr(record, "sample", None)
