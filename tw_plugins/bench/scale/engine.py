"""A real vLLM's service times, and the same trajectories on real engines and on simulated ones."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from tw_plugins.bench import BenchError
from tw_plugins.bench.shapes import tags
from tw_plugins.bench.timing import Spread
from tw_plugins.engines import VLLMEngine
from tw_plugins.planning.simulation import Cluster, ServiceTimes, Workload, simulate
from tw_plugins.planning.simulation.client import FREE
from tw_plugins.planning.simulation.fit import Measured, fit
from tw_plugins.planning.simulation.planned import Ask, PlannedEngine
from tw_plugins.planning.simulation.router import StickyRouter
from tw_plugins.planning.simulation.step import LIMITS
from tw_plugins.rollout import fork_join

__all__ = ["HELD", "HeldFigures", "measure_engines"]

SEQUENCES, PROMPTS, TOKENS = (1, 4, 12), (32, 512), (2, 48)
HELD = Workload(blocks=2, threads=3, thread_tokens=60, segment_tokens=40, prompt=100, max_tokens=1200)
"""Trajectories that a model with a context of 2,048 tokens decodes."""
ON_CPU = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind"}
"""One thread an engine, or each would take all cores and two be no more than one."""
LETTERS = "abcdefghij"


@dataclass(frozen=True)
class HeldFigures:
    """The same trajectories on real engines and simulated.

    Attributes:
        times: fitted to an engine while the others do the same.
        real: seconds (see `_Clock`), over the repeats; ``simulated``: seconds.
        real_hits, simulated_hits: share of the prompt tokens that the prefix caches held.
    """

    replicas: int
    trajectories: int
    times: ServiceTimes
    real: Spread
    simulated: float
    real_hits: float
    simulated_hits: float

    @property
    def ratio(self) -> float:
        """Simulated over the least that was real: other work on the machine only adds."""
        return self.simulated / self.real.least


def measure_engines(
    model: str,
    engine_args: dict[str, Any],
    replicas: Sequence[int],
    trajectories: int,
    repeats: int,
    progress: Callable[[str], None],
) -> list[HeldFigures]:
    """Of each number of engines fit the service times, to the least seconds of each run, then decode on them.

    They are fitted with all of that number at work: two on one machine may share a core's parts, its caches
    and its memory's bandwidth, and each takes longer than one alone.

    Args:
        model: a folder; what it samples does not matter, only how long it takes.
        engine_args: of `VLLMEngine`.
        trajectories: per replica.
        repeats: of each run.

    Raises:
        BenchError: the model stops before it has sampled what it was asked for.
        EngineError: vLLM is missing, or fails.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in ON_CPU.items()})

    async def run(engines: Sequence[VLLMEngine]) -> list[tuple[ServiceTimes, _Real]]:
        found = []
        for count in replicas:
            named = f"{count} engines" if count > 1 else "one engine"
            progress(f"{named} by batch, prompt and length")
            times = await _fitted(engines[:count], repeats)
            progress(named)
            found.append((times, await _real(engines[:count], trajectories * count, repeats)))
        return found

    with ExitStack() as stack:
        counting = {"disable_log_stats": False, "enable_prefix_caching": True, **engine_args}
        engines = [stack.enter_context(VLLMEngine(model, **counting)) for _ in range(max(replicas))]
        found = asyncio.run(run(engines))
    return [_held(*each) for each in found]


async def _fitted(engines: Sequence[VLLMEngine], repeats: int) -> ServiceTimes:
    cases = list(product(SEQUENCES, PROMPTS, TOKENS))
    await _measured(engines, *cases[-1])  # warm-up
    turns = [[await _measured(engines, *case) for case in cases] for _ in range(repeats)]
    least = [min(runs, key=lambda run: run.seconds) for runs in zip(*turns, strict=True)]
    if not all(run.seconds > 0 for run in least):
        raise BenchError("the engines' CPU time cannot be read: /proc/PID/task/*/schedstat needs Linux")
    return fit(least, engines[0].kv_tokens, engines[0].block_size)


