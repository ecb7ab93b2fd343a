r"""The final answer of a response: the last complete ``\boxed{…}`` after ``</think>``."""

from __future__ import annotations

import re

_BOXED = re.compile(r"\\boxed\s*\{")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)


def extract_answer(text: str) -> str | None:
    r"""Returns what the last complete ``\boxed{…}`` of ``text`` holds, or None.

    When ``text`` has a ``</think>``, only what follows the first one counts: a box inside the reasoning, or
    inside a thread, is not the answer. Of nested boxes the innermost is taken. An empty box is no answer.
    """
    _, closed, after = text.partition("</think>")
    scope = after if closed else text
    closing = _closing_braces(scope)
    for opening in reversed(list(_BOXED.finditer(scope))):
        end = closing.get(opening.end() - 1)
        if end is not None:
            return scope[opening.end() : end].strip() or None
    return None


def _closing_braces(text: str) -> dict[int, int]:
    r"""Position of each ``{`` that is closed → that of its ``}``. ``\{`` and ``\}`` do not count.

    One pass over the text: a response may be a hundred thousand boxes that are never closed.
    """
    closing: dict[int, int] = {}
    opened: list[int] = []
    for match in _BRACE.finditer(text):
        if match[0] == "{":
            opened.append(match.start())
        elif match[0] == "}" and opened:
            closing[opened.pop()] = match.start()
    return closing
