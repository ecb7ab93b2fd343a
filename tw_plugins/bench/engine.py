"""Fork-join on the real vLLM: wall clock and token latency, the orchestrator's share, prefix-cache hits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from tw_plugins.bench.cpu_meter import CpuMeter
from tw_plugins.bench.prefix_cache import possible_hits
from tw_plugins.bench.timing import Spread
from tw_plugins.engines import VLLMEngine
from tw_plugins.evaluation.problems import decomposable_places
from tw_plugins.evaluation.run import EvalSettings, Prepared, prepare
from tw_plugins.latency import measure
from tw_plugins.rollout import Completion, Engine, Mode, Rollout, fork_join

__all__ = ["EngineFigures", "ReplicaFigures", "bench_engine", "bench_replicas"]


@dataclass(frozen=True)
class EngineFigures:
    """One batch size, over the repeats.

    Attributes:
        wall_clock, token_latency: autoregressive over parallel, of all problems together.
        orchestrator: CPU time of the state machine in parallel mode, outside of the engine's own code, as a
            share of the wall clock.
        hits, possible: prompt tokens that vLLM took from its prefix cache in parallel mode, by its own
            counter, and those that it could have taken given its block size; of the repeat with the lowest
            share.
        asked: prompt tokens of all its requests.
    """

    batch: int
    problems: int
    wall_clock: Spread
    token_latency: Spread
    orchestrator: Spread
    hits: int
    possible: int
    asked: int


@dataclass(frozen=True)
class ReplicaFigures:
    """Several engines behind a router, as verl has them: a new request id goes to the one with least to do.

    Attributes:
        sticky_hits: as `EngineFigures.hits`, with one request id per trajectory.
        spread_hits: with one per request.
        possible, asked: see there.
    """

    replicas: int
    batch: int
    problems: int
    sticky_hits: int
    spread_hits: int
    possible: int
    asked: int


class _Apart:
    """An engine whose own steps a meter does not count."""

    def __init__(self, engine: Engine, meter: CpuMeter) -> None:
        self._engine, self._meter = engine, meter

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        return await self._meter.without(
            self._engine.generate(
                prompt_ids, stop_token_ids=stop_token_ids, max_tokens=max_tokens, request_id=request_id
            )
        )


class _Router:
    """Engines as one: a request id that was seen goes where it went, a new one to the least busy."""

    def __init__(self, engines: Sequence[Engine], sticky: bool) -> None:
        self.engines, self.sticky = engines, sticky
        self._under_way = [0] * len(engines)
        self._place_of: dict[str, int] = {}
        self._serial = count()

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        key = request_id if self.sticky else f"{request_id}/{next(self._serial)}"
        place = self._place_of.setdefault(key, self._under_way.index(min(self._under_way)))
        self._under_way[place] += 1
        try:
            return await self.engines[place].generate(
                prompt_ids, stop_token_ids=stop_token_ids, max_tokens=max_tokens, request_id=request_id
            )
        finally:
            self._under_way[place] -= 1


def bench_engine(
    model: str,
    data: Path,
    problems: int,
    batches: Sequence[int],
    repeats: int,
    progress: Callable[[int], None],
) -> list[EngineFigures]:
    """Greedy decoding of the first decomposable problems of a file, in both modes, for each batch size.

    Args:
        repeats: of both modes, which take turns in being the first.
        progress: called with each batch size before it is run.

    Raises:
        EvaluationError: model or data cannot be used, see `tw_plugins.evaluation.run.evaluate_model`.
    """
    prepared, prompts = _prepared(model, data, problems)

    async def run(engine: VLLMEngine) -> list[EngineFigures]:
        figures = []
        await _decode(engine, prepared, prompts[:1], "parallel", 1)  # warm-up
        for batch in batches:
            progress(batch)
            figures.append(await _at_batch(engine, prepared, prompts, batch, repeats))
        return figures

    with VLLMEngine(model, **prepared.engine_args) as engine:
        return asyncio.run(run(engine))


def bench_replicas(model: str, data: Path, problems: int, batch: int, replicas: int) -> ReplicaFigures:
    """Prefix-cache hits of `replicas` engines, each in a process of its own, with either kind of request id.

    Raises:
        EvaluationError: see `bench_engine`.
    """
    prepared, prompts = _prepared(model, data, problems)

    async def run(engines: Sequence[VLLMEngine]) -> ReplicaFigures:
        hits: dict[bool, int] = {}
        for sticky in (True, False):
            for engine in engines:
                await engine.reset_prefix_cache()
            before = sum(engine.prefix_cache_hits() for engine in engines)
            rollouts = await _decode(_Router(engines, sticky), prepared, prompts, "parallel", batch)
            hits[sticky] = sum(engine.prefix_cache_hits() for engine in engines) - before
        return ReplicaFigures(
            replicas=replicas,
            batch=batch,
            problems=len(prompts),
            sticky_hits=hits[True],
            spread_hits=hits[False],
            possible=possible_hits(rollouts, engines[0].block_size),
            asked=_asked(rollouts),
        )

    with ExitStack() as stack:
        made = [stack.enter_context(VLLMEngine(model, **prepared.engine_args)) for _ in range(replicas)]
        return asyncio.run(run(made))


def _prepared(model: str, data: Path, problems: int) -> tuple[Prepared, list[list[int]]]:
    """What decoding takes, with vLLM's counters on, and the prompts of the first decomposable problems."""
    counting = {"disable_log_stats": False, "enable_prefix_caching": True}
    prepared = prepare(model, data, EvalSettings(engine_args=counting))
    places = decomposable_places(prepared.problems)[:problems]
    return prepared, [prepared.problems[place].prompt_ids for place in places]


