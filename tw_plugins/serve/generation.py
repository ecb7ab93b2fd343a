"""The trajectories of one request, decoded at once, and what they say as it comes.

::

    fork_join ─ ids of any thread ─▸ Reader ─ in order ─▸ text ▸ stops ▸ <think> ─▸ queue ─▸ events()
                                        └── each thread's own text ────────────────────▴  (where asked for)
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tw_plugins.engines.sampling import Sampler
from tw_plugins.latency import Latency, latency_of, measure
from tw_plugins.rollout import (
    Completion,
    Engine,
    EngineError,
    InOrder,
    Limits,
    Mode,
    Place,
    Rollout,
    fork_join,
)
from tw_plugins.serve.text import Kind, StopSearch, TextStream, ThinkSplit
from tw_plugins.trajectory import ControlTokens

__all__ = ["Ended", "Event", "Generation", "Part", "ThreadEvent", "Token", "Wanted"]


@dataclass(frozen=True)
class Wanted:
    """One trajectory that is asked for.

    Attributes:
        engine: samples as was asked.
        thinking: the prompt ends inside ``<think>``; None where thinking is text like any other.
        streams: it is told while it is decoded.
        threads: each thread is told too.
        logprobs: each id is told with its log-prob.
    """

    prompt_ids: Sequence[int] = field(repr=False)
    engine: Sampler
    mode: Mode
    limits: Limits
    stops: Sequence[str] = ()
    thinking: bool | None = False
    streams: bool = False
    threads: bool = False
    logprobs: bool = False


@dataclass(frozen=True)
class Token:
    """An id of the joined path; `logprob` is None of one that was injected."""

    text: str
    logprob: float | None


@dataclass(frozen=True)
class Part:
    """The next text of a choice, in the order of the joined path."""

    index: int
    kind: Kind
    text: str
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True)
class ThreadEvent:
    """What one thread (or sequential text) says, whatever stands before it.

    Attributes:
        tokens: sampled there so far.
        seconds: since the trajectory began.
    """

    index: int
    place: Place
    event: Literal["began", "text", "ended"]
    text: str
    tokens: int
    seconds: float


@dataclass(frozen=True)
class Ended:
    """A choice is whole."""

    index: int
    finish_reason: Literal["stop", "length"]
    latency: Latency
    limits_hit: dict[str, int]
    malformed_forks: int


Event = Part | ThreadEvent | Ended


class _Whole:
    """An engine that does not stream: for an answer that nobody reads before its end."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        return await self._engine.generate(
            prompt_ids, stop_token_ids=stop_token_ids, max_tokens=max_tokens, request_id=request_id
        )


