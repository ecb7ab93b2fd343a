"""The wall clock of two models on the same problems, each problem decoded by both back to back.

A machine that other work shares is faster in one minute than in the next. So the two decode a problem one
right after the other, at batch size 1; who is first alternates; and what counts is the ratio of each pair::

    problem 0   own ────── baseline ──────────      ratio 0
    problem 1   baseline ────────── own ──────      ratio 1
    problem 2   own ────── baseline ──────────      ratio 2

Each decoding starts from an empty prefix cache: neither model profits from what was decoded before. On CPUs
both engines must run on the same ones, see `tw_plugins.engines.placement`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from tw_plugins.evaluation.clock.cpu_load import OthersCpu
from tw_plugins.evaluation.problems import EvalProblem
from tw_plugins.latency import measure
from tw_plugins.rollout import Engine, Limits, Mode, fork_join
from tw_plugins.trajectory import ControlTokens

__all__ = ["CachingEngine", "Decoded", "Pair", "Side", "time_pairs"]


class CachingEngine(Engine, Protocol):
    """An engine with a prefix cache."""

    async def reset_prefix_cache(self) -> None:
        """Forgets every cached prefix."""
        ...


class Side(NamedTuple):
    """One of the two models.

    Attributes:
        mode: it decodes in.
        prompts: index of a problem → its prompt's ids, by this model's tokenizer.
    """

    engine: CachingEngine
    tags: ControlTokens
    limits: Limits
    mode: Mode
    prompts: Mapping[int, Sequence[int]]


@dataclass(frozen=True)
class Decoded:
    """One problem by one model: wall-clock seconds, sampled tokens, token latency in tokens (P12)."""

    seconds: float
    total: int
    longest: int


@dataclass(frozen=True)
class Pair:
    """One problem by both.

    Attributes:
        index, prompt: of the problem.
        first: who was decoded first.
        others_cpu: share (0..1) of all CPUs that other processes took meanwhile.
        load_average: of the last minute, as the system has it after both.
    """

    index: int
    prompt: str
    first: Literal["own", "baseline"]
    own: Decoded
    baseline: Decoded
    others_cpu: float
    load_average: float


async def time_pairs(
    own: Side,
    baseline: Side,
    problems: Sequence[EvalProblem],
    warm_up: Sequence[EvalProblem],
    progress: Callable[[Pair], None],
    done: int = 0,
) -> None:
    """Decodes the warm-up, then every problem by both models.

    Args:
        progress: called with each pair as it is made.
        done: pairs that an earlier run made, so that taking turns in being first goes on.

    Raises:
        EngineError: what an engine raised.
    """
    for problem in warm_up:
        for side in (own, baseline):
            await _decode(side, problem)
    others = OthersCpu()
    for place, problem in enumerate(problems, done):
        progress(await _pair(own, baseline, problem, place % 2 == 0, others))


async def _pair(own: Side, baseline: Side, problem: EvalProblem, own_first: bool, others: OthersCpu) -> Pair:
    others.restart()
    if own_first:
        ours, theirs = await _decode(own, problem), await _decode(baseline, problem)
    else:
        theirs, ours = await _decode(baseline, problem), await _decode(own, problem)
    return Pair(
        index=problem.index,
        prompt=problem.prompt,
        first="own" if own_first else "baseline",
        own=ours,
        baseline=theirs,
        others_cpu=others.share(),
        load_average=os.getloadavg()[0],
    )


async def _decode(side: Side, problem: EvalProblem) -> Decoded:
    await side.engine.reset_prefix_cache()
    prompt = side.prompts[problem.index]
    start = time.perf_counter()
    rollout = await fork_join(side.engine, prompt, side.tags, side.limits, mode=side.mode)
    seconds = time.perf_counter() - start
    latency = measure(rollout)
    return Decoded(seconds, latency.total, latency.longest)
