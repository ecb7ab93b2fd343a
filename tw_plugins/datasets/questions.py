r"""Examples as they are asked: RL's prompts and evaluation's problems, through the template's guard."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tw_plugins.datasets.examples import Example
from tw_plugins.datasets.holes import BadRow, Hole
from tw_plugins.datasets.messages import Message
from tw_plugins.datasets.template import Prompt, Template

__all__ = ["Question", "questions"]

PROBLEMS = ("problem", "question", "query", "instruction")
"""Columns that state a problem; any other is asked as it is."""


@dataclass(frozen=True)
class Question:
    """One example, asked.

    Attributes:
        place: of its row among all rows, from 0.
        messages: the example's, with the instruction.
        prompt: the same through the template.
    """

    place: int
    example: Example
    messages: list[Message]
    prompt: Prompt


def questions(
    examples: Iterable[Example | Hole], template: Template, instruction: str
) -> Iterator[Question | Hole]:
    """Each through the template; what that loses or doubles is a hole."""
    for place, example in enumerate(examples):
        if isinstance(example, Hole):
            yield example
            continue
        messages = _with_instruction(example, instruction)
        try:
            yield Question(place, example, messages, template.prompt(messages))
        except BadRow as bad:
            yield Hole(example.where, bad.reason, bad.detail)


def _with_instruction(example: Example, instruction: str) -> list[Message]:
    """It follows a problem after an empty line; "" leaves that as it is."""
    if example.prompt_column.lower() not in PROBLEMS or not instruction:
        return example.messages
    *before, last = example.messages
    return [*before, {**last, "content": f"{last['content']}\n\n{instruction}"}]
