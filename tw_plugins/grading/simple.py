"""Two expressions that can be compared by reading them: words, numerals of a base, plain numbers."""

from __future__ import annotations

from tw_plugins.grading.numbers import are_equal, plain_number
from tw_plugins.grading.numerals import compare_numerals
from tw_plugins.grading.words import compare_words, word

__all__ = ["compare_simply"]


def compare_simply(answer: str, reference: str, tolerance: float = 0.0) -> bool | None:
    """Whether the two are the same; None where one is anything else."""
    # Words first: LaTeX multiplies their letters.
    same = compare_words(answer, reference)
    if same is None:
        same = compare_numerals(answer, reference)
    if same is not None:
        return same
    given, wanted = plain_number(answer), plain_number(reference)
    if given and wanted:
        return are_equal(given, wanted, tolerance)
    # No word of several letters is a number.
    return False if (given and len(word(reference)) > 1) or (wanted and len(word(answer)) > 1) else None
