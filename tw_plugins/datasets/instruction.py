r"""What is asked of a model beside the problem: that the answer be where the grader looks for it."""

from __future__ import annotations

from tw_plugins.datasets.columns import CONVERSATIONS
from tw_plugins.datasets.examples import Example
from tw_plugins.datasets.messages import Message

__all__ = ["INSTRUCTION", "with_instruction"]

INSTRUCTION = "Let's think step by step and output the final answer within \\boxed{}."


def with_instruction(example: Example, instruction: str) -> list[Message]:
    """The messages of an example; the instruction follows a problem after an empty line.

    Columns called `prompt`, and chats, are what is to be asked as it is; `problem`, `question` and the like
    are problems only. "" leaves these as they are, too.
    """
    if example.prompt_column in ("prompt", *CONVERSATIONS) or not instruction:
        return example.messages
    *before, last = example.messages
    return [*before, {**last, "content": f"{last['content']}\n\n{instruction}"}]
