"""The bootstrap against a loop over the same resamples, and against what its level promises."""

from __future__ import annotations

import random
import statistics
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
CLOSE = {"rel": 1e-12, "abs": 1e-12}


def percentile(values: list[float], share: float) -> float:
    """Linear between the two nearest ranks."""
    ordered, place = sorted(values), share * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def resamples(size: int, count: int, seed: int) -> list[list[int]]:
    drawn: list[list[int]] = np.random.default_rng(seed).integers(size, size=(count, size)).tolist()
    return drawn


def test_every_figure_is_that_of_the_slow_loop() -> None:
    draws = resamples(len(OWN), 300, seed=3)
    own = [fmean(OWN[i] for i in draw) for draw in draws]
    other = [fmean(OTHER[i] for i in draw) for draw in draws]
    for figure, values, point in (
        (mean(OWN, 300, 3), own, fmean(OWN)),
        (median(OTHER, 300, 3), [statistics.median(OTHER[i] for i in draw) for draw in draws], 2.0),
        (greatest(OTHER, 300, 3), [max(OTHER[i] for i in draw) for draw in draws], max(OTHER)),
        (
            difference_of_means(OWN, OTHER, 300, 3),
            [a - b for a, b in zip(own, other, strict=True)],
            fmean(OWN) - fmean(OTHER),
        ),
        (
            ratio_of_means(OWN, OTHER, 300, 3),
            [a / b for a, b in zip(own, other, strict=True)],
            fmean(OWN) / fmean(OTHER),
        ),
    ):
        expected = (point, percentile(values, 0.025), percentile(values, 0.975))
        assert tuple(figure) == pytest.approx(expected, **CLOSE)


def test_chunks_draw_what_one_piece_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mean(OWN, 500, 1)
    monkeypatch.setattr(bootstrap, "_CHUNK", 40)
    assert mean(OWN, 500, 1) == whole


def test_the_seed_decides() -> None:
    values = [random.Random(0).gauss(0, 1) for _ in range(30)]
    values = [value + 0.1 * place for place, value in enumerate(values)]
    assert mean(values, seed=1) == mean(values, seed=1) != mean(values, seed=2)


def test_pairs_are_drawn_together() -> None:
    shifted = [value + 1 for value in OTHER]
    assert tuple(difference_of_means(shifted, OTHER)) == pytest.approx((1, 1, 1))
    doubled = [2 * value for value in OTHER]
    assert tuple(ratio_of_means(doubled, OTHER)) == pytest.approx((2, 2, 2))


def test_one_problem_is_a_point() -> None:
    assert tuple(mean([0.25])) == (0.25, 0.25, 0.25)


def test_the_interval_covers_about_as_often_as_it_says() -> None:
    """500 times 60 normal values; 19 in 20 intervals hold the true mean, binomial error 1 %."""
    generator = np.random.default_rng(0)
    found = [mean(generator.normal(5, 2, size=60).tolist(), resamples=400, seed=i) for i in range(500)]
    covered = fmean(interval.low <= 5 <= interval.high for interval in found)
    assert 0.91 < covered < 0.975


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
