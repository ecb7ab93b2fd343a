"""Percentile bootstrap of means over problems, of the median and of the greatest.

What is drawn with replacement are problems, each with all of its samples: samples of one problem are not
independent. A problem enters as the mean over its samples, so the mean over problems is avg@k. Two
evaluations of the same problems are drawn together, which is what makes the interval of their difference
narrower than either's own.

The interval says how far the figure would move on other problems of the same kind. On few problems it is
too narrow: of normal values it held the true mean in 90 % of 1500 trials with 10 problems, 92 % with 20 and
95 % with 100. Where all problems have the same value (one problem, every answer right) it has no width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tw_plugins.errors import UserError

__all__ = [
    "BootstrapError",
    "Interval",
    "difference_of_means",
    "greatest",
    "mean",
    "median",
    "ratio_of_means",
]

LEVEL = 0.95
RESAMPLES = 5_000
SEED = 0
_CHUNK = 1 << 21  # drawn problems held at a time: 16 MiB of indices

Array = np.ndarray[Any, np.dtype[np.float64]]
Summary = Callable[..., Any]  # of an array along an axis, as np.mean


class BootstrapError(UserError, ValueError):
    """Values that have no interval."""


class Interval(NamedTuple):
    """A figure, and the ends of its confidence interval."""

    value: float
    low: float
    high: float


def mean(values: Sequence[float], resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """Mean of (N,) values, one per problem.

    Raises:
        BootstrapError: there is no value, or one is not finite.
    """
    return _interval([values], lambda means: means[:, 0], resamples, seed)


def difference_of_means(
    own: Sequence[float], other: Sequence[float], resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """Mean of (N,) ``own`` minus mean of (N,) ``other``; place i of both is the same problem.

    Raises:
        BootstrapError: as :func:`mean`, or the two differ in length.
    """
    return _interval([own, other], lambda means: means[:, 0] - means[:, 1], resamples, seed)


def ratio_of_means(
    numerator: Sequence[float], denominator: Sequence[float], resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """Mean of (N,) ``numerator`` over mean of (N,) ``denominator``; place i of both is the same problem.

    Raises:
        BootstrapError: as :func:`difference_of_means`, or a denominator is not above 0.
    """
    if any(value <= 0 for value in denominator):
        raise BootstrapError(f"a denominator is {min(denominator)}: each must be above 0")
    return _interval([numerator, denominator], lambda means: means[:, 0] / means[:, 1], resamples, seed)


def median(values: Sequence[float], resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """Median of (N,) values, one per problem.

    Raises:
        BootstrapError: as :func:`mean`.
    """
    return _interval([values], lambda middles: middles[:, 0], resamples, seed, np.median)


def greatest(values: Sequence[float], resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """Greatest of (N,) values. No resample has a greater one, so the interval ends at the value itself.

    Raises:
        BootstrapError: as :func:`mean`.
    """
    return _interval([values], lambda tops: tops[:, 0], resamples, seed, np.max)


def _interval(
    columns: Sequence[Sequence[float]],
    figure: Callable[[Array], Array],
    resamples: int,
    seed: int,
    summary: Summary = np.mean,
) -> Interval:
    """``figure`` of the (1, M) summaries of M columns, and percentiles of that of (R, M) resampled ones."""
    values = _table(columns)
    drawn = figure(_resampled(values, resamples, seed, summary))
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(figure(summary(values, axis=0)[None])[0]), float(low), float(high))


def _table(columns: Sequence[Sequence[float]]) -> Array:
    """(N, M) values, problems by columns."""
    if len(lengths := {len(column) for column in columns}) > 1:
        raise BootstrapError(f"paired values differ in number: {' and '.join(map(str, sorted(lengths)))}")
    if lengths == {0}:
        raise BootstrapError("there is no value to resample")
    values = np.array(columns, dtype=np.float64).T
    if not np.isfinite(values).all():
        raise BootstrapError("a value is not finite")
    return values


def _resampled(values: Array, resamples: int, seed: int, summary: Summary) -> Array:
    """(R, M) summaries of N problems drawn with replacement, the same ones for every column."""
    generator, size = np.random.default_rng(seed), len(values)
    rows = max(1, _CHUNK // size)
    chunks = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    return np.concatenate(
        [summary(values[generator.integers(size, size=(chunk, size))], axis=1) for chunk in chunks]
    )