@dataclass(frozen=True)
class _Run:
    """All problems in one mode, from an empty cache."""

    seconds: float
    longest: int
    orchestrator_s: float
    hits: int
    possible: int
    asked: int


async def _at_batch(
    engine: VLLMEngine, prepared: Prepared, prompts: Sequence[Sequence[int]], batch: int, repeats: int
) -> EngineFigures:
    runs: dict[Mode, list[_Run]] = {"autoregressive": [], "parallel": []}
    for repeat in range(repeats):
        for mode in list(runs) if repeat % 2 == 0 else reversed(list(runs)):
            runs[mode].append(await _run(engine, prepared, prompts, mode, batch))
    parallel = runs["parallel"]
    pairs = list(zip(runs["autoregressive"], parallel, strict=True))
    worst = min(parallel, key=lambda run: run.hits / run.possible if run.possible else 1.0)
    return EngineFigures(
        batch=batch,
        problems=len(prompts),
        wall_clock=Spread.of([plain.seconds / ours.seconds for plain, ours in pairs]),
        token_latency=Spread.of([plain.longest / ours.longest for plain, ours in pairs]),
        orchestrator=Spread.of([run.orchestrator_s / run.seconds for run in parallel]),
        hits=worst.hits,
        possible=worst.possible,
        asked=worst.asked,
    )


async def _run(
    engine: VLLMEngine, prepared: Prepared, prompts: Sequence[Sequence[int]], mode: Mode, batch: int
) -> _Run:
    """`batch` trajectories at a time."""
    await engine.reset_prefix_cache()
    before, meter = engine.prefix_cache_hits(), CpuMeter()
    ours = {part.__code__.co_filename for part in (_decode, fork_join)}
    meter.watch_tasks(asyncio.get_running_loop(), ours)
    start = time.perf_counter()
    rollouts = await _decode(_Apart(engine, meter), prepared, prompts, mode, batch)
    seconds = time.perf_counter() - start
    return _Run(
        seconds=seconds,
        longest=sum(measure(rollout).longest for rollout in rollouts),
        orchestrator_s=meter.seconds,
        hits=engine.prefix_cache_hits() - before,
        possible=possible_hits(rollouts, engine.block_size),
        asked=_asked(rollouts),
    )


def _asked(rollouts: Iterable[Rollout]) -> int:
    return sum(len(call.context_ids) for rollout in rollouts for call in rollout.calls)


async def _decode(
    engine: Engine, prepared: Prepared, prompts: Sequence[Sequence[int]], mode: Mode, batch: int
) -> list[Rollout]:
    gate = asyncio.Semaphore(batch)

    async def one(prompt: Sequence[int]) -> Rollout:
        async with gate:
            return await fork_join(engine, prompt, prepared.tags, prepared.limits, mode=mode)

    return await asyncio.gather(*map(one, prompts))
