"""One engine made of several: each trajectory on one of them, done again by another where that is lost."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from copy import copy
from dataclasses import dataclass
from typing import Self

from tw_plugins.engines.gone import EngineGone
from tw_plugins.engines.sampling import Sampler, Sampling
from tw_plugins.rollout import Completion, Engine, Piece
from tw_plugins.rollout.streaming import pieces_of

__all__ = ["PAUSE_S", "Spread"]

logger = logging.getLogger(__name__)

REMEMBERED = 100_000  # trajectories, of which so many may be under way
PAUSE_S = 60.0  # until a lost engine is tried again


@dataclass(eq=False)
class _Place:
    """One of the engines.

    Attributes:
        under_way: requests that it has not answered.
        back_at: when it may be tried again, in the event loop's seconds; None while it is in use.
        trying: the request that finds out whether it is back has not ended.
    """

    name: str
    engine: Engine
    under_way: int = 0
    back_at: float | None = None
    trying: bool = False
    times_lost: int = 0
    last_words: str = ""


class Spread:
    """An engine for `fork_join` over engines that all have the same model.

    The requests of a trajectory, which share a request id, go to the same engine, for its prefix cache: when
    it begins, to that with the fewest requests under way. An engine that raises `EngineGone` is left out, and
    what it had not answered is asked of another; what it had answered stays. One that is not gone for good is
    tried again after a while, with one request.

    Args:
        engines: by the names under which people know them.
        pause_s: seconds until a lost engine is tried again.

    Attributes:
        losses: how often an engine was lost.
    """

    def __init__(self, engines: Sequence[tuple[str, Engine]], pause_s: float = PAUSE_S) -> None:
        self._places = [_Place(name, engine) for name, engine in engines]
        self._pause_s = pause_s
        self._place_of: OrderedDict[str, _Place] = OrderedDict()  # the longest unused first
        self._moved: set[str] = set()
        self._sampling: Sampling | None = None

    @property
    def losses(self) -> int:
        """How often an engine was lost."""
        return sum(place.times_lost for place in self._places)

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See :class:`tw_plugins.rollout.Engine`.

        Raises:
            EngineGone: no engine is left that has not lost this request; else what the engine raised.
        """
        tried: list[_Place] = []
        while True:
            with self._asked(request_id, tried) as engine:
                return await engine.generate(
                    prompt_ids, stop_token_ids=stop_token_ids, max_tokens=max_tokens, request_id=request_id
                )

    async def stream(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> AsyncGenerator[Piece, None]:
        """See :class:`tw_plugins.rollout.Streaming`; raises as :meth:`generate`.

        Where an engine is lost in the middle of an answer another one goes on behind the last id that came.
        """
        tried: list[_Place] = []
        got: list[int] = []
        while True:
            stopped = bool(got) and got[-1] in stop_token_ids
            if stopped or len(got) >= max_tokens:
                yield Piece([], [], "stop" if stopped else "length")  # all was there but its end
                return
            wanted = {"stop_token_ids": stop_token_ids, "max_tokens": max_tokens - len(got)}
            with self._asked(request_id, tried) as engine:
                pieces = pieces_of(engine, [*prompt_ids, *got], **wanted, request_id=request_id)
                async with aclosing(pieces):
                    async for piece in pieces:
                        got += piece.token_ids
                        yield piece
                return

    @contextmanager
    def _asked(self, request_id: str, tried: list[_Place]) -> Iterator[Engine]:
        """The engine that a request goes to; one that is lost meanwhile is added to `tried`, and no error."""
        place = self._for(request_id, tried)
        trial = place.trying = place.back_at is not None
        place.under_way += 1
        try:
            yield self._engine_of(place)
        except EngineGone as gone:
            self._lose(place, gone, trial)
            tried.append(place)
        else:
            if trial:
                place.back_at = None
                logger.warning("%s is back", place.name)
        finally:
            place.under_way -= 1
            place.trying = place.trying and not trial

    def _engine_of(self, place: _Place) -> Engine:
        if self._sampling is None:
            return place.engine
        return _sampler_of(place).with_sampling(self._sampling)

    def with_sampling(self, sampling: Sampling) -> Self:
        """The same engines, each sampling so; see `tw_plugins.engines.sampling`.

        Raises:
            EngineError: one cannot be seeded.
        """
        view = copy(self)  # which shares what is known of the engines
        view._sampling = sampling
        for place in self._places:
            view._engine_of(place)
        return view

    async def is_up(self) -> bool:
        """Whether one of those that are in use, or that it is time to try again, is up."""
        now = asyncio.get_running_loop().time()
        asked = [one for one in self._places if one.back_at is None or one.back_at <= now]
        return any(await asyncio.gather(*(_sampler_of(one).is_up() for one in asked)))

    def said(self) -> str | None:
        """What was lost and done again, in a line; None where nothing was."""
        if not self.losses:
            return None
        lost = ", ".join(
            f"{place.name}{f' {place.times_lost} times' if place.times_lost > 1 else ''}"
            for place in self._places
            if place.times_lost
        )
        count = len(self._moved)
        return f"lost: {lost}; {count} trajector{'y' if count == 1 else 'ies'} went on elsewhere"

    def _for(self, request_id: str, tried: Sequence[_Place]) -> _Place:
        """Where a request goes that these engines have lost.

        Raises:
            EngineGone: nowhere.
        """
        now = asyncio.get_running_loop().time()
        place = self._place_of.get(request_id)
        if place is None or place.back_at is not None or place in tried:
            usable = self._usable(now, tried)
            if place is not None:
                self._moved.add(request_id)
            place = min(usable, key=lambda one: (one.back_at is None, one.under_way))
            self._place_of[request_id] = place
        self._place_of.move_to_end(request_id)
        if len(self._place_of) > REMEMBERED:
            self._place_of.popitem(last=False)
        return place

    def _usable(self, now: float, tried: Sequence[_Place]) -> list[_Place]:
        """Those in use, and those that it is time to try, which come first: else nothing would try them."""
        usable = [
            one
            for one in self._places
            if one not in tried and (one.back_at is None or (one.back_at <= now and not one.trying))
        ]
        if not usable:
            said = "; ".join(f"{one.name}: {one.last_words}" for one in self._places)
            raise EngineGone(
                f"none of {len(self._places)} engines is left ({said}): see their logs. Run the same command "
                "again, it goes on where it was"
            )
        return usable

    def _lose(self, place: _Place, gone: EngineGone, trial: bool) -> None:
        """Leave it out; of the requests that were lost with it, the first says so."""
        place.last_words = str(gone)
        if place.back_at is None:
            place.times_lost += 1
            logger.warning("%s is lost, others do its work: %s", place.name, gone)
        elif not trial:
            return
        wait = float("inf") if gone.for_good else self._pause_s
        place.back_at = asyncio.get_running_loop().time() + wait


def _sampler_of(place: _Place) -> Sampler:
    assert isinstance(place.engine, Sampler), "this is for engines that have with_sampling and is_up"
    return place.engine
