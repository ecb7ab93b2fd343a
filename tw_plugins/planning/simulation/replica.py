"""One engine that only takes time: continuous batching with a queue, a KV cache and a prefix cache.

Sequences that run advance by a token in each step; its seconds follow from their number and lengths, so
they change only when a request comes or ends. What a prompt takes holds up the steps of all.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from dataclasses import dataclass, field
from itertools import count

from tw_plugins.planning.simulation.errors import SimulationError
from tw_plugins.planning.simulation.planned import Ask
from tw_plugins.planning.simulation.prefix_cache import PrefixCache
from tw_plugins.planning.simulation.service import ServiceTimes

__all__ = ["Replica"]

TINY = 1e-6  # of a step: a clock of floats is never quite there


@dataclass(order=True)
class _Request:
    """Ends at the engine's step `end`; `serial` tells two apart that end together."""

    end: float
    serial: int
    ask: Ask = field(compare=False)
    answered: asyncio.Future[None] = field(compare=False)


class Replica:
    """
    Attributes:
        busy: seconds in which something ran.
        prompt_tokens, hits: of all requests, and those of them that were in its prefix cache.
        sampled: tokens.
        steps: it has made.
    """

    def __init__(self, times: ServiceTimes) -> None:
        self._times = times
        self._cache = PrefixCache(times.kv_tokens, times.block_size)
        self._waiting: deque[_Request] = deque()
        self._running: list[_Request] = []  # a heap
        self._serial = count()
        self._context = 0.0  # tokens that the running ones look at
        self._seen = 0.0  # the time up to which `steps` is counted
        self._prompts_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self.steps = self.busy = 0.0
        self.prompt_tokens = self.hits = self.sampled = 0

    async def serve(self, ask: Ask) -> None:
        """Until it is answered.

        Raises:
            SimulationError: it is longer than the KV cache.
        """
        if ask.prompt + ask.tokens > self._times.kv_tokens:
            raise SimulationError(
                f"a request of {ask.prompt + ask.tokens:,} tokens does not fit into a KV cache of "
                f"{self._times.kv_tokens:,}: give a larger GPU, a smaller model or shorter trajectories"
            )
        loop = asyncio.get_running_loop()
        request = _Request(0.0, next(self._serial), ask, loop.create_future())
        self._advance(loop.time())
        self._waiting.append(request)
        self._admit(loop)
        await request.answered
        if self._times.request:
            await asyncio.sleep(self._times.request)

    def _advance(self, now: float) -> None:
        """Count the steps since the last event."""
        if self._running:
            self.busy += now - self._seen
            decoding = now - max(self._seen, self._prompts_until)
            if decoding > 0:
                steps = self._times.steps_in(decoding, len(self._running), self._context)
                self._made(min(steps, self._running[0].end - self.steps))
        self._seen = now

    def _made(self, steps: float) -> None:
        self.steps += steps
        self._context += steps * len(self._running)

    def _admit(self, loop: asyncio.AbstractEventLoop) -> None:
        """First come, first served; then set the timer for the next to end."""
        while self._waiting and len(self._running) < self._times.max_sequences:
            ask = self._waiting[0].ask
            hit = self._cache.take(ask.trajectory, ask.prompt, ask.tokens)
            if hit is None:
                break
            request = self._waiting.popleft()
            request.end = self.steps + ask.tokens
            heapq.heappush(self._running, request)
            self._context += ask.prompt
            self._prompts_until = (
                max(self._prompts_until, self._seen) + (ask.prompt - hit) * self._times.prompt
            )
            self.prompt_tokens += ask.prompt
            self.hits += hit
        self._set_timer(loop)

    def _set_timer(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._running:
            steps = self._running[0].end - self.steps
            seconds = self._times.decoding(steps, len(self._running), self._context)
            self._timer = loop.call_at(max(self._seen, self._prompts_until) + seconds, self._end, loop)

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer those that have all their tokens."""
        self._advance(loop.time())
        self._made(self._running[0].end - self.steps)  # what rounding has left
        while self._running and self._running[0].end <= self.steps + TINY:
            done = heapq.heappop(self._running)
            ask = done.ask
            self._context -= ask.prompt + ask.tokens
            self.sampled += ask.tokens
            self._cache.give_back(ask.trajectory, ask.tokens, ask.prompt + ask.tokens * ask.on_path)
            if not done.answered.done():  # its trajectory was given up
                done.answered.set_result(None)
        self._admit(loop)
