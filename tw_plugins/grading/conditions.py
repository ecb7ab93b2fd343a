r"""Conditions at the end of an answer: ``, k \in \mathbb{Z}``, ``\text{ where } n \text{ is an integer}``.

One side may leave its condition out; two must be the same. A condition that is part of the answer stays: of
``x \ne 0, x \ne 1`` and ``(0, 5), x \ne 2`` nothing goes.
"""

from __future__ import annotations

import re

__all__ = ["without_conditions"]

_BEFORE = (
    r"(?<![\s,;(])(?:[\s,;(]|\\forall(?![a-z])|\\land"
    r"|\\text\{\s*,?\s*(?:where|with|and|for(?: any| all| some| every| each)?(?: integers?)?)\s*\})*"
)
_MEMBER = (
    r"[A-Za-z]\s*\\in\s*(?:\\mathbb\{[ZNQR]\}(?:\s*[_^]\s*(?:[+*0]|\{[^{}]*\}))?"
    r"|\\text\{\s*integers?\s*\})"
)
_WHOLE = re.compile(rf"{_BEFORE}(?<![\\A-Za-z])({_MEMBER})\s*\)?\s*$")
_EXCEPT = re.compile(rf"{_BEFORE}(?<![\\A-Za-z])([A-Za-z]\s*\\ne\s*[-\d\w\s]+?)\s*\)?\s*$")
_IN_WORDS = re.compile(
    r"(?<![\s,;(])[\s,;(]*(\\text\{\s*,?\s*\(?\s*(?:where|for|assuming|given|since|because|when)(?![a-z])[^,;]*)$"
)
_RELATION = re.compile(r"[<>]|\\(?:ne|le|ge|in|notin|mathbb|infty|cup|setminus)(?![a-z])")


def without_conditions(answer: str, reference: str) -> tuple[str, str]:
    """Both without the condition that only one states, or both alike."""
    (given, one), (wanted, other) = _split(answer), _split(reference)
    return (answer, reference) if one and other and one != other else (given, wanted)


def _split(text: str) -> tuple[str, str]:
    """The answer and its condition, which is empty where there is none."""
    for pattern in (_WHOLE, _EXCEPT, _IN_WORDS):
        match = pattern.search(text)
        main = text[: match.start()].strip() if match else ""
        if match and main and not _belongs(main, pattern is _EXCEPT):
            return main, re.sub(r"[\s(),{}]", "", match[1])
    return text, ""


def _belongs(main: str, excludes: bool) -> bool:
    """Whether the answer is itself a condition or a set, of which this one takes something away."""
    return bool(_RELATION.search(main)) or (excludes and main[0] in "([")
