r"""The final answer of a response: the last complete ``\boxed{…}`` after ``</think>``."""

from __future__ import annotations

import re

_BOXED = re.compile(r"\\boxed\s*\{")


def extract_answer(text: str) -> str | None:
    r"""Returns what the last complete ``\boxed{…}`` of ``text`` holds, or None.

    When ``text`` has a ``</think>``, only what follows the first one counts: a box inside the reasoning, or
    inside a thread, is not the answer. Of nested boxes the innermost is taken. An empty box is no answer.
    """
    _, closed, after = text.partition("</think>")
    scope = after if closed else text
    for opening in reversed(list(_BOXED.finditer(scope))):
        end = _closing_brace(scope, opening.end())
        if end is not None:
            return scope[opening.end() : end].strip() or None
    return None


def _closing_brace(text: str, start: int) -> int | None:
    r"""Position of the ``}`` that closes the group opened just before ``start``. ``\}`` does not count."""
    depth, i = 1, start
    while i < len(text):
        if text[i] == "\\":
            i += 2
            continue
        depth += {"{": 1, "}": -1}.get(text[i], 0)
        if depth == 0:
            return i
        i += 1
    return None
