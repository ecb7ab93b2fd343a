"""A sequential trace as lines: what the steps begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tw_plugins.data.stage1.jsonl import Record
from tw_plugins.data.stage1.runner import Rejected
from tw_plugins.grammar import TAGS

OPEN, CLOSE = "<think>", "</think>"


@dataclass(frozen=True)
class Trace:
    """A problem, the reasoning in lines, and what follows the reasoning."""

    lines: tuple[str, ...]
    output: str

    def numbered(self) -> str:
        """As the model sees it: ``L1: …``."""
        return "\n".join(f"L{number}: {line}" for number, line in enumerate(self.lines, 1))

    def text(self, first: int, last: int) -> str:
        """Lines first..last, counted from 1, both included."""
        return "\n".join(self.lines[first - 1 : last])


def trace_of(record: Record) -> Trace:
    """The trace of a record with `prompt` and `response` (``<think>reasoning</think>output``).

    Raises:
        Rejected: a column is missing, there is no closed reasoning, or control tags stand in it.
    """
    for column in ("prompt", "response"):
        if not record.get(column):
            raise Rejected("missing_column", f"the record has no {column!r}")
    response = str(record["response"])
    thinking, closed, output = response.partition(CLOSE)
    if not closed:
        raise Rejected("no_reasoning", f"the response has no {CLOSE}: it was cut, or does not reason")
    if tag := next((tag for tag in TAGS if tag in response), None):
        raise Rejected("not_sequential", f"the response has the control tag {tag} already")
    return Trace(tuple(thinking.removeprefix(OPEN).strip("\n").split("\n")), output)


def problem_of(record: Record) -> str:
    """The prompt as text; of chat messages the last one."""
    asked: Any = record["prompt"]
    return asked if isinstance(asked, str) else str(asked[-1]["content"])


def text_of(parts: list[Any]) -> str:
    """Parts of a record as plain reasoning, blocks as their threads one after the other."""
    return "\n".join(part if isinstance(part, str) else "\n".join(part["threads"]) for part in parts)
