"""Two leaves of an answer: words, then plain numbers, then what SymPy makes of them."""

from __future__ import annotations

from tw_plugins.grading.exact import are_same_texts
from tw_plugins.grading.numbers import are_equal, plain_number
from tw_plugins.grading.words import compare_words

__all__ = ["are_same_leaves"]


def are_same_leaves(answer: str, reference: str, tolerance: float = 0.0) -> bool:
    """Whether two expressions, as normalised LaTeX, are the same."""
    same = compare_words(answer, reference)
    if same is not None:
        return same
    given, wanted = plain_number(answer), plain_number(reference)
    if given and wanted:
        return are_equal(given, wanted, tolerance)
    return are_same_texts(answer, reference, tolerance)
