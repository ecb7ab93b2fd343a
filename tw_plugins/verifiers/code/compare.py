"""What a program answered, held against what is expected."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["same_text", "same_value"]


def same_text(output: str, expected: str, tolerance: float = 0.0) -> bool:
    """Line by line, without white space at their ends and empty lines at the end.

    Args:
        tolerance: where it is not 0, lines are compared word by word, and words that are numbers as such.
    """
    first, second = ([line.rstrip() for line in text.rstrip().splitlines()] for text in (output, expected))
    if first == second or not tolerance or len(first) != len(second):
        return first == second
    return all(_near_lines(a.split(), b.split(), tolerance) for a, b in zip(first, second, strict=True))


def _near_lines(a: list[str], b: list[str], tolerance: float) -> bool:
    return len(a) == len(b) and all(_near_words(*pair, tolerance) for pair in zip(a, b, strict=True))


def _near_words(a: str, b: str, tolerance: float) -> bool:
    try:
        return a == b or _near(float(a), float(b), tolerance)
    except ValueError:
        return False


def same_value(value: Any, expected: Any, tolerance: float = 0.0) -> bool:
    """Whether it is the expected value of JSON, which has lists for tuples, and text for keys."""
    if isinstance(expected, list):
        return (
            isinstance(value, list | tuple)
            and len(value) == len(expected)
            and all(same_value(*pair, tolerance) for pair in zip(value, expected, strict=True))
        )
    if isinstance(expected, dict):
        named = {str(key): item for key, item in value.items()} if isinstance(value, dict) else {}
        return named.keys() == expected.keys() and all(
            same_value(named[key], item, tolerance) for key, item in expected.items()
        )
    if tolerance and all(isinstance(each, int | float) for each in (value, expected)):
        return _near(value, expected, tolerance)
    return bool(value == expected)


def _near(a: float, b: float, tolerance: float) -> bool:
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance)
