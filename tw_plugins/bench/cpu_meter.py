"""CPU time of some coroutines of an event loop, apart from all else that its thread does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Coroutine, Generator
from typing import Any, TypeVar

__all__ = ["CpuMeter"]

T = TypeVar("T")


class CpuMeter:
    """Adds up the CPU seconds of the event loop's thread in the steps of the coroutines that it wraps.

    What a wrapped coroutine awaits runs in its steps and counts, unless it is a task of its own. A part that
    is not to count is wrapped by `without`.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def of(self, coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """The same coroutine, metered."""
        return _Stepped(coroutine, self._add)

    def without(self, coroutine: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """The same coroutine, whose steps are taken off again; to be awaited inside of a metered one."""
        return _Stepped(coroutine, lambda seconds: self._add(-seconds))

    def watch_tasks(self, loop: asyncio.AbstractEventLoop, files: Collection[str]) -> None:
        """Meter every task made in this loop from now on whose coroutine is written in one of these files."""

        def made(loop: asyncio.AbstractEventLoop, coroutine: Any, **settings: Any) -> asyncio.Task[Any]:
            code = getattr(coroutine, "cr_code", None)
            ours = code is not None and code.co_filename in files
            return asyncio.Task(self.of(coroutine) if ours else coroutine, loop=loop, **settings)

        loop.set_task_factory(made)

    def _add(self, seconds: float) -> None:
        self.seconds += seconds


class _Stepped(Coroutine[Any, Any, T]):
    """A coroutine that tells the CPU seconds of each of its steps."""

    def __init__(self, coroutine: Coroutine[Any, Any, T], tell: Callable[[float], None]) -> None:
        self._coroutine, self._tell = coroutine, tell

    def send(self, value: Any) -> Any:
        return self._timed(self._coroutine.send, value)

    def throw(self, *error: Any) -> Any:
        return self._timed(self._coroutine.throw, *error)

    def close(self) -> None:
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self  # type: ignore[return-value]  # `await` asks for send, throw, close and __next__

    def __iter__(self) -> _Stepped[T]:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def _timed(self, step: Callable[..., Any], *values: Any) -> Any:
        start = time.thread_time()
        try:
            return step(*values)
        finally:
            self._tell(time.thread_time() - start)
