"""Marked vertical lines of a histogram, and where their labels have room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["LETTER", "Mark", "marks"]

Name = Literal["fixed", "mean"]
Anchor = Literal["start", "end"]
Span = tuple[float, float]
LETTER, GAP = 7.0, 6.0  # SVG units: a letter of a label at most, and from the line to its label


@dataclass(frozen=True)
class Mark:
    """A vertical line at ``at``; its label begins or ends (``anchor``) at ``x``, and is "" without room."""

    name: Name
    at: float
    label: str
    x: float
    anchor: Anchor


def marks(mean: tuple[float, str], fixed: Sequence[tuple[float, str]], box: Span) -> tuple[Mark, ...]:
    """The lines, the mean's last; labels stand outside of the two lines where there is room.

    The mean's is placed first. The other goes without where both sides are taken: the axis has its figure.

    Args:
        mean: where it lies and its label.
        fixed: the same of the other line, if there is one.
        box: from where to where labels may reach.
    """
    to_the_right = all(mean[0] >= at for at, _ in fixed)
    drawn, taken = _labelled("mean", *mean, box, to_the_right)
    return *(_labelled("fixed", *line, box, not to_the_right, taken)[0] for line in fixed), drawn


def _labelled(
    name: Name, at: float, label: str, box: Span, to_the_right: bool, taken: Span = (0.0, 0.0)
) -> tuple[Mark, Span]:
    """A line, its label on the side asked for or else on the other; and from where to where that reaches."""
    length = GAP + LETTER * len(label)
    spans: dict[Anchor, Span] = {"start": (at, at + length), "end": (at - length, at)}
    for anchor in sorted(spans, key=lambda anchor: (anchor == "start") != to_the_right):
        left, right = spans[anchor]
        if box[0] <= left and right <= box[1] and (right <= taken[0] or left >= taken[1]):
            return Mark(name, at, label, at + (GAP if anchor == "start" else -GAP), anchor), (left, right)
    return Mark(name, at, "", at, "start"), taken
