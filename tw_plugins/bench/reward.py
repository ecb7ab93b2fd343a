"""Grading: answers per second and the slowest honest one, without and with hostile answers among them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle

from tw_plugins.grading_pool import GradingPool

__all__ = ["RewardFigures", "bench_reward"]

HONEST = [
    (r"\frac{1}{2}", "0.5"),
    ("x^2-1", "(x-1)(x+1)"),
    (r"\sqrt{8}", r"2\sqrt{2}"),
    (r"\{1,2,3\}", r"\{3,2,1\}"),
    ("12.50", r"\frac{25}{2}"),
    ("(1,2]", "(1,2]"),
]
HOSTILE = [("9^{9^{9^{9}}}", "1"), ("1000000!!!", "2"), (r"\sum_{i=1}^{10^{12}} i!", "3")]


@dataclass(frozen=True)
class RewardFigures:
    """One mixture.

    Attributes:
        answers, hostile: graded in all, and of them hostile.
        per_s: answers per second.
        median_s, slowest_s: of the honest answers, the wait for a process included.
        wrong: honest answers that were not found equivalent; must be 0.
        replaced: processes that were killed or died, and replaced.
    """

    answers: int
    hostile: int
    per_s: float
    median_s: float
    slowest_s: float
    wrong: int
    replaced: int


def bench_reward(answers: int, hostile: int, processes: int, deadline_s: float) -> RewardFigures:
    """Grade `answers` from as many threads as there are processes, every so many of them a hostile one."""
    every = answers // hostile if hostile else answers + 1
    pairs = {True: cycle(HONEST), False: cycle(HOSTILE)}
    work = [(next(pairs[honest]), honest) for honest in ((i + 1) % every != 0 for i in range(answers))]
    pool = GradingPool(size=processes, deadline=deadline_s)
    with ThreadPoolExecutor(processes) as threads:
        list(threads.map(lambda pair: pool.equal(*pair), HONEST * processes))  # the processes start
        start = time.perf_counter()
        graded = list(threads.map(lambda item: _grade(pool, *item), work))
        seconds = time.perf_counter() - start
    pool.close()
    honest = [(took, equal) for took, equal, is_honest in graded if is_honest]
    times = [took for took, _ in honest]
    return RewardFigures(
        answers=answers,
        hostile=answers - len(honest),
        per_s=answers / seconds,
        median_s=statistics.median(times),
        slowest_s=max(times),
        wrong=sum(not equal for _, equal in honest),
        replaced=pool.stats.timeouts + pool.stats.crashes,
    )


def _grade(pool: GradingPool, pair: Sequence[str], honest: bool) -> tuple[float, bool, bool]:
    start = time.perf_counter()
    equal = pool.equal(*pair)
    return time.perf_counter() - start, equal, honest
