"""What the orchestrator itself costs: many trajectories at once on an engine that costs next to nothing."""

from __future__ import annotations

import asyncio
import gc
import time
import tracemalloc
from dataclasses import dataclass

from tw_plugins.bench.shapes import PROMPT, Shape, ShapedEngine, limits_of, tags
from tw_plugins.rollout import Rollout, fork_join

__all__ = ["RolloutFigures", "bench_rollout"]


@dataclass(frozen=True)
class RolloutFigures:
    """One number of trajectories.

    Attributes:
        requests: of all of them.
        cpu_s_per_request: CPU seconds of the process, median over the repeats.
        kept_bytes, peak_bytes: Python memory per trajectory: what its result holds, and the most at any time.
    """

    trajectories: int
    requests: int
    cpu_s_per_request: float
    kept_bytes: float
    peak_bytes: float


def bench_rollout(shape: Shape, trajectories: int, repeats: int) -> RolloutFigures:
    """Decode so many trajectories at once."""
    engine = ShapedEngine(shape)
    seconds = sorted(_cpu_seconds(engine, shape, trajectories) for _ in range(repeats))
    requests = engine.requests // repeats
    gc.collect()
    tracemalloc.start()
    made = asyncio.run(_decode(ShapedEngine(shape), shape, trajectories))
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    per = len(made)
    return RolloutFigures(trajectories, requests, seconds[repeats // 2] / requests, kept / per, peak / per)


def _cpu_seconds(engine: ShapedEngine, shape: Shape, trajectories: int) -> float:
    start = time.process_time()
    asyncio.run(_decode(engine, shape, trajectories))
    return time.process_time() - start


async def _decode(engine: ShapedEngine, shape: Shape, trajectories: int) -> list[Rollout]:
    prompt, limits = tags().encode("a" * PROMPT), limits_of(shape)
    return await asyncio.gather(*(fork_join(engine, prompt, tags(), limits) for _ in range(trajectories)))
