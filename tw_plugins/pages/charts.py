"""Geometry of the report's charts: numbers in, coordinates out. The template draws them as SVG.

Coordinates are SVG user units, y grows downwards; ``W``×``H`` is a chart's viewBox and
``LEFT``, ``RIGHT``, ``TOP``, ``BOTTOM`` are the margins for its labels.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tw_plugins.pages.chart_marks import Mark, marks

__all__ = [
    "HALF",
    "NARROW",
    "Bar",
    "Chart",
    "Line",
    "Tick",
    "histogram",
    "learning_curve",
    "nice_ticks",
    "side_of",
    "tally",
]

Point = tuple[float, float]
Side = Literal["below", "at", "above"]
SIDES: tuple[Side, ...] = ("below", "at", "above")
W, H = 360, 215
WIDE, TALL = 660, 300
HALF = 440, 235  # one of two columns
NARROW = W, H  # legible on a telephone
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 20, 28


@dataclass(frozen=True)
class Tick:
    """A label on an axis at coordinate ``at``."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """A curve: an SVG path, its last point for a dot, and the last value for the legend."""

    name: str
    path: str
    end: Point
    last: str


@dataclass(frozen=True)
class Bar:
    """A rectangle with a tooltip; ``side`` of the chart's mark, "above" where there is none."""

    x: float
    y: float
    width: float
    height: float
    title: str
    side: Side = "above"


@dataclass(frozen=True)
class Chart:
    """One chart: its box, axes, curves or bars, and marked vertical lines."""

    width: int
    height: int
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...] = ()
    bars: tuple[Bar, ...] = ()
    marks: tuple[Mark, ...] = ()

    @property
    def left(self) -> int:
        return LEFT

    @property
    def right(self) -> int:
        return self.width - RIGHT

    @property
    def top(self) -> int:
        return TOP

    @property
    def bottom(self) -> int:
        return self.height - BOTTOM


