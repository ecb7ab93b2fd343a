r"""Answers that are words: ``Monday``, ``\text{no solution}``, a choice's letter, an order of letters.

math-verify multiplies letters, so that ``ACB`` is ``ABC``; here words are the same when their letters are, in
their order, and neither spaces nor points between single letters make another word of them.
"""

from __future__ import annotations

import re

__all__ = ["compare_words", "word"]

_TEXT = re.compile(r"\\text\s*\{([^{}\\]*)\}")
_LETTER = r"[^\W\d_]"  # of any script
_LETTERS = re.compile(rf"{_LETTER}(?:\s*(?:(?:\\cdot|\\times|\*)\s*)?{_LETTER})*")
_PATH = re.compile(r"[A-Z](?:\s*-\s*[A-Z]){2,}")  # A-C-B, from A over C to B
_BETWEEN = re.compile(r"\\cdot|\\times|[\W\d_]")


def compare_words(answer: str, reference: str) -> bool | None:
    """Whether two words are the same; None where one is none. In one or two bare letters case counts."""
    one, other = word(answer), word(reference)
    if not one or not other:
        return None
    if answer.isalpha() and reference.isalpha() and len(one) == len(other) <= 2:
        return answer == reference
    return one.lower() == other.lower()


def word(text: str) -> str:
    r"""The letters of ``ABC``, ``\text{(ABC)}``, ``D\cdot A`` or ``no solution``; empty for anything else."""
    bare = _TEXT.sub(r"\1", text).strip(" ().")
    return _BETWEEN.sub("", bare) if _LETTERS.fullmatch(bare) or _PATH.fullmatch(bare) else ""
