"""How long trajectories are: the plans by which they are decoded, drawn from means."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from tw_plugins.trajectory.grammar import MAX_THREADS

__all__ = ["WORKLOADS", "TrajectoryPlan", "Workload"]


@dataclass(frozen=True)
class TrajectoryPlan:
    """Tokens that are sampled: of each sequential segment, and of each thread of the block after it."""

    segments: tuple[int, ...]
    threads: tuple[tuple[int, ...], ...]

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self.segments) + sum(map(sum, self.threads))


@dataclass(frozen=True)
class Workload:
    """Means, of which trajectories are drawn.

    Attributes:
        blocks: forks of a trajectory (Poisson).
        threads: of a block (2 and a Poisson).
        thread_tokens, segment_tokens: of a thread, of a sequential segment.
        prompt: tokens.
        spread: σ of two log-normal factors of mean 1: one of all lengths of a trajectory, one of each thread
            and segment; 0: all are alike, there are no stragglers.
        max_tokens: of a trajectory; a longer one is shortened in all its parts.
    """

    blocks: float
    threads: float
    thread_tokens: int
    segment_tokens: int
    prompt: int = 200
    spread: float = 0.5
    max_tokens: int = 40_000

    @property
    def requests(self) -> float:
        """Of a trajectory, mean: its threads, a segment before each block and one behind the last."""
        return self.blocks * (self.threads + 1) + 1

    def draw(self, number: int) -> TrajectoryPlan:
        """Trajectory `number`, always the same."""
        rng = random.Random(number)
        blocks = _poisson(rng, self.blocks)
        factor = self._factor(rng)
        threads = [
            [self.thread_tokens * factor * self._factor(rng) for _ in range(self._threads(rng))]
            for _ in range(blocks)
        ]
        segments = [self.segment_tokens * factor * self._factor(rng) for _ in range(blocks + 1)]
        fits = min(1.0, self.max_tokens / (sum(segments) + sum(map(sum, threads))))
        return TrajectoryPlan(_whole(segments, fits), tuple(_whole(each, fits) for each in threads))

    def _threads(self, rng: random.Random) -> int:
        return min(2 + _poisson(rng, self.threads - 2), MAX_THREADS)

    def _factor(self, rng: random.Random) -> float:
        return rng.lognormvariate(-(self.spread**2) / 2, self.spread)


WORKLOADS = {
    "self-training": Workload(blocks=4.00, threads=2.46, thread_tokens=969, segment_tokens=328),
    "first-stage": Workload(blocks=6.26, threads=2.58, thread_tokens=541, segment_tokens=331),
}
"""Means of Table 8 (P27); the segments are what their threads leave of 11,176 and 11,143 tokens."""


def _whole(lengths: Sequence[float], times: float) -> tuple[int, ...]:
    return tuple(max(1, round(length * times)) for length in lengths)


def _poisson(rng: random.Random, mean: float) -> int:
    """Knuth's: how many factors below 1 until their product is below exp(−mean)."""
    count, product, least = -1, 1.0, math.exp(-mean)
    while product >= least:
        product *= rng.random()
        count += 1
    return max(count, 0)