class _Reader(InOrder):
    """A watch of one trajectory, which puts events into a queue."""

    def __init__(
        self, index: int, wanted: Wanted, tags: ControlTokens, queue: asyncio.Queue[Event | Exception]
    ) -> None:
        super().__init__(self._next)
        self.index, self._wanted, self._tags, self._queue = index, wanted, tags, queue
        self._text, self._stops = TextStream(tags.decode), StopSearch(wanted.stops)
        self._split = None if wanted.thinking is None else ThinkSplit(wanted.thinking)
        self._tokens: list[Token] = []
        self._waiting: list[int] = []  # ids of a text that nobody reads before its end
        self._threads: dict[Place, TextStream] = {}
        self._counts: Counter[Place] = Counter()
        self._began = time.perf_counter()
        self.stopped = asyncio.Event()

    @property
    def latency(self) -> Latency:
        """Of what was told so far."""
        return latency_of((at.thread and at.block, count) for at, count in self._counts.items())

    @property
    def found_stop(self) -> bool:
        """Whether the text was cut before a stop of the client's."""
        return self._stops.found

    def injected(self, place: Place, ids: Sequence[int]) -> None:
        if place.thread is not None and place not in self._threads:
            self._tell(place, "began", "")
        super().injected(place, ids)

    def sampled(self, place: Place, ids: Sequence[int], logprobs: Sequence[float] | None) -> None:
        if self._wanted.logprobs and logprobs is None:
            raise EngineError("logprobs: the engine behind this server returns none")
        if self._wanted.threads and place.thread is None and place not in self._threads:
            self._tell(place, "began", "")
        self._counts[place] += len(ids)
        if self._wanted.threads and (text := self._threads[place].push(self._without_end(ids))):
            self._tell(place, "text", text)
        super().sampled(place, ids, logprobs)

    def closed(self, place: Place) -> None:
        if place in self._threads:
            self._tell(place, "ended", self._threads.pop(place).end())
        super().closed(place)

    def end(self) -> None:
        """All is there: what waited for more to come is told."""
        text = self._stops.push(self._text.push(self._waiting) + self._text.end())
        parts = self._split_up(text + self._stops.end())
        self._say([*parts, *(self._split.end() if self._split else [])], last=True)

    def _next(self, ids: Sequence[int], logprobs: Sequence[float | None]) -> None:
        if self._stops.found:
            return
        ids = self._without_end(ids)
        logprobs = logprobs[: len(ids)]
        if self._wanted.logprobs:
            self._tokens += [
                Token(self._tags.decode([one]), logprob) for one, logprob in zip(ids, logprobs, strict=True)
            ]
        if not self._wanted.streams and not self._wanted.stops:
            self._waiting += ids
            return
        self._say(self._split_up(self._stops.push(self._text.push(ids))))
        if self._stops.found:
            self.stopped.set()

    def _without_end(self, ids: Sequence[int]) -> Sequence[int]:
        """What ends an answer is no part of its text."""
        return ids[:-1] if ids[-1] in self._tags.eos_ids else ids

    def _split_up(self, text: str) -> list[tuple[Kind, str]]:
        if self._split:
            return self._split.push(text)
        return [("content", text)] if text else []

    def _say(self, parts: Sequence[tuple[Kind, str]], last: bool = False) -> None:
        """The tokens go with the first part that comes after them."""
        if last and not parts and self._tokens:
            parts = [("content", "")]
        for kind, text in parts:
            tokens, self._tokens = tuple(self._tokens), []
            self._queue.put_nowait(Part(self.index, kind, text, tokens))

    def _tell(self, place: Place, event: Literal["began", "text", "ended"], text: str) -> None:
        if not self._wanted.threads:
            return
        if event == "began":
            self._threads[place] = TextStream(self._tags.decode)
        seconds = time.perf_counter() - self._began
        self._queue.put_nowait(
            ThreadEvent(self.index, place, event, text, self._counts[place], round(seconds, 4))
        )


class Generation:
    """An asynchronous context: all trajectories are under way inside, and none behind it.

    Args:
        wanted: the trajectories, by the numbers of their choices.
    """

    def __init__(self, wanted: Sequence[Wanted], tags: ControlTokens) -> None:
        self._queue: asyncio.Queue[Event | Exception] = asyncio.Queue()
        self._wanted, self._tags = wanted, tags
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Generation:
        self._tasks = [asyncio.create_task(self._run(*one)) for one in enumerate(self._wanted)]
        return self

    async def __aexit__(self, *error: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def events(self) -> AsyncIterator[Event]:
        """Until every choice has ended.

        Raises:
            EngineError, Exception: what the first trajectory to fail raised.
        """
        left = len(self._wanted)
        while left:
            event = await self._queue.get()
            if isinstance(event, Exception):
                raise event
            left -= isinstance(event, Ended)
            yield event

    async def _run(self, index: int, wanted: Wanted) -> None:
        reader = _Reader(index, wanted, self._tags, self._queue)
        try:
            rollout = await self._decoded(wanted, reader)
            if rollout and rollout.limits_hit.get("abort"):
                raise EngineError("the engine broke the answer off: see its log")
            reader.end()
        except Exception as error:
            self._queue.put_nowait(error)
            return
        hit = rollout.limits_hit if rollout else {}
        cut = "max_tokens" in hit and not reader.found_stop
        self._queue.put_nowait(
            Ended(
                index=index,
                finish_reason="length" if cut else "stop",
                latency=measure(rollout) if rollout else reader.latency,
                limits_hit=hit,
                malformed_forks=rollout.malformed_forks if rollout else 0,
            )
        )

    async def _decoded(self, wanted: Wanted, reader: _Reader) -> Rollout | None:
        """None where a stop was found before the end; what was still being decoded is then cancelled."""
        live = wanted.streams or bool(wanted.stops)
        decoding = asyncio.create_task(
            fork_join(
                wanted.engine if live else _Whole(wanted.engine),
                wanted.prompt_ids,
                self._tags,
                wanted.limits,
                mode=wanted.mode,
                request_id=uuid.uuid4().hex,
                watch=reader,
            )
        )
        stopped = asyncio.create_task(reader.stopped.wait())
        try:
            await asyncio.wait({decoding, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return decoding.result() if decoding.done() else None
        finally:
            for task in (decoding, stopped):
                task.cancel()
            await asyncio.gather(decoding, stopped, return_exceptions=True)
