"""SFT examples as published → prompt ids as in inference, and the text that the model is to write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from tw_plugins.datasets.examples import Example
from tw_plugins.datasets.holes import BadRow, Hole
from tw_plugins.datasets.responses import response_after
from tw_plugins.datasets.template import Template
from tw_plugins.trajectory import ControlTokens

__all__ = ["SFTExample", "sft_examples"]


class SFTExample(NamedTuple):
    """What a row is made of.

    Attributes:
        prompt_ids: (P,) as the engine gets them.
        response: text of all that follows, without the end of the turn.
        where: file and row, for messages.
    """

    prompt_ids: Sequence[int]
    response: str
    where: str = ""


def sft_examples(
    examples: Iterable[Example | Hole], template: Template, tags: ControlTokens
) -> Iterator[SFTExample | Hole]:
    """Each through the template; what that loses or doubles is a hole."""
    ends = [tags.decode([token_id]) for token_id in tags.eos_ids]
    for example in examples:
        if isinstance(example, Hole):
            yield example
            continue
        try:
            prompt = template.prompt(example.messages)
            response = response_after(prompt.opening, example.target, ends)
        except BadRow as bad:
            yield Hole(example.where, bad.reason, bad.detail)
            continue
        yield SFTExample(prompt.ids, response, example.where)
