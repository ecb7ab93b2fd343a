"""A model in one mode on problems of known answers: accuracy, format, token latency, wall clock.

Token latency does not depend on the machine, so problems may be decoded many at a time. Wall clock does: it
is taken at batch size 1 (``concurrency=1``), one problem after the other, after a warm-up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from tw_plugins.evaluation.problems import EvalProblem, decomposable_places
from tw_plugins.evaluation.records import EvalRecord, spans_of
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.grading import extract_answer, is_equivalent
from tw_plugins.latency import measure
from tw_plugins.rollout import Engine, Limits, Mode, Rollout, fork_join
from tw_plugins.rollout.concurrency import all_or_raise
from tw_plugins.trajectory import ControlTokens, validate_ids

__all__ = ["evaluate", "evaluate_timed"]

Progress = Callable[[EvalRecord], None]
WARM_UP = 2  # problems decoded before the clock is read


async def evaluate(
    engine: Engine,
    tags: ControlTokens,
    problems: Sequence[EvalProblem],
    mode: Mode,
    limits: Limits,
    concurrency: int,
    progress: Progress | None = None,
    clock: bool = True,
) -> list[EvalRecord]:
    """Decodes and grades every problem.

    Args:
        concurrency: trajectories decoded at a time; with 1 each record has its ``wall_s``.
        progress: called with every record as it is made.
        clock: False reads no clock, even with 1 at a time.

    Returns:
        One record per problem, in their order.

    Raises:
        EvaluationError: ``concurrency`` is below 1.
        Exception: what the engine raised, after the other trajectories were cancelled.
    """
    if concurrency < 1:
        raise EvaluationError(f"concurrency is {concurrency}, must be at least 1")
    gate = asyncio.Semaphore(concurrency)

    async def answer(problem: EvalProblem) -> EvalRecord:
        async with gate:
            started = time.perf_counter()
            rollout = await fork_join(engine, problem.prompt_ids, tags, limits, mode=mode)
            wall_s = time.perf_counter() - started if clock and concurrency == 1 else None
            record = await asyncio.to_thread(_record, problem, rollout, tags, wall_s)
        if progress:
            progress(record)
        return record

    return await all_or_raise([answer(problem) for problem in problems])


async def evaluate_timed(
    engine: Engine,
    tags: ControlTokens,
    problems: Sequence[EvalProblem],
    mode: Mode,
    limits: Limits,
    concurrency: int,
    wall_clock_problems: int,
    progress: Progress | None = None,
) -> list[EvalRecord]:
    """Like :func:`evaluate`, with ``wall_s`` for the first ``wall_clock_problems`` decomposable problems.

    Those come last and are decoded one at a time, after a warm-up on the last problems; the rest
    ``concurrency`` at a time. Where no problem is decomposable the first of all are timed.
    """
    timed = decomposable_places(problems)[: max(wall_clock_problems, 0)]
    rest = sorted(set(range(len(problems))) - set(timed))
    others = [problems[place] for place in rest]
    records = await evaluate(engine, tags, others, mode, limits, concurrency, progress, clock=False)
    made = dict(zip(rest, records, strict=True))
    if timed:
        await evaluate(engine, tags, problems[-WARM_UP:], mode, limits, 1)
        chosen = [problems[place] for place in timed]
        records = await evaluate(engine, tags, chosen, mode, limits, 1, progress)
        made |= dict(zip(timed, records, strict=True))
    return [made[place] for place in range(len(problems))]


def _record(problem: EvalProblem, rollout: Rollout, tags: ControlTokens, wall_s: float | None) -> EvalRecord:
    latency, text = measure(rollout), tags.decode(rollout.response_ids)
    answer = extract_answer(text)
    return EvalRecord(
        index=problem.index,
        kind=problem.kind,
        mode=rollout.mode,
        prompt=problem.prompt,
        text=text,
        correct=answer is not None and is_equivalent(answer, problem.reference),
        well_formed=not validate_ids(rollout.response_ids, tags),
        total=latency.total,
        longest=latency.longest,
        blocks=latency.blocks,
        threads=latency.threads,
        wall_s=wall_s,
        limits_hit=rollout.limits_hit,
        spans=spans_of(rollout, timed=wall_s is not None),
    )
