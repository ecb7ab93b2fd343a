"""Ids of a trajectory as it is decoded → events: its text in order, and each thread's own.

::

    ids of any thread ─▸ in order ─▸ text ▸ stops ▸ <think> ─▸ Part
            └── each thread's own text ──────────────────────▸ ThreadEvent, where asked for
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Literal

from tw_plugins.latency import Latency, latency_of
from tw_plugins.rollout import EngineError, InOrder, Place
from tw_plugins.serve.events import Event, Part, ThreadEvent, Token, Wanted
from tw_plugins.serve.text import Kind, StopSearch, TextStream, ThinkSplit
from tw_plugins.trajectory import ControlTokens

__all__ = ["Reader"]


class Reader(InOrder):
    """A watch of one trajectory.

    Args:
        index: of its choice.
        told: gets the events.

    Attributes:
        stopped: a stop was found; what is still decoded is of no use.
    """

    def __init__(
        self, index: int, wanted: Wanted, tags: ControlTokens, told: Callable[[Event], None]
    ) -> None:
        super().__init__(self._next)
        self._index, self._wanted, self._tags, self._told = index, wanted, tags, told
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
        if self.found_stop:
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
            self._told(Part(self._index, kind, text, tokens))

    def _tell(self, place: Place, event: Literal["began", "text", "ended"], text: str) -> None:
        if not self._wanted.threads:
            return
        if event == "began":
            self._threads[place] = TextStream(self._tags.decode)
        seconds = time.perf_counter() - self._began
        self._told(ThreadEvent(self._index, place, event, text, self._counts[place], round(seconds, 4)))
