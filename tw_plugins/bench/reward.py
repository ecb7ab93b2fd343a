"""Grading: answers per second and the slowest honest one, without and with hostile answers among them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle

from tw_plugins.bench.timing import Spread
from tw_plugins.grading.pool import GradingPool

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
    """One mixture, over the repeats.

    Attributes:
        answers, hostile: graded in all per repeat, and of them hostile.
        per_s: answers per second.
        median_s: of the honest answers of a repeat, the wait for a process included.
        slowest_s: the slowest of a repeat.
        wrong: honest answers that were not found equivalent, in all repeats; must be 0.
        replaced: processes that were killed or died, and replaced, in all repeats.
    """

    answers: int
    hostile: int
    per_s: Spread
    median_s: Spread
    slowest_s: Spread
    wrong: int
    replaced: int


@dataclass(frozen=True)
class _Graded:
    """One repeat: its seconds, those of each honest answer, how many of them were found wrong, and how many
    processes were replaced."""

    seconds: float
    honest_s: list[float]
    wrong: int
    replaced: int


def bench_reward(
    answers: int, hostile: int, processes: int, deadline_s: float, repeats: int
) -> RewardFigures:
    """Grade `answers` from as many threads as there are processes, fewer `hostile` ones evenly among them."""
    work = _mixture(answers, hostile)
    graded = [_repeat(processes, deadline_s, work) for _ in range(repeats)]
    return RewardFigures(
        answers=answers,
        hostile=hostile,
        per_s=Spread.of([answers / each.seconds for each in graded]),
        median_s=Spread.of([statistics.median(each.honest_s) for each in graded]),
        slowest_s=Spread.of([max(each.honest_s) for each in graded]),
        wrong=sum(each.wrong for each in graded),
        replaced=sum(each.replaced for each in graded),
    )


def _mixture(answers: int, hostile: int) -> list[tuple[Sequence[str], bool]]:
    """Pairs of answer and reference, and whether they are honest; the hostile ones at even distances."""
    places = {(2 * i + 1) * answers // (2 * hostile) for i in range(hostile)}
    pairs = {True: cycle(HONEST), False: cycle(HOSTILE)}
    return [(next(pairs[honest]), honest) for honest in (i not in places for i in range(answers))]


def _repeat(processes: int, deadline_s: float, work: Sequence[tuple[Sequence[str], bool]]) -> _Graded:
    """On a pool of its own, since a pool remembers what was late."""
    pool = GradingPool(size=processes, deadline=deadline_s)
    with ThreadPoolExecutor(processes) as threads:
        list(threads.map(lambda pair: pool.equal(*pair), HONEST * processes))  # the processes start
        before = _replaced(pool)
        start = time.perf_counter()
        graded = list(threads.map(lambda item: _grade(pool, *item), work))
        seconds = time.perf_counter() - start
        replaced = _replaced(pool) - before
    pool.close()
    honest = [(took, equal) for took, equal, is_honest in graded if is_honest]
    return _Graded(seconds, [took for took, _ in honest], sum(not equal for _, equal in honest), replaced)


def _grade(pool: GradingPool, pair: Sequence[str], honest: bool) -> tuple[float, bool, bool]:
    start = time.perf_counter()
    equal = pool.equal(pair[0], pair[1])
    return time.perf_counter() - start, equal, honest


def _replaced(pool: GradingPool) -> int:
    return pool.stats.timeouts + pool.stats.crashes
