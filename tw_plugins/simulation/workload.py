"""Trajectories of lengths drawn beforehand, and the engine that decodes one of them to its plan."""

from __future__ import annotations

import math
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import cache

from tw_plugins.rollout import Completion
from tw_plugins.trajectory import ControlTokens
from tw_plugins.trajectory.grammar import MAX_THREADS

__all__ = ["WORKLOADS", "Ask", "PlannedEngine", "TrajectoryPlan", "Workload"]


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


@dataclass(frozen=True)
class Ask:
    """One request.

    Attributes:
        trajectory: its number.
        request_id: by which it is routed.
        prompt, tokens: of the prompt, and to sample.
        on_path: whether what it samples goes on at the end of the trajectory's path: a segment, or thread 1.
        prompt_ids: as the state machine gave them; what simulated engines sampled before is missing there.
    """

    trajectory: int
    request_id: str
    prompt: int
    tokens: int
    on_path: bool
    prompt_ids: Sequence[int]


Serve = Callable[[Ask], Awaitable[Sequence[int]]]
"""Samples what is asked for; a simulated engine returns no ids, its answer has only a length."""


class PlannedEngine:
    """The engine of one trajectory: what is sampled has the plan's lengths, and ends as the grammar wants.

    Where ids are sampled, their last ones give way to that end.
    """

    def __init__(
        self, number: int, plan: TrajectoryPlan, prompt: int, serve: Serve, tags: ControlTokens
    ) -> None:
        self._number, self._plan, self._serve, self._tags = number, plan, serve, tags
        self._path = prompt  # tokens
        self._segment = self._thread = 0

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See `tw_plugins.rollout.Engine`; threads of a block are asked in their order."""
        if self._tags.thread_end in stop_token_ids:
            number, self._thread = self._thread + 1, self._thread + 1
            tokens = self._plan.threads[self._segment - 1][number - 1]
            header = len(self._tags.header(number, first=True))
            ask = Ask(self._number, request_id, self._path + header, tokens, number == 1, prompt_ids)
            return _ending(await self._serve(ask), tokens, (self._tags.thread_end,))
        self._join()
        tokens = self._plan.segments[self._segment]
        ask = Ask(self._number, request_id, self._path, tokens, True, prompt_ids)
        sampled = await self._serve(ask)
        self._path += tokens
        forks = self._plan.threads[self._segment : self._segment + 1]
        self._segment, self._thread = self._segment + 1, 0
        end = _fork(self._tags, len(forks[0])) if forks else (self._tags.eos_ids[0],)
        return _ending(sampled, tokens, end)

    def _join(self) -> None:
        """The path after the block that has ended, if any."""
        if self._segment:
            for number, tokens in enumerate(self._plan.threads[self._segment - 1], 1):
                self._path += len(self._tags.header(number, first=number == 1)) + tokens
            self._path += len(self._tags.join_newline)


def _ending(sampled: Sequence[int], tokens: int, end: tuple[int, ...]) -> Completion:
    return Completion([*sampled[: max(tokens - len(end), 0)], *end], None, "stop")


@cache
def _fork(tags: ControlTokens, threads: int) -> tuple[int, ...]:
    outlines = "".join(f"<Outline>{number}: a</Outline>\n" for number in range(1, threads + 1))
    return tuple(tags.encode(f"<Parallel>\n<Outlines>\n{outlines}</Outlines>"))
