"""reasoning_gym's own scorers, for the tasks that the package generates (PyPI `reasoning-gym`).

A row is an entry of theirs: `question`, `answer` and `metadata`, whose `source_dataset` names the scorer;
where that is missing, `data_source` does, as in `reasoning_gym/countdown`. Rows of `threadweaver data tasks`
carry whole entries, of one task or of several in one problem.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from reasoning_gym import get_score_answer_fn
from reasoning_gym.utils import extract_answer as in_answer_tags

from tw_plugins.grading import extract_answer

__all__ = ["verify"]


_scorer = cache(get_score_answer_fn)  # which makes a data set of the task each time


def verify(prompt: str, text: str, reference: Any, extra: Mapping[str, Any]) -> float:
    """The scorer's score of what stands in the last `<answer>…</answer>`, or else in the last box.

    Of several tasks in one problem the mean of the scores, of the answers in their order; 0 where there are
    more or fewer answers than tasks.

    Raises:
        KeyError, ValueError: the package has no such task.
    """
    scope = text.partition("</think>")[2] or text
    answer = in_answer_tags(scope) or extract_answer(text)
    if "entry" not in extra:
        metadata = _decoded(extra.get("metadata") or {})
        task = metadata.get("source_dataset") or extra["data_source"].rpartition("/")[2]
        return _score(task, answer, {"question": prompt, "answer": reference, "metadata": metadata})
    entries, tasks = _decoded(extra["entry"]), extra["source"].split("+")
    if len(tasks) == 1:
        return _score(tasks[0], answer, entries)
    answers = _parts(answer or "", len(tasks))
    scores = [_score(*each) for each in zip(tasks, answers, entries, strict=True)] if answers else [0.0]
    return sum(scores) / len(scores)


def _score(task: str, answer: str | None, entry: Mapping[str, Any]) -> float:
    return float(_scorer(task)(answer=answer, entry=entry))


def _decoded(value: Any) -> Any:
    return json.loads(value) if isinstance(value, str) else value


def _parts(answer: str, count: int) -> Sequence[str]:
    """The parts of `(17; Yes)`, or of `17, Yes`; none where they are not so many."""
    inside = answer.strip().removeprefix("(").removesuffix(")")
    splits = ([part.strip() for part in inside.split(between)] for between in ";,")
    return next((parts for parts in splits if len(parts) == count), ())
