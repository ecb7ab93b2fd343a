r"""Numerals of a base: ``2516_9`` is the same numeral of the same base, never a value.

So the problem copied ("write ``43_7`` in base ten") is no answer, and a base that is dropped is one.
"""

from __future__ import annotations

import re

__all__ = ["compare_numerals"]

_NUMERAL = re.compile(r"\(?([0-9][0-9A-Za-z]*)\)?\s*_\s*(?:\{\s*\(?\s*([0-9]+)\s*\)?\s*\}|([0-9]))")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def compare_numerals(answer: str, reference: str) -> bool | None:
    """Whether two numerals are the same; None where neither names a base, or one is none."""
    given, wanted = _numeral(answer), _numeral(reference)
    if given is None and wanted is None:
        return None
    given, wanted = given or _of_ten(answer), wanted or _of_ten(reference)
    return given == wanted if given and wanted else None


def _numeral(text: str) -> tuple[str, int] | None:
    """Digits and base; None where no base is named, or a digit that it does not have."""
    match = _NUMERAL.fullmatch(text.strip())
    if match is None:
        return None
    digits, base = match[1].lower().lstrip("0") or "0", int(match[2] or match[3])
    return (digits, base) if set(digits) <= set(_DIGITS[:base]) else None


def _of_ten(text: str) -> tuple[str, int] | None:
    bare = text.replace(",", "").lstrip("0") or "0"
    return (bare, 10) if bare.isdigit() else None
