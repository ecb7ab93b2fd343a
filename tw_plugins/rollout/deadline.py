"""Requests and calls that end within a deadline, or in an error."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from typing import TypeVar

from tw_plugins.rollout.types import Completion, Engine, EngineError

LONGEST_S = 365 * 86_400.0
T = TypeVar("T")


class OutOfTime(Exception):
    """A call has not ended within its deadline."""


def within(
    seconds: float,
    what: str,
    call: Callable[[], T],
    look: Callable[[], None] = lambda: None,
    every_s: float = 10,
) -> T:
    """What `call` returns or raises, if it ends in time.

    Args:
        what: names its thread.
        look: called every so many seconds while it has not ended; what it raises ends the wait.

    Raises:
        OutOfTime: it has not. It is left to itself in a daemon thread.
    """
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # handed on to the caller's thread
            future.set_exception(error)

    threading.Thread(target=work, daemon=True, name=what).start()
    deadline = time.monotonic() + seconds
    while not wait([future], min(every_s, max(deadline - time.monotonic(), 0))).done:
        if time.monotonic() >= deadline:
            raise OutOfTime(f"{what} has not ended within {seconds:g} s")
        look()
    return future.result()


def check_deadline(seconds: float, name: str) -> None:
    """
    Args:
        name: the setting, as users write it.

    Raises:
        ValueError: not a positive number of seconds, or more than a year: the clocks of threads, asyncio and
            torch overflow somewhere beyond.
    """
    if not 0 < seconds <= LONGEST_S:
        raise ValueError(f"{name} is {seconds}: it must be a positive number of seconds, at most a year")


class WithDeadline:
    """An engine each of whose requests may take `seconds`, the wait for its turn included."""

    def __init__(self, engine: Engine, seconds: float, setting: str) -> None:
        """
        Args:
            setting: the name under which users give the deadline, for the error.
        """
        self._engine, self._seconds, self._setting = engine, seconds, setting

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        """See `tw_plugins.rollout.Engine`.

        Raises:
            EngineError: there was no answer in time.
        """
        deadline = asyncio.timeout(self._seconds)
        try:
            async with deadline:
                return await self._engine.generate(
                    prompt_ids, stop_token_ids=stop_token_ids, max_tokens=max_tokens, request_id=request_id
                )
        except TimeoutError as error:
            if not deadline.expired():
                raise  # the engine's own
            raise EngineError(
                f"the engine has not answered a request of trajectory {request_id} within "
                f"{self._seconds:g} s ({max_tokens} tokens after {len(prompt_ids)}): see its log, or raise "
                f"{self._setting}"
            ) from error
