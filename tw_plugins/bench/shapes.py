"""Trajectories of a given shape, made by the state machine itself from an engine that writes them."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from tw_plugins.rollout import Completion, Limits, Rollout, fork_join
from tw_plugins.toy.tokenizer import make_tokenizer
from tw_plugins.trajectory import ControlTokens

__all__ = ["PROMPT", "SHAPES", "Shape", "ShapedEngine", "shaped_rollout", "tags"]

PROMPT = 50
LONGER_THAN_ANY = 1 << 20


@dataclass(frozen=True)
class Shape:
    """A trajectory's shape.

    Attributes:
        tokens: sampled tokens in all, about.
        threads: of each block.
        in_threads: share of the tokens that stand in threads.
        name: under which it can be asked for.
    """

    tokens: int
    threads: tuple[int, ...]
    in_threads: float
    name: str = ""

    def scaled(self, tokens: int) -> Shape:
        """The same shape with another number of tokens."""
        return replace(self, tokens=tokens)

    @property
    def thread_tokens(self) -> int:
        """Tokens of a thread, its end included."""
        return max(2, round(self.tokens * self.in_threads / sum(self.threads)))

    @property
    def segment_tokens(self) -> int:
        """Tokens of a sequential segment, its outlines included as far as they fit."""
        return max(2, round(self.tokens * (1 - self.in_threads) / (len(self.threads) + 1)))


_SHAPES = (
    # Table 8 (P27), means: 4.00 blocks of 2.46 threads of 969 tokens; 6.26 of 2.58 of 541
    Shape(11_176, (3, 2, 3, 2), 0.85, "self-training"),
    Shape(11_143, (3, 3, 3, 3, 2, 2), 0.78, "first-stage"),
    Shape(11_200, (3, 3, 3, 3), 0.6, "4x3"),
)
SHAPES = {shape.name: shape for shape in _SHAPES}


@cache
def tags() -> ControlTokens:
    """Control tokens of the toy's tokenizer, which has one id per character."""
    return ControlTokens.from_tokenizer(make_tokenizer())


class ShapedEngine:
    """An engine that costs next to nothing: every answer is prepared, all trajectories have one shape."""

    def __init__(self, shape: Shape, seed: int = 0) -> None:
        rng = random.Random(seed)
        self.requests = 0
        forks = enumerate((*shape.threads, 0))
        self._segments = [_completion(self._segment(shape, rng, i == 0, n)) for i, n in forks]
        self._thread = _completion([*_letters(rng, shape.thread_tokens - 1), tags().thread_end])
        self._written: Counter[str] = Counter()  # segments, by trajectory

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See :class:`tw_plugins.rollout.Engine`."""
        self.requests += 1
        await asyncio.sleep(0)  # others get their turn, as with any engine
        if tags().thread_end in stop_token_ids:
            return self._thread
        self._written[request_id] += 1
        return self._segments[self._written[request_id] - 1]

    @staticmethod
    def _segment(shape: Shape, rng: random.Random, first: bool, threads: int) -> list[int]:
        """A segment that ends in a fork into ``threads``; in the end of the trajectory with 0."""
        opening = [] if first else [tags().parallel_end]
        outlines = "".join(f"<Outline>{number}: a</Outline>\n" for number in range(1, threads + 1))
        closing = (
            tags().encode(f"<Parallel>\n<Outlines>\n{outlines}</Outlines>")
            if threads
            else [tags().eos_ids[0]]
        )
        filling = max(0, shape.segment_tokens - len(opening) - len(closing))
        return [*opening, *_letters(rng, filling), *closing]


def shaped_rollout(shape: Shape, seed: int = 0) -> Rollout:
    """One trajectory."""
    prompt = _letters(random.Random(seed), PROMPT)
    return asyncio.run(fork_join(ShapedEngine(shape, seed), prompt, tags(), limits_of(shape)))


def limits_of(shape: Shape) -> Limits:
    """Limits that no trajectory of the shape meets."""
    return Limits.of(LONGER_THAN_ANY, max_blocks=len(shape.threads) + 1)


def _completion(ids: list[int]) -> Completion:
    return Completion(ids, [-0.5] * len(ids), "stop")


def _letters(rng: random.Random, n: int) -> list[int]:
    return rng.choices(tags().encode("abcdefghij"), k=n)
