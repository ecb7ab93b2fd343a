"""Seconds of steps against the sum of their formula, and the fit against times that are known."""

from __future__ import annotations

from dataclasses import astuple
from itertools import product

import pytest

from tw_plugins.planning.simulation import ServiceTimes
from tw_plugins.planning.simulation.fit import Measured, fit

TIMES = ServiceTimes(0.01, 0.001, 1e-5, 1e-4, 0.02, kv_tokens=1000, block_size=32)


def test_steps_by_hand() -> None:
    summed = sum(0.01 + 0.001 * 3 + 1e-5 * (100 + 3 * step + 1.5) for step in range(40))  # mid-step
    assert TIMES.decoding(40, 3, 100) == pytest.approx(summed)


@pytest.mark.parametrize("context", [0.0, 1e-5])
def test_steps_of_seconds_are_the_inverse(context: float) -> None:
    times = ServiceTimes(0.01, 0.001, context, 0, 0, 1000)
    assert times.steps_in(times.decoding(17.25, 5, 300), 5, 300) == pytest.approx(17.25)


def test_a_fit_finds_the_times_that_made_the_runs() -> None:
    runs = [
        Measured(n, p, m, TIMES.decoding(m, n, n * p) + TIMES.prompt * n * p + TIMES.request)
        for n, p, m in product((1, 4, 16), (32, 512), (1, 64))
    ]
    assert astuple(fit(runs, 1000, 32)) == pytest.approx((*astuple(TIMES)[:5], 1000, 32, 1024))


def test_nothing_that_is_fitted_is_below_0() -> None:
    runs = [Measured(n, 10, 10, 1.0 / n) for n in (1, 2, 4)]  # more at once are faster
    assert min(astuple(fit(runs, 1000, 32))) >= 0
