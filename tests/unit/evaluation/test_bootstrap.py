"""The bootstrap against a slow loop, and against what its level promises."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
import pytest

from tw_plugins.evaluation import bootstrap
from tw_plugins.evaluation.bootstrap import (
    BootstrapError,
    difference_of_means,
    greatest,
    mean,
    median,
    ratio_of_means,
)

OWN = [1.0, 0.0, 0.5, 1.0, 0.25, 0.75, 1.0]
OTHER = [2.0, 3.0, 2.5, 4.0, 1.0, 1.5, 2.0]


def slow_bca(
    figure: Callable[[Sequence[int]], float], size: int, resamples: int, seed: int
) -> tuple[float, float]:
    """Efron's BCa (1987), drawn and counted one resample at a time, at Student's level."""
    generator, normal = random.Random(seed), statistics.NormalDist()
    drawn = sorted(figure([generator.randrange(size) for _ in range(size)]) for _ in range(resamples))
    point = figure(range(size))
    below = sum(value < point for value in drawn) + sum(value == point for value in drawn) / 2
    bias = normal.inv_cdf(below / resamples)
    without = [figure([i for i in range(size) if i != left]) for left in range(size)]
    apart = [fmean(without) - value for value in without]
    skew = sum(x**3 for x in apart) / (6 * sum(x**2 for x in apart) ** 1.5)
    reach = STUDENT[size - 1] * math.sqrt(size / (size - 1))

    def end(z: float) -> float:
        share = normal.cdf(bias + (bias + z) / (1 - skew * (bias + z)))
        return drawn[round(share * (resamples - 1))]

    return end(-reach), end(reach)


STUDENT = {6: 2.4469}  # 97.5 % quantile by degrees of freedom, of a table

FIGURES = {
    "mean": (lambda: mean(OWN, 40_000), lambda draw: fmean(OWN[i] for i in draw)),
    "difference": (
        lambda: difference_of_means(OWN, OTHER, 40_000),
        lambda draw: fmean(OWN[i] for i in draw) - fmean(OTHER[i] for i in draw),
    ),
    "ratio": (
        lambda: ratio_of_means(OWN, OTHER, 40_000),
        lambda draw: fmean(OWN[i] for i in draw) / fmean(OTHER[i] for i in draw),
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_is_that_of_the_slow_loop(name: str) -> None:
    """Other draws, so the ends agree to what 40,000 of them leave open."""
    fast, figure = FIGURES[name]
    found = fast()
    low, high = slow_bca(figure, len(OWN), 40_000, seed=3)
    assert found.value == pytest.approx(figure(range(len(OWN))))
    assert found.low == pytest.approx(low, abs=0.04 * (high - low))
    assert found.high == pytest.approx(high, abs=0.04 * (high - low))


def test_the_median_and_the_greatest_stay_among_the_values() -> None:
    middle, top = median(OTHER), greatest(OTHER)
    assert middle.value == 2.0 and {middle.low, middle.high} <= {1.0, 1.5, 2.0, 2.5, 3.0, 4.0}
    assert 1.0 <= middle.low < 2.0 < middle.high <= 4.0
    assert (top.value, top.high) == (4.0, 4.0) and top.low < 4.0


def test_chunks_draw_what_one_piece_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mean(OWN, 500, 1)
    monkeypatch.setattr(bootstrap, "_CHUNK", 40)
    assert mean(OWN, 500, 1) == pytest.approx(whole)


def test_the_seed_decides() -> None:
    values = [random.Random(0).gauss(0, 1) for _ in range(30)]
    values = [value + 0.1 * place for place, value in enumerate(values)]
    assert mean(values, seed=1) == mean(values, seed=1) != mean(values, seed=2)


def test_pairs_are_drawn_together() -> None:
    shifted = [value + 1 for value in OTHER]
    assert tuple(difference_of_means(shifted, OTHER)) == pytest.approx((1, 1, 1))
    doubled = [2 * value for value in OTHER]
    assert tuple(ratio_of_means(doubled, OTHER)) == pytest.approx((2, 2, 2))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("values", [[0.25], [1.0, 1.0, 1.0]])
def test_values_that_do_not_differ_are_a_point(values: list[float]) -> None:
    assert len(set(mean(values))) == len(set(median(values))) == len(set(greatest(values))) == 1


def test_few_or_equal_values_keep_their_width() -> None:
    """Two problems leave nothing but their range; most resamples of a median may be one value."""
    assert tuple(mean([2.0, 4.0])) == (3, 2, 4)
    assert tuple(median([1.0, 1.0, 0.0, 1.0, 1.0])) == (1, 0, 1)


@pytest.mark.parametrize("size", [10, 20, 60])
def test_the_interval_covers_about_as_often_as_it_says(size: int) -> None:
    """19 in 20 intervals of normal values hold the true mean, of few ones too; binomial error 0.7 %."""
    generator = np.random.default_rng(0)
    drawn = generator.normal(5, 2, size=(1000, size))
    found = [mean(values.tolist(), resamples=1000, seed=i) for i, values in enumerate(drawn)]
    covered = fmean(interval.low <= 5 <= interval.high for interval in found)
    assert 0.925 < covered < 0.97


def test_the_width_is_that_of_the_standard_error() -> None:
    values = np.random.default_rng(1).normal(size=400)
    found = mean(values.tolist())
    assert found.high - found.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean([]), "no value"),
        (lambda: mean([1.0, float("nan")]), "not finite"),
        (lambda: difference_of_means([1.0], [1.0, 2.0]), "differ in number: 1 and 2"),
        (lambda: ratio_of_means([1.0], [0.0]), "a denominator is 0.0: each must be above 0"),
    ],
)
def test_values_without_an_interval(call: object, message: str) -> None:
    with pytest.raises(BootstrapError, match=message):
        call()  # type: ignore[operator]
