"""Fork-join on the real vLLM: wall clock and token latency, the orchestrator's share, prefix-cache hits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path

from tw_plugins.engines import VLLMEngine
from tw_plugins.evaluate_model import EvalSettings, Prepared, prepare
from tw_plugins.latency import measure
from tw_plugins.rollout import Call, Completion, Engine, Mode, Rollout, fork_join

__all__ = ["EngineFigures", "ReplicaFigures", "bench_engine", "bench_replicas", "possible_hits"]


@dataclass(frozen=True)
class EngineFigures:
    """One batch size.

    Attributes:
        wall_clock, token_latency: autoregressive over parallel, of all problems together.
        outside_engine: share of the parallel wall clock with no request under way: the orchestrator's own.
        hits, possible: prompt tokens that vLLM took from its prefix cache in parallel mode, by its own
            counter, and those that it could have taken given its block size.
        asked: prompt tokens of all requests.
    """

    batch: int
    problems: int
    wall_clock: float
    token_latency: float
    outside_engine: float
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


class _Watched:
    """An engine, and for how long at least one request was under way."""

    def __init__(self, engine: VLLMEngine) -> None:
        self.engine, self.busy_s = engine, 0.0
        self._under_way, self._since = 0, 0.0

    async def generate(
        self, prompt_ids: Sequence[int], *, stop_token_ids: Sequence[int], max_tokens: int, request_id: str
    ) -> Completion:
        if not self._under_way:
            self._since = time.perf_counter()
        self._under_way += 1
        try:
            return await self.engine.generate(
                prompt_ids, stop_token_ids=stop_token_ids, max_tokens=max_tokens, request_id=request_id
            )
        finally:
            self._under_way -= 1
            if not self._under_way:
                self.busy_s += time.perf_counter() - self._since


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
    model: str, data: Path, problems: int, batches: Sequence[int], progress: Callable[[int], None]
) -> list[EngineFigures]:
    """Greedy decoding of the first decomposable problems of a file, in both modes, for each batch size.

    Args:
        progress: called with each batch size before it is run.

    Raises:
        EvaluationError: model or data cannot be used, see `tw_plugins.evaluate_model.evaluate_model`.
    """
    prepared, prompts = _prepared(model, data, problems)

    async def run(engine: VLLMEngine) -> list[EngineFigures]:
        figures = []
        await _decode(_Watched(engine), prepared, prompts[:1], "parallel", 1)  # warm-up
        for batch in batches:
            progress(batch)
            figures.append(await _both_modes(engine, prepared, prompts, batch))
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
    chosen = [problem for problem in prepared.problems if problem.kind == "decomposable"]
    return prepared, [problem.prompt_ids for problem in (chosen or prepared.problems)[:problems]]


async def _both_modes(
    engine: VLLMEngine, prepared: Prepared, prompts: Sequence[Sequence[int]], batch: int
) -> EngineFigures:
    """All prompts, `batch` trajectories at a time; each mode begins with an empty cache."""
    seconds: dict[Mode, float] = {}
    longest: dict[Mode, int] = {}
    for mode in ("autoregressive", "parallel"):
        watched = _Watched(engine)
        await engine.reset_prefix_cache()
        before = engine.prefix_cache_hits()
        start = time.perf_counter()
        rollouts = await _decode(watched, prepared, prompts, mode, batch)
        seconds[mode] = time.perf_counter() - start
        longest[mode] = sum(measure(rollout).longest for rollout in rollouts)
    return EngineFigures(
        batch=batch,
        problems=len(prompts),
        wall_clock=seconds["autoregressive"] / seconds["parallel"],
        token_latency=longest["autoregressive"] / longest["parallel"],
        outside_engine=1 - watched.busy_s / seconds["parallel"],
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


def possible_hits(rollouts: Iterable[Rollout], block_size: int) -> int:
    """Prompt tokens that a cache of whole blocks can serve, trajectory by trajectory in their order.

    A request's prompt and what it sampled, but for the last token, are in the cache afterwards; threads of
    one block ask together and so do not serve each other. The last token of a prompt is always computed.
    """
    known: set[tuple[int, ...]] = set()
    hits = 0
    for rollout in rollouts:
        for calls in _asked_together(rollout):
            hits += sum(_served(call, known, block_size) for call in calls)
            known.update(prefix for call in calls for prefix in _prefixes(call, block_size))
    return hits


def _asked_together(rollout: Rollout) -> Iterable[list[Call]]:
    for block, group in groupby(rollout.calls, key=lambda call: call.block):
        calls = list(group)
        yield from [calls] if block is not None else [[call] for call in calls]


def _served(call: Call, known: set[tuple[int, ...]], block_size: int) -> int:
    prompt = tuple(call.context_ids)
    served = 0
    while served + block_size < len(prompt) and prompt[: served + block_size] in known:
        served += block_size
    return served


def _prefixes(call: Call, block_size: int) -> Iterable[tuple[int, ...]]:
    computed = (*call.context_ids, *call.completion.token_ids[:-1])
    return (computed[:end] for end in range(block_size, len(computed) + 1, block_size))
