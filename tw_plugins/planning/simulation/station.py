"""Processes that take CPU time for each thing they do: what comes waits for its turn."""

from __future__ import annotations

import asyncio
import heapq

__all__ = ["Station"]


class Station:
    """Equal processes with one queue; the first that is free takes what came first.

    Attributes:
        busy: seconds of work so far, of all together.
    """

    def __init__(self, processes: int = 1) -> None:
        self.busy = 0.0
        self._free_at = [0.0] * processes  # a heap

    async def work(self, seconds: float) -> None:
        """Until one of them has done work of so many seconds, those before it first."""
        now = asyncio.get_running_loop().time()
        end = max(now, self._free_at[0]) + seconds
        heapq.heapreplace(self._free_at, end)
        self.busy += seconds
        if end > now:
            await asyncio.sleep(end - now)
