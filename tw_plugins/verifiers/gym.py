"""reasoning_gym's own scorers, for the tasks that the package generates (PyPI `reasoning-gym`).

A row is an entry of theirs: `question`, `answer` and `metadata`, whose `source_dataset` names the scorer;
where that is missing, `data_source` does, as in `reasoning_gym/countdown`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from reasoning_gym import get_score_answer_fn
from reasoning_gym.utils import extract_answer as in_answer_tags

from tw_plugins.grading import extract_answer

__all__ = ["verify"]


_scorer = cache(get_score_answer_fn)  # which makes a data set of the task each time


def verify(prompt: str, text: str, reference: Any, extra: Mapping[str, Any]) -> float:
    """The scorer's score of what stands in the last `<answer>…</answer>`, or else in the last box.

    Raises:
        KeyError, ValueError: the package has no such task.
    """
    metadata = extra.get("metadata") or {}
    metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    task = metadata.get("source_dataset") or extra["data_source"].rpartition("/")[2]
    scope = text.partition("</think>")[2] or text
    answer = in_answer_tags(scope) or extract_answer(text)
    entry = {"question": prompt, "answer": reference, "metadata": metadata}
    return float(_scorer(task)(answer=answer, entry=entry))
