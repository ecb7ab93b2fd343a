"""A speed-up as text, and the word that fits it: what reads 1.00× changed nothing."""

from __future__ import annotations

__all__ = ["compared", "times"]


def times(value: float | None) -> str:
    """``1.74×``; a dash where it is not known."""
    return "–" if value is None else f"{value:.2f}×"


def compared(value: float | None, better: str, worse: str, same: str) -> str:
    """The word for a speed-up as :func:`times` shows it."""
    if value is None:
        return "not measured"
    shown = round(value, 2)
    return same if shown == 1 else better if shown > 1 else worse
