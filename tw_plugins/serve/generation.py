"""The trajectories of one request, decoded at once, and what they say as it comes."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator, Sequence

from tw_plugins.latency import measure
from tw_plugins.rollout import Completion, Engine, EngineError, Rollout, fork_join
from tw_plugins.serve.events import Ended, Event, Wanted
from tw_plugins.serve.reader import Reader
from tw_plugins.trajectory import ControlTokens

__all__ = ["Generation"]


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

    async def events(self) -> AsyncGenerator[Event, None]:
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
        reader = Reader(index, wanted, self._tags, self._queue.put_nowait)
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

    async def _decoded(self, wanted: Wanted, reader: Reader) -> Rollout | None:
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
