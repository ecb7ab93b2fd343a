"""Coroutines that run at once and fail together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def all_or_raise(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all at once; when one raises (or the caller is cancelled), the others are cancelled first.

    Raises:
        Exception: what the first coroutine to fail raised. `asyncio.TaskGroup` would wrap it in a group, and
            plain `asyncio.gather` would leave the others running.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
