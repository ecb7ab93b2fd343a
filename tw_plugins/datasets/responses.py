"""Where a prompt ends and its response begins and ends: what both write stands once."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tw_plugins.datasets.holes import BadRow

__all__ = ["response_after", "without_end"]

_TAG = re.compile(r"<[^<>\s]+>")


def response_after(opening: str, response: str, ends: Iterable[str]) -> str:
    r"""The part of a response that a model is to write behind a prompt, without the end of its turn.

    A template may open `<think>\n` itself, and a data set's response begins with it too: it stands in the
    prompt then, as in inference. A response may end with the end of turn, which is added to each.

    Args:
        opening: what the template wrote behind the last message.
        ends: texts of the tokens that end a turn.

    Raises:
        BadRow: nothing is left, a turn ends inside, or the template has closed what the response opens.
    """
    rest = _without_overlap(opening, response)
    rest = without_end(rest, tuple(ends))
    if not rest.strip():
        raise BadRow("empty response")
    if inside := [end for end in ends if end in rest]:
        raise BadRow("the response ends its turn inside", repr(inside[0]))
    if "<think>" in opening and rest.count("<think>") >= max(1, rest.count("</think>")):
        raise BadRow("<think> stands in the prompt and again in the response")
    return rest


def _without_overlap(opening: str, response: str) -> str:
    """What follows of the response once it has repeated tags with which the opening ends."""
    written, given = opening.rstrip(), response.lstrip()
    for match in _TAG.finditer(written):
        tail = written[match.start() :]
        if given.startswith(tail):
            rest = given[len(tail) :]
            return rest.lstrip() if opening != written else rest
    return response


def without_end(response: str, ends: tuple[str, ...]) -> str:
    """Ends of the turn, and the white space behind them, are cut off."""
    while (kept := response.rstrip()).endswith(ends):
        response = next(kept.removesuffix(end) for end in ends if kept.endswith(end))
    return response
