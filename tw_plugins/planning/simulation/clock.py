"""An event loop whose time is not the wall's: when all wait, its clock jumps to the next timer.

So code written for asyncio runs as it is, hours of it in seconds, in an order that is always the same.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

__all__ = ["run"]

T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns; its loop's `time()` began at 0.

    Raises:
        RuntimeError: everything waits for something that is no timer: nothing will ever happen.
    """
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(coroutine)


class _Jumps(selectors.DefaultSelector):
    """Asked to wait for so many seconds, it lets them pass at once."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everything in this simulation waits for something that will not come")
            self.now += timeout
        return ready


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumps = _Jumps()
        super().__init__(self._jumps)

    def time(self) -> float:
        return self._jumps.now
