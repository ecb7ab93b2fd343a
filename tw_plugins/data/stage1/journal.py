"""Every answer of the model, written as it comes: what was paid for is never asked for again.

    {"key": hash of model, messages and parameters, "text": …,
     "cut": false, "prompt_tokens": 10, "answer_tokens": 2, "form": 2}

One line an answer, so a run may be killed anywhere, in the middle of a record too. Lines of the first form,
which had no `form`, may hold an empty text where the endpoint sent an error and no answer (HTTP 200 without
choices, with null for a text): what was asked then is asked again.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tw_plugins.storage.atomic import write_text
from tw_plugins.storage.jsonl import Record, append, salvaged

__all__ = ["Answer", "Journal", "Usage"]

logger = logging.getLogger(__name__)

FORM = 2


@dataclass(frozen=True)
class Answer:
    """What the model said.

    Attributes:
        cut: it ended at a limit of tokens, not by itself.
        prompt_tokens, answer_tokens: as the endpoint counts them; 0 where it does not.
    """

    text: str
    cut: bool
    prompt_tokens: int
    answer_tokens: int


@dataclass
class Usage:
    """What was asked, and what that took."""

    requests: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0

    def add(self, answer: Answer) -> None:
        """One more answer."""
        self.requests += 1
        self.prompt_tokens += answer.prompt_tokens
        self.answer_tokens += answer.answer_tokens

    def cost(self, price_in: float, price_out: float) -> float:
        """In dollars; prices are dollars per million tokens of prompts and of answers."""
        return (self.prompt_tokens * price_in + self.answer_tokens * price_out) / 1e6


class Journal:
    """Answers by what was asked.

    Attributes:
        now: answers that this run paid for.
        all_runs: these and those of earlier runs.
        unusable: lines of earlier runs that are no answers, as many as are to be asked for again.
    """

    def __init__(self, path: Path) -> None:
        """Reads what is there; the half line of a killed process is cut off."""
        self.path, self.now, self.all_runs = path, Usage(), Usage()
        self._answers: dict[str, Answer] = {}
        empty, unreadable = set(), 0
        for number, entry in salvaged(path):
            if (read := _read(entry)) is None:
                logger.warning("%s, line %d is no answer and is passed over", path, number)
                unreadable += 1
                continue
            key, answer, form = read
            self.all_runs.add(answer)
            if form is None and not answer.text and not answer.cut:
                empty.add(key)
            else:
                self._answers[key] = answer
        self.unusable = len(empty - self._answers.keys()) + unreadable

    def get(self, request: Mapping[str, Any]) -> Answer | None:
        """The answer to a request that was asked before, in this run or an earlier one."""
        return self._answers.get(_key(request))

    def add(self, request: Mapping[str, Any], answer: Answer) -> None:
        """Writes an answer down."""
        key = _key(request)
        self._answers[key] = answer
        self.now.add(answer)
        self.all_runs.add(answer)
        append({"key": key, **asdict(answer), "form": FORM}, self.path)

    def write_totals(self, path: Path, price_in: float, price_out: float) -> None:
        """What all runs asked, as JSON, in dollars at these prices."""
        totals = {**asdict(self.all_runs), "dollars": self.all_runs.cost(price_in, price_out)}
        write_text(path, json.dumps(totals, indent=2) + "\n")


def _read(entry: Record | str) -> tuple[str, Answer, int | None] | None:
    """Key, answer and form of a line; None where it is no answer."""
    if isinstance(entry, str):
        return None
    values: dict[str, Any] = dict(entry)
    key, form = values.pop("key", None), values.pop("form", None)
    try:
        answer = Answer(**values)
    except TypeError:
        return None
    counts = (answer.prompt_tokens, answer.answer_tokens)
    sound = isinstance(key, str) and isinstance(answer.text, str) and isinstance(answer.cut, bool)
    return (key, answer, form) if sound and all(type(count) is int for count in counts) else None


def _key(request: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()