async def _measured(engines: Sequence[VLLMEngine], sequences: int, prompt: int, tokens: int) -> Measured:
    """The same on each engine, at once."""
    asked = [(engine, _letters(prompt)) for engine in engines for _ in range(sequences)]
    clock = _Clock()
    await asyncio.gather(*(_sampled(engine, ids, tokens, "fit") for engine, ids in asked))
    return Measured(sequences, prompt, tokens, clock.seconds())


class _Clock:
    """Seconds of the busiest engine: on a CPU its process's own, so that other work there changes little (one
    of one thread computes whenever it has something to do), on a GPU the wall's.
    """

    def __init__(self) -> None:
        self._began = self._now()

    def seconds(self) -> float:
        """Since it was made."""
        now = self._now()
        return max(seconds - self._began.get(name, 0.0) for name, seconds in now.items())

    @staticmethod
    def _now() -> dict[int, float]:
        import psutil  # vLLM brings it
        import torch

        if torch.cuda.is_available():
            return {0: time.perf_counter()}
        return {each.pid: _cpu_seconds(each.pid) for each in psutil.Process().children(recursive=True)}


def _cpu_seconds(pid: int) -> float:
    """Of all threads, in nanoseconds' resolution: psutil's 10 ms are more than a small model's step takes."""
    nanoseconds = 0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):  # a thread that ends meanwhile
            nanoseconds += int(file.read_text().split()[0])
    return nanoseconds / 1e9


@dataclass(frozen=True)
class _Real:
    """The trajectories on real engines; ``hits`` of the last repeat."""

    replicas: int
    trajectories: int
    seconds: list[float]
    hits: float


async def _real(engines: Sequence[VLLMEngine], trajectories: int, repeats: int) -> _Real:
    seconds, hits = [], 0.0
    for _ in range(repeats):
        for engine in engines:
            await engine.reset_prefix_cache()
        before = sum(engine.prefix_cache_hits() for engine in engines)
        clock = _Clock()
        asked = await _decode(engines, trajectories)
        seconds.append(clock.seconds())
        hits = (sum(engine.prefix_cache_hits() for engine in engines) - before) / asked
    return _Real(len(engines), trajectories, seconds, hits)


def _held(times: ServiceTimes, real: _Real) -> HeldFigures:
    simulated = simulate(Cluster(times, real.replicas, FREE), HELD, real.trajectories, tags())
    return HeldFigures(
        replicas=real.replicas,
        trajectories=real.trajectories,
        times=times,
        real=Spread.of(real.seconds),
        simulated=simulated.seconds,
        real_hits=real.hits,
        simulated_hits=simulated.hits,
    )


async def _decode(engines: Sequence[VLLMEngine], trajectories: int) -> int:
    """All trajectories at once; the prompt tokens of their requests."""
    router, asked = StickyRouter(len(engines)), 0

    async def serve(ask: Ask) -> Sequence[int]:
        nonlocal asked
        asked += len(ask.prompt_ids)
        place = router.acquire(ask.request_id)
        try:
            return await _sampled(engines[place], ask.prompt_ids, ask.tokens, ask.request_id)
        finally:
            router.release(place)

    async def one(number: int) -> None:
        planned = PlannedEngine(number, HELD.draw(number), HELD.prompt, serve, tags())
        await fork_join(planned, _letters(HELD.prompt), tags(), LIMITS, request_id=str(number))

    await asyncio.gather(*map(one, range(trajectories)))
    return asked


async def _sampled(engine: VLLMEngine, prompt: Sequence[int], tokens: int, request_id: str) -> Sequence[int]:
    answer = await engine.generate(prompt, stop_token_ids=[], max_tokens=tokens, request_id=request_id)
    if len(answer.token_ids) != tokens:
        raise BenchError(
            f"the engine sampled {len(answer.token_ids)} tokens of {tokens} after {len(prompt)}: give a "
            "model with a context of 2,048 tokens or more"
        )
    return answer.token_ids


def _letters(count: int) -> list[int]:
    return random.choices(tags().encode(LETTERS), k=count)
