"""A trajectory as a fork-join timeline: tokens on x, threads as lanes, all of it from its spans.

::

    ━━ sequential ━━┬━━ thread 1 ━━━━━┬━━ sequential ━━
                    ├━━ thread 2 ━━┄┄┄┤
                    └━━ thread 3 ━━━━━┘
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tw_plugins.charts import Tick, nice_ticks
from tw_plugins.grammar import TAGS

__all__ = ["Lane", "Piece", "Timeline", "axis_ticks", "coloured", "timeline"]

COLOURS = 6  # lanes beyond repeat them
W, LEFT, RIGHT, TOP = 960, 12, 12, 10
BAR, GAP, AXIS = 22, 10, 34
_TAG = re.compile("(" + "|".join(map(re.escape, TAGS)) + ")")
_NUMBER = re.compile(r"\s*(\d+):")


@dataclass(frozen=True)
class Lane:
    """One request: a bar of ``width`` at (x, y). ``colour`` 0 is sequential, 1..COLOURS a thread's.

    ``wait``: x where its block joins; a shorter thread waits from its end until there.
    """

    x: float
    y: float
    width: float
    colour: int
    label: str
    title: str
    wait: float | None = None


@dataclass(frozen=True)
class Fork:
    """Where a block opens and joins: x of both, y of its first and last lane's middle."""

    x: float
    end: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Timeline:
    """Everything to draw, in SVG user units."""

    width: int
    height: float
    bar: int
    lanes: tuple[Lane, ...]
    forks: tuple[Fork, ...]
    ticks: tuple[Tick, ...]
    axis: float
    baseline: Lane | None


@dataclass(frozen=True)
class Piece:
    """A stretch of a trajectory's text: ``kind`` is "tag", "text", or "thread", with the thread's colour."""

    kind: str
    colour: int
    text: str


def timeline(
    spans: Sequence[Mapping[str, Any]], baseline_tokens: int | None = None, noun: str = "tokens"
) -> Timeline:
    """Lanes of a trajectory.

    Args:
        spans: requests in order: ``block``, ``thread`` (None outside a thread) and ``tokens``.
        baseline_tokens: length of a sequential answer to the same problem, drawn below.
        noun: what ``tokens`` counts.
    """
    blocks = [(block, list(group)) for block, group in groupby(spans, key=lambda span: span["block"])]
    longest = sum(_duration(block, group) for block, group in blocks)
    span = max(longest, baseline_tokens or 0, 1)
    unit = (W - LEFT - RIGHT) / span
    lanes: list[Lane] = []
    forks: list[Fork] = []
    start = 0
    for block, group in blocks:
        x, end = LEFT + start * unit, LEFT + (start + _duration(block, group)) * unit
        if block is None:
            lanes += _in_a_row(group, x, unit, noun)
        else:
            lanes += [_lane(span, row, x, unit, end, noun) for row, span in enumerate(group)]
            forks.append(Fork(round(x, 2), round(end, 2), TOP + BAR / 2, _y(len(group) - 1) + BAR / 2))
        start += _duration(block, group)
    bottom = max((lane.y for lane in lanes), default=TOP) + BAR + GAP
    ending = None
    if baseline_tokens is not None:
        ending = _sequential(baseline_tokens, LEFT, bottom + GAP, unit, "baseline, sequential", noun)
        bottom = ending.y + BAR + GAP
    return Timeline(W, bottom + AXIS, BAR, tuple(lanes), tuple(forks), axis_ticks(span), bottom, ending)


def coloured(text: str) -> list[Piece]:
    """The text cut at its control tags, threads with the colours of their lanes. Any text will do."""
    pieces: list[Piece] = []
    colour = 0
    parts = _TAG.split(text)
    for index, part in enumerate(parts):
        if _TAG.fullmatch(part):
            if part == "<Thread>":
                number = _NUMBER.match(parts[index + 1])
                colour = _colour(int(number[1])) if number else 0
            pieces.append(Piece("tag", colour, part))
            colour = 0 if part == "</Thread>" else colour
        elif part:
            pieces.append(Piece("thread" if colour else "text", colour, part))
    return pieces


def _duration(block: int | None, group: Sequence[Mapping[str, Any]]) -> int:
    tokens = [span["tokens"] for span in group]
    return sum(tokens) if block is None else max(tokens)


def _in_a_row(group: Sequence[Mapping[str, Any]], x: float, unit: float, noun: str) -> Iterator[Lane]:
    for span in group:
        yield _sequential(span["tokens"], x, TOP, unit, "sequential", noun)
        x += span["tokens"] * unit


def _sequential(tokens: int, x: float, y: float, unit: float, name: str, noun: str) -> Lane:
    width = round(tokens * unit, 2)
    label = f"{name} · {tokens}" if width > 150 else str(tokens)
    return Lane(round(x, 2), y, width, 0, label if width > 28 else "", f"{name}: {tokens} {noun}")


def _lane(span: Mapping[str, Any], row: int, x: float, unit: float, wait: float, noun: str) -> Lane:
    tokens, number = span["tokens"], span["thread"]
    width = round(tokens * unit, 2)
    label = f"thread {number} · {tokens}" if width > 110 else f"{number} · {tokens}" if width > 50 else ""
    title = f"block {span['block']}, thread {number}: {tokens} {noun}"
    return Lane(round(x, 2), _y(row), width, _colour(number), label, title, round(wait, 2))


def _y(row: int) -> float:
    return TOP + row * (BAR + GAP)


def _colour(number: int) -> int:
    return (number - 1) % COLOURS + 1


def axis_ticks(span: float) -> tuple[Tick, ...]:
    """Ticks of an axis over the whole width, 0 to ``span``."""
    unit = (W - LEFT - RIGHT) / span
    return tuple(Tick(round(LEFT + at * unit, 2), f"{at:g}") for at in nice_ticks(0, span, 9) if at <= span)
