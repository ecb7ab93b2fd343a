"""A sequential trace as lines: what the steps begin with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tw_plugins.data.stage1.runner import Rejected
from tw_plugins.storage.jsonl import Record
from tw_plugins.trajectory import TAGS

__all__ = ["CLOSE", "OPEN", "Trace", "column", "problem_of", "text_of", "trace_of"]

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
        Rejected: a column is missing, there is not one closed reasoning, or control tags stand in it.
    """
    for name in ("prompt", "response"):
        if not record.get(name):
            raise Rejected("missing_column", f"the record has no {name!r}")
    response = str(record["response"])
    thinking, closed, output = response.partition(CLOSE)
    if not closed:
        raise Rejected("no_reasoning", f"the response has no {CLOSE}: it was cut, or does not reason")
    thinking = thinking.lstrip().removeprefix(OPEN)
    if OPEN in thinking + output or CLOSE in output:
        raise Rejected("no_reasoning", f"the response is not {OPEN}, reasoning, {CLOSE}, answer, each once")
    if tag := next((tag for tag in TAGS if tag in response), None):
        raise Rejected("not_sequential", f"the response has the control tag {tag} already")
    return Trace(tuple(thinking.strip("\n").split("\n")), output)


def problem_of(record: Record) -> str:
    """The prompt as text; of chat messages the last one.

    Raises:
        Rejected: there is none, or it is no text.
    """
    asked: Any = record.get("prompt")
    if isinstance(asked, list) and asked and isinstance(asked[-1], dict):
        asked = asked[-1].get("content")
    if not isinstance(asked, str):
        raise Rejected("missing_column", "'prompt' must be text, or messages of which the last has text")
    return asked


def column(record: Record, name: str, step: str) -> Any:
    """What an earlier step wrote into a record.

    Raises:
        Rejected: it is not there.
    """
    if name not in record:
        raise Rejected("missing_column", f"the record has no {name!r}: run `data {step}` first")
    return record[name]


def text_of(parts: list[Any]) -> str:
    """Parts of a record as plain reasoning, blocks as their threads one after the other."""
    return "\n".join(part if isinstance(part, str) else "\n".join(part["threads"]) for part in parts)
