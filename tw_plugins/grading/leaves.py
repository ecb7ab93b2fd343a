"""The leaves of an answer: read where that is enough, else what SymPy makes of them."""

from __future__ import annotations

from tw_plugins.grading.exact import are_same_texts
from tw_plugins.grading.latex import ReadError, read
from tw_plugins.grading.real_sets import KNOWN_SETS
from tw_plugins.grading.simple import compare_simply

__all__ = ["are_same_leaves", "can_be_read"]


def are_same_leaves(answer: str, reference: str, tolerance: float = 0.0) -> bool:
    """Whether two expressions, as normalised LaTeX, are the same."""
    same = compare_simply(answer, reference, tolerance)
    return are_same_texts(answer, reference, tolerance) if same is None else same


def can_be_read(text: str) -> bool:
    """Whether one expression can be compared with anything but a copy of itself."""
    if text in KNOWN_SETS or compare_simply(text, text) is not None:
        return True
    try:
        read(text)
    except ReadError:
        return False
    return True
