"""Sampling that goes on where it was broken off: what is missing, and whether the settings are the same."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from tw_plugins.problems import EvalProblem
from tw_plugins.records import EvalRecord

__all__ = ["SETTINGS", "ResumeError", "check_settings", "missing"]

SETTINGS = "settings.json"
Problem = TypeVar("Problem", bound=EvalProblem)


class ResumeError(ValueError):
    """A folder of other settings, or problems that cannot be told apart."""


def check_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings into a new folder; in one that has some they must be these.

    Raises:
        ResumeError: they are others; the message has each with both values.
    """
    path, given = out / SETTINGS, json.loads(json.dumps(settings))
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))
        if changed := [name for name, value in given.items() if before.get(name) != value]:
            was = ", ".join(f"{name} was {before.get(name)!r}, is {given[name]!r}" for name in changed)
            raise ResumeError(f"{out} holds samples of other settings: {was}. Give another --out.")
        return
    out.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(given, indent=2) + "\n", encoding="utf-8")


def missing(problems: Sequence[Problem], there: Iterable[EvalRecord], samples: int) -> list[Problem]:
    """Each problem as often as it still has to be sampled; round by round, so that all get their first.

    Raises:
        ResumeError: two problems have one index.
    """
    indices = Counter(problem.index for problem in problems)
    if twice := [index for index, times in indices.items() if times > 1]:
        raise ResumeError(f"extra_info.index {twice[0]} is there twice: give each prompt its own")
    have = Counter(record.index for record in there)
    return [problem for turn in range(samples) for problem in problems if have[problem.index] <= turn]
