r"""The final answer of a response: what its last box holds, or its last line where that is asked for."""

from __future__ import annotations

import re

__all__ = ["extract_answer", "without_end_tokens"]

_BOX = re.compile(r"\\(?:boxed|fbox)(?![A-Za-z])\s*")
# TeX's box of one token, ``\boxed 5``; of a word ("the \boxed command") it is prose.
_TOKEN = re.compile(
    r"(?=[-+]?[\d.\\(\[]|[A-Za-z](?![A-Za-z]))(?!\\(?:boxed|fbox))(?:[^\s{}$]|\{[^{}]*\}){1,200}"
)
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_LINE = re.compile(r"[\s#>*_]*(?:final\s+)?answer\s*(?:is\s*)?[*_]*\s*[:：]\s*[*_]*\s*(.*)", re.IGNORECASE)  # noqa: RUF001
_LONGEST_LINE = 4000  # characters; a longer one is no answer
_END_TOKENS = re.compile(r"(?:<\|[^<>|]*\|>|</s>|\s)+$")


def extract_answer(text: str, answer_line: bool = False) -> str | None:
    r"""Returns what the last complete ``\boxed{…}`` or ``\fbox{…}`` of ``text`` holds, or None.

    When ``text`` has a ``</think>``, only what follows the first one counts: a box inside the reasoning, or
    inside a thread, is not the answer. Of nested boxes the innermost is taken. An empty box is no answer.

    Args:
        answer_line: a last line ``Answer: …`` counts too, and before any box above it.
    """
    _, closed, after = text.partition("</think>")
    scope = after if closed else text
    return (_last_line(scope) if answer_line else None) or _last_box(scope)


def without_end_tokens(text: str) -> str:
    """The text without the tokens that ended it, and the white space around them."""
    head, tail = text[:-_LONGEST_LINE], text[-_LONGEST_LINE:]
    return head + _END_TOKENS.sub("", tail)


def _last_box(text: str) -> str | None:
    closing = _closing_braces(text)
    for box in reversed(list(_BOX.finditer(text))):
        end = closing.get(box.end())
        if end is not None:
            return text[box.end() + 1 : end].strip() or None
        if token := _TOKEN.match(text, box.end()):
            return token[0]
    return None


def _last_line(text: str) -> str | None:
    """What follows ``Answer:`` on the last line that is not empty; a box there is opened."""
    line = without_end_tokens(text[-_LONGEST_LINE:]).rpartition("\n")[2]
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    return _last_box(match[1]) or match[1].strip(" *_") or None


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
