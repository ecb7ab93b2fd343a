"""A trajectory as a fork-join timeline: tokens or seconds on x, threads as lanes, from its spans.

::

    ━━ sequential ━━┬━━ thread 1 ━━━━━┬━━ sequential ━━
                    ├━━ thread 2 ━━┄┄┄┤
                    └━━ thread 3 ━━━━━┘
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from tw_plugins.pages.charts import Tick, nice_ticks
from tw_plugins.trajectory import TAGS

__all__ = ["Lane", "Piece", "Timeline", "axis_ticks", "clock_timeline", "coloured", "timeline"]

COLOURS = 6  # lanes beyond repeat them
W, LEFT, RIGHT, TOP = 960, 12, 12, 10
BAR, GAP, AXIS = 22, 10, 34
PADDING, CHARACTER = 18, 8.5  # of a label: both sides, and the widest digit of a bold 12 px font
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
    """Lanes of a trajectory as long as their tokens: a block takes as long as its longest thread.

    Args:
        spans: requests in order: ``block``, ``thread`` (None outside a thread) and ``tokens``.
        baseline_tokens: length of a sequential answer to the same problem, drawn below.
        noun: what ``tokens`` counts.
    """
    blocks: list[list[_Bar]] = []
    start: float = 0
    for block, group in groupby(spans, key=lambda span: span["block"]):
        bars = []
        for row, span in enumerate(group):
            tokens = span["tokens"]
            bars.append(
                _Bar(block, span["thread"], 0 if block is None else row, start, tokens, f"{tokens:,}", noun)
            )
            start += tokens if block is None else 0
        start += 0 if block is None else max(bar.length for bar in bars)
        blocks.append(bars)
    ending = None
    if baseline_tokens is not None:
        ending = _Bar(None, None, 0, 0, baseline_tokens, f"{baseline_tokens:,}", noun)
    return _drawn(blocks, max(start, baseline_tokens or 0, 1), ending)


def clock_timeline(spans: Sequence[Mapping[str, Any]], wall_s: float) -> Timeline:
    """Lanes of a trajectory as the clock saw them, on an axis of ``wall_s`` seconds.

    Args:
        spans: like those of :func:`timeline`, with the ``seconds`` at which each was asked and answered.
    """
    blocks = []
    for block, group in groupby(spans, key=lambda span: span["block"]):
        bars = []
        for row, span in enumerate(group):
            asked, answered = span["seconds"]
            took = answered - asked
            text, noun = f"{took:.2f} s", f"for {span['tokens']} tokens"
            bars.append(_Bar(block, span["thread"], 0 if block is None else row, asked, took, text, noun))
        blocks.append(bars)
    return _drawn(blocks, wall_s, None)


@dataclass(frozen=True)
class _Bar:
    """A request before it is drawn: ``start`` and ``length`` in what the axis counts, ``text`` for people."""

    block: int | None
    thread: int | None
    row: int
    start: float
    length: float
    text: str
    noun: str

    @property
    def end(self) -> float:
        return self.start + self.length


def _drawn(blocks: Sequence[Sequence[_Bar]], span: float, baseline: _Bar | None) -> Timeline:
    """Bars, block by block, on an axis from 0 to ``span``."""
    unit = (W - LEFT - RIGHT) / span
    lanes: list[Lane] = []
    forks: list[Fork] = []
    for bars in blocks:
        if bars[0].block is None:
            lanes += [_sequential(bar, TOP, unit, "sequential") for bar in bars]
            continue
        x = LEFT + min(bar.start for bar in bars) * unit
        end = LEFT + max(bar.end for bar in bars) * unit
        lanes += [_lane(bar, unit, end) for bar in bars]
        forks.append(Fork(round(x, 2), round(end, 2), TOP + BAR / 2, _y(len(bars) - 1) + BAR / 2))
    bottom = max((lane.y for lane in lanes), default=TOP) + BAR + GAP
    ending = None
    if baseline is not None:
        ending = _sequential(baseline, bottom + GAP, unit, "baseline, sequential")
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


def _sequential(bar: _Bar, y: float, unit: float, name: str) -> Lane:
    width = round(bar.length * unit, 2)
    label = _label(width, f"{name} · {bar.text}", bar.text)
    title = f"{name}: {bar.text} {bar.noun}"
    return Lane(round(LEFT + bar.start * unit, 2), y, width, 0, label, title)


def _lane(bar: _Bar, unit: float, join: float) -> Lane:
    assert bar.thread is not None
    width = round(bar.length * unit, 2)
    label = _label(width, f"thread {bar.thread} · {bar.text}", f"{bar.thread} · {bar.text}")
    title = f"block {bar.block}, thread {bar.thread}: {bar.text} {bar.noun}"
    x = round(LEFT + bar.start * unit, 2)
    return Lane(x, _y(bar.row), width, _colour(bar.thread), label, title, round(join, 2))


def _label(width: float, *labels: str) -> str:
    """The first label that fits into a bar; "" when none does."""
    return next((label for label in labels if PADDING + CHARACTER * len(label) <= width), "")


def _y(row: int) -> float:
    return TOP + row * (BAR + GAP)


def _colour(number: int) -> int:
    return (number - 1) % COLOURS + 1


def axis_ticks(span: float) -> tuple[Tick, ...]:
    """Ticks of an axis over the whole width, 0 to ``span``."""
    unit = (W - LEFT - RIGHT) / span
    return tuple(Tick(round(LEFT + at * unit, 2), f"{at:,g}") for at in nice_ticks(0, span, 9) if at <= span)