@dataclass(frozen=True)
class _Scale:
    """Linear map of ``low``..``high`` onto ``start``..``end``."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


def nice_ticks(low: float, high: float, count: int = 5) -> list[float]:
    """About ``count`` numbers, 1, 2 or 5 times a power of ten apart, that enclose ``low``..``high``."""
    if high <= low:
        low, high = low - (abs(low) * 0.1 or 0.5), high + (abs(high) * 0.1 or 0.5)
    rough = (high - low) / max(count - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(index * step, 10) for index in range(first, last + 1)]


def learning_curve(curves: Mapping[str, Sequence[Point]]) -> Chart:
    """Curves over steps that share both axes.

    Args:
        curves: name → (step, value) points, at least one point in all.
    """
    points = [point for curve in curves.values() for point in curve]
    steps = [step for step, _ in points]
    values = [value for _, value in points]
    y_values = nice_ticks(min(values), max(values), 5)
    first, last = min(steps), max(steps)
    x = _Scale(first, last if last > first else first + 1, LEFT, W - RIGHT)
    y = _Scale(y_values[0], y_values[-1], H - BOTTOM, TOP)
    return Chart(
        W,
        H,
        tuple(Tick(x(step), f"{step:g}") for step in nice_ticks(first, last, 6) if first <= step <= last),
        tuple(Tick(y(value), f"{value:g}") for value in y_values),
        lines=tuple(
            Line(
                name,
                _path([(x(a), y(b)) for a, b in curve]),
                (x(curve[-1][0]), y(curve[-1][1])),
                _short(curve[-1][1]),
            )
            for name, curve in curves.items()
            if curve
        ),
    )


def histogram(
    values: Sequence[float],
    mark: float | None = 1.0,
    bins: int = 24,
    unit: str = "×",
    nouns: tuple[str, str] = ("problem", "problems"),
    size: tuple[int, int] = (WIDE, TALL),
) -> Chart:
    """How often each value occurs, a speed-up by default, with a line at the mean.

    Args:
        values: at least one.
        mark: a line lies on it, and values below, at and above it have bars of their own, one on the other;
            None: no line, all are above.
        unit: after each number.
        nouns: one, and several, of what is counted.
        size: width and height.
    """
    width, height = size
    mean = sum(values) / len(values)
    shown = [*values] if mark is None else [*values, mark]
    edge_values = nice_ticks(min(shown), max(shown), 7)
    step = edge_values[1] - edge_values[0]
    bin_width = step / max(round(bins / (len(edge_values) - 1)), 1)
    low, high = edge_values[0], edge_values[-1]
    last = round((high - low) / bin_width) - 1
    counts = Counter(
        (min(int((value - low) / bin_width + 1e-9), last), side_of(value, mark)) for value in values
    )
    tallest = max(sum(counts[place, side] for side in SIDES) for place, _ in counts)
    y_values = [tick for tick in nice_ticks(0, tallest, 4) if tick == round(tick)]
    x = _Scale(low, high, LEFT, width - RIGHT)
    y = _Scale(0, y_values[-1], height - BOTTOM, TOP)
    bars: list[Bar] = []
    for place in sorted({place for place, _ in counts}):
        edges, bottom = (low + place * bin_width, low + (place + 1) * bin_width), 0
        for side in SIDES:
            if count := counts[place, side]:
                of = (mark,) if side == "at" and mark is not None else edges
                title = f"{' to '.join(map(_figure, of))}{unit}: {count} {nouns[count > 1]}"
                bars.append(_bar(edges, (bottom, bottom + count), title, side, x, y))
                bottom += count
    fixed = [] if mark is None else [(x(mark), f"{mark:.1f}{unit}")]
    return Chart(
        width,
        height,
        tuple(Tick(x(value), f"{value:,g}{unit}") for value in edge_values),
        tuple(Tick(y(value), f"{value:g}") for value in y_values),
        bars=tuple(bars),
        marks=marks((x(mean), f"mean {_figure(mean)}{unit}"), fixed, (LEFT, width)),
    )


def side_of(value: float, mark: float | None = 1.0) -> Side:
    """Where a value, a speed-up by default, lies; the same but for its last digits is ``at``."""
    if mark is None:
        return "above"
    if math.isclose(value, mark, rel_tol=1e-9):
        return "at"
    return "above" if value > mark else "below"


def tally(values: Sequence[int], nouns: tuple[str, str], size: tuple[int, int] = (WIDE, TALL)) -> Chart:
    """How often each whole number occurs, one bar each, with a line at the mean.

    Args:
        values: at least one.
        nouns: one, and several, of what is counted.
        size: width and height.
    """
    width, height = size
    mean, low, high = sum(values) / len(values), min(values), max(values)
    counts = Counter(values)
    y_values = [tick for tick in nice_ticks(0, max(counts.values()), 4) if tick == round(tick)]
    edge = max(1.0, 4 - (high - low) / 2)  # a few bars are not as wide as the chart
    x = _Scale(low - edge, high + edge, LEFT, width - RIGHT)
    y = _Scale(0, y_values[-1], height - BOTTOM, TOP)
    labels = [value for value in nice_ticks(low, high, 12) if value == round(value) and low <= value <= high]
    return Chart(
        width,
        height,
        tuple(Tick(x(value), f"{value:g}") for value in labels),
        tuple(Tick(y(value), f"{value:g}") for value in y_values),
        bars=tuple(
            Bar(
                x(value - 0.35),
                y(count),
                round(x(value + 0.35) - x(value - 0.35), 2),
                round(y(0) - y(count), 2),
                f"{value}: {count} {nouns[count > 1]}",
            )
            for value, count in sorted(counts.items())
        ),
        marks=marks((x(mean), f"mean {mean:.2f}"), [], (LEFT, width)),
    )


def _bar(edges: Point, counts: tuple[int, int], title: str, side: Side, x: _Scale, y: _Scale) -> Bar:
    left, right = x(edges[0]), x(edges[1])
    bottom, top = y(counts[0]), y(counts[1])
    return Bar(left + 0.75, top, round(right - left - 1.5, 2), round(bottom - top, 2), title, side)


def _path(points: Sequence[Point]) -> str:
    return "M" + " L".join(f"{x:g},{y:g}" for x, y in points)


def _short(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _figure(value: float) -> str:
    return f"{value:.2f}" if abs(value) < 100 else f"{value:,.0f}"
