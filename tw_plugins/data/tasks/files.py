"""Problems of tasks as files: rows that both frameworks and evaluation read, and what was made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tw_plugins.data.tasks.problems import Problem, TaskError, draw
from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.parquet import write_parquet

__all__ = ["Made", "write_tasks"]

DATA_SOURCE = "reasoning_gym"


@dataclass(frozen=True)
class Made:
    """What was written.

    Attributes:
        files: by what they are for.
        problems, unreadable: of both files; those without a reference that answers can be compared with.
    """

    files: dict[str, Path]
    problems: int
    unreadable: int


def write_tasks(
    tasks: Sequence[str], out: Path, size: int, eval_size: int, subtasks: int = 1, seed: int = 0
) -> Made:
    """Write ``rl.parquet``, ``eval.parquet`` and ``tasks.json`` into ``out``.

    No problem, and no part of one, is in both files or twice in one.

    Args:
        tasks: names of reasoning-gym's, taken in turn.
        size, eval_size: problems for RL and for evaluation.
        subtasks: problems that are joined to one.

    Raises:
        TaskError: see `problems.draw`; or a scorer that does not know its own answer once the entry has been
            in a file.
    """
    problems = draw(tasks, size + eval_size, subtasks, seed)
    _check_scores(problems)
    unreadable = sum(not problem.is_readable for problem in problems)
    rl, evaluation, facts = (out / name for name in ("rl.parquet", "eval.parquet", "tasks.json"))
    out.mkdir(parents=True, exist_ok=True)
    write_parquet(map(_row, range(size), problems), rl)
    write_parquet(map(_row, range(eval_size), problems[size:]), evaluation)
    made = {
        "tasks": list(tasks),
        "subtasks": subtasks,
        "seed": seed,
        "rl": size,
        "evaluation": eval_size,
        "without a readable reference": unreadable,
        "reasoning_gym": version("reasoning_gym"),
    }
    write_text(facts, json.dumps(made, indent=2) + "\n")
    files = {"RL": rl, "evaluation": evaluation, "what was made": facts}
    return Made(files, len(problems), unreadable)


def _check_scores(problems: Sequence[Problem]) -> None:
    from reasoning_gym import get_score_answer_fn

    scorer = cache(get_score_answer_fn)
    for task, entry in (
        each for problem in problems for each in zip(problem.tasks, problem.entries, strict=True)
    ):
        if entry["answer"] is None:
            continue
        here, there = (
            scorer(task)(answer=entry["answer"], entry=e) for e in (entry, json.loads(_text(entry)))
        )
        if here != there:
            raise TaskError(
                f"{task}: its scorer gives its own answer {here:g}, and {there:g} once the entry has been in "
                "a file, which holds lists for tuples and text for other objects: take another task"
            )


def _text(entries: Any) -> str:
    """JSON; what it has no form for, as a Fraction, is text."""
    return json.dumps(entries, default=str)


def _row(index: int, problem: Problem) -> dict[str, Any]:
    """verl's columns, OpenRLHF's ``label`` and ``datasource``, and the entries for the tasks' scorers."""
    answer = problem.answer or ""
    source = "+".join(problem.tasks)
    entries = _text(problem.entries if len(problem.entries) > 1 else problem.entries[0])
    return {
        "prompt": [{"role": "user", "content": problem.prompt}],
        "label": answer,
        "datasource": source,
        "data_source": DATA_SOURCE,
        "ability": "reasoning",
        "reward_model": {"style": "rule", "ground_truth": answer},
        "extra_info": {"index": index, "source": source, "entry": entries},
    }
