"""What the orchestrator itself costs: many trajectories at once on an engine that costs next to nothing."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from dataclasses import dataclass

from tw_plugins.bench.shapes import PROMPT, Shape, ShapedEngine, limits_of, tags
from tw_plugins.bench.timing import Spread
from tw_plugins.rollout import Rollout, fork_join

__all__ = ["RolloutFigures", "bench_rollout"]


@dataclass(frozen=True)
class RolloutFigures:
    """One number of trajectories.

    Attributes:
        requests: of all of them.
        cpu_s_per_request: CPU seconds of the process.
        kept_bytes, peak_bytes: Python memory per trajectory: what its result holds, and the most at any time.
    """

    trajectories: int
    requests: int
    cpu_s_per_request: Spread
    kept_bytes: float
    peak_bytes: float


def bench_rollout(shape: Shape, trajectories: int, repeats: int) -> RolloutFigures:
    """Decode so many trajectories at once, after a warm-up."""
    asyncio.run(_cpu_seconds(ShapedEngine(shape), shape, 1))
    engines = [ShapedEngine(shape) for _ in range(repeats)]
    seconds = [asyncio.run(_cpu_seconds(engine, shape, trajectories)) for engine in engines]
    kept, peak = asyncio.run(_memory(ShapedEngine(shape), shape, trajectories))
    return RolloutFigures(
        trajectories=trajectories,
        requests=engines[0].requests,
        cpu_s_per_request=Spread.of([each / engines[0].requests for each in seconds]),
        kept_bytes=kept / trajectories,
        peak_bytes=peak / trajectories,
    )


async def _cpu_seconds(engine: ShapedEngine, shape: Shape, trajectories: int) -> float:
    """Taken inside of the loop: `asyncio.run` does work of its own on what a coroutine returns."""
    gc.collect()
    start = time.process_time()
    await _decode(engine, shape, trajectories)
    return time.process_time() - start


async def _memory(engine: ShapedEngine, shape: Shape, trajectories: int) -> tuple[int, int]:
    """Bytes in the end, with the results, and at most."""
    gc.collect()
    tracemalloc.start()
    made = await _decode(engine, shape, trajectories)
    gc.collect()
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del made
    return kept, peak


async def _decode(engine: ShapedEngine, shape: Shape, trajectories: int) -> list[Rollout]:
    prompt, limits = tags().encode("a" * PROMPT), limits_of(shape)
    return await asyncio.gather(*(fork_join(engine, prompt, tags(), limits) for _ in range(trajectories)))
