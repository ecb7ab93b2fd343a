"""Two or more ways of doing the same, timed in turns in one process."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Spread", "Timing", "compare"]

WARM_UP = 1


@dataclass(frozen=True)
class Spread:
    """A figure over the repeats."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Median and extremes of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Timing:
    """One way.

    Attributes:
        seconds: median over the repeats.
        ratio, ratio_min, ratio_max: median and extremes of its seconds over those of the first way, repeat by
            repeat; above 1 where the first way is faster.
    """

    seconds: float
    ratio: float
    ratio_min: float
    ratio_max: float


def compare(ways: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, Timing]:
    """Each way once per repeat, in turns, after a warm-up of each; the others are held against the first.

    Raises:
        ValueError: fewer than one repeat.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}, must be at least 1")
    for way in list(ways.values()) * WARM_UP:
        way()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    first = next(iter(seconds.values()))
    return {name: _timing(own, first) for name, own in seconds.items()}


def _timing(own: list[float], first: list[float]) -> Timing:
    ratio = Spread.of([mine / ours for mine, ours in zip(own, first, strict=True)])
    return Timing(statistics.median(own), ratio.median, ratio.least, ratio.most)
