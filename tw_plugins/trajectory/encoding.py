"""Text of a trajectory → ids, in the same pieces as inference makes them, so that training sees its ids.

A tokenizer merges across the border of what is injected and what is sampled (``:`` and `` a``, say), but in a
rollout the two are separate pieces. Here injected strings are encoded alone and what the model samples
between them as one piece each:

       sampled    |        injected        |   sampled    |     injected     |   sampled    | injected |
    … </Outlines> | "\\n" <Thread> "\\n1:" | … </Thread> | <Thread> "\\n2:" | … </Thread> |   "\\n"   | …
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tw_plugins.trajectory.tags import ControlTokens

# What is injected: header of the first thread, header of a sibling, newline after the last thread.
# The last alternative matches behind every </Thread>, if need be nothing: so it comes after the sibling's.
# Tags in look-behinds are not part of the match: the model samples them.
_INJECTED = re.compile(
    r"(?<=</Outlines>)\s*<Thread>\s*(?P<first>[1-9]\d*):"
    r"|(?<=</Thread>)\s*<Thread>\s*(?P<sibling>[1-9]\d*):"
    r"|(?<=</Thread>)\n?"
)


def encode_trajectory(text: str, tags: ControlTokens) -> list[int]:
    """Ids of a response (all that follows the prompt, end-of-sequence text included).

    Headers are written as inference writes them, whatever white space they have in ``text`` (``<Thread>1:``
    too), and the newline after the last thread is there even if ``text`` has none. Nothing is validated:
    ``trajectory.validate`` does that.
    """
    ids: list[int] = []
    end = 0
    for match in _INJECTED.finditer(text):
        ids += tags.encode(text[end : match.start()])
        ids += _injected(match, tags)
        end = match.end()
    return ids + tags.encode(text[end:])


def sampled_texts(text: str) -> Iterator[tuple[int | None, int | None, str]]:
    """What parallel inference samples of a response: block, thread (both None outside a thread) and text.

    Nothing is validated; blocks are counted from 1 as they open.
    """
    block, thread, end = 0, None, 0
    for match in _INJECTED.finditer(text):
        yield None if thread is None else block, thread, text[end : match.start()]
        # After the yield: the piece before a first header still stands outside of the block.
        block += match["first"] is not None
        number = match["first"] or match["sibling"]
        thread, end = int(number) if number else None, match.end()
    yield None if thread is None else block, thread, text[end:]


def _injected(match: re.Match[str], tags: ControlTokens) -> tuple[int, ...]:
    if match["first"]:
        return tags.header(int(match["first"]), True)
    if match["sibling"]:
        return tags.header(int(match["sibling"]), False)
    return tags.join_newline
