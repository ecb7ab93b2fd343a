"""Time that passes at once, and processes in it."""

from __future__ import annotations

import asyncio

import pytest

from tw_plugins.planning.simulation.clock import run
from tw_plugins.planning.simulation.station import Station


def test_hours_pass_at_once_and_in_order() -> None:
    seen: list[tuple[str, float]] = []

    async def one(name: str, seconds: float) -> None:
        for _ in range(2):
            await asyncio.sleep(seconds)
            seen.append((name, asyncio.get_running_loop().time()))

    async def both() -> None:
        await asyncio.gather(one("slow", 7200), one("fast", 3000))

    run(both())
    assert seen == [("fast", 3000), ("fast", 6000), ("slow", 7200), ("slow", 14400)]


def test_what_would_wait_for_ever_is_an_error() -> None:
    async def stuck() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="will not come"):
        run(stuck())


@pytest.mark.parametrize(("processes", "ends"), [(1, [1, 3, 6, 7]), (2, [1, 2, 4, 3])])
def test_processes_take_what_came_first(processes: int, ends: list[float]) -> None:
    async def all_at_once() -> list[float]:
        station = Station(processes)

        async def one(seconds: float) -> float:
            await station.work(seconds)
            return asyncio.get_running_loop().time()

        found = await asyncio.gather(*map(one, [1, 2, 3, 1]))
        assert station.busy == 7
        return found

    assert run(all_at_once()) == ends
