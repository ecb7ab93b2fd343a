"""One engine made of several: each trajectory on one of them, done again by another where that is lost."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from tw_plugins.engines.gone import EngineGone
from tw_plugins.rollout import Completion, Engine, EngineError

__all__ = ["Spread"]

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

    @property
    def losses(self) -> int:
        """How often an engine was lost."""
        return sum(place.times_lost for place in self._places)

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See :class:`tw_plugins.rollout.Engine`.

        Raises:
            EngineError: no engine is left that has not lost this request; else what the engine raised.
        """
        tried: list[_Place] = []
        while True:
            place = self._for(request_id, tried)
            trial = place.trying = place.back_at is not None
            place.under_way += 1
            try:
                answer = await place.engine.generate(
                    prompt_ids, stop_token_ids=stop_token_ids, max_tokens=max_tokens, request_id=request_id
                )
            except EngineGone as gone:
                self._lose(place, gone, trial)
                tried.append(place)
                continue
            finally:
                place.under_way -= 1
                place.trying = place.trying and not trial
            if trial:
                place.back_at = None
                logger.warning("%s is back", place.name)
            return answer

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
            EngineError: nowhere.
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
            raise EngineError(
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
