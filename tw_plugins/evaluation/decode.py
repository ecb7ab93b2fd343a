"""A model in one mode on problems of known answers: accuracy, format, token latency, wall clock.

Token latency does not depend on the machine, so problems may be decoded many at a time. Wall clock does: it
is taken at batch size 1, one problem after the other, after a warm-up.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from tw_plugins.evaluation.problems import EvalProblem, decomposable_places
from tw_plugins.evaluation.records import EvalRecord, spans_of
from tw_plugins.evaluation.scores import EvaluationError
from tw_plugins.latency import measure
from tw_plugins.rollout import Engine, EngineError, Limits, Mode, Rollout, fork_join
from tw_plugins.rollout.concurrency import all_or_raise
from tw_plugins.trajectory import ControlTokens, validate_ids
from tw_plugins.verifiers import Task, VerifierSettings, answer_in, verify
from tw_plugins.verifiers.names import CODE, MATH

__all__ = ["evaluate"]

WARM_UP = 2  # problems decoded before the clock is read


async def evaluate(
    engine: Engine,
    tags: ControlTokens,
    problems: Sequence[EvalProblem],
    mode: Mode,
    limits: Limits,
    concurrency: int,
    wall_clock_problems: int = 0,
    grading: VerifierSettings = VerifierSettings(),  # noqa: B008
    progress: Callable[[EvalRecord], None] = lambda record: None,
) -> list[EvalRecord]:
    """Decodes and grades every problem.

    Args:
        concurrency: trajectories decoded at a time.
        wall_clock_problems: so many of the decomposable problems, the first ones (the first of all where none
            is decomposable), come last: one at a time, after a warm-up, and with their ``wall_s``.
        grading: who says whether an answer is right.
        progress: called with every record as it is made.

    Returns:
        One record per problem, in their order.

    Raises:
        EvaluationError: ``concurrency`` is below 1.
        VerifierError, GradingError: see `tw_plugins.verifiers.verify`.
        EngineError: the engine broke an answer off.
        Exception: what the engine raised, after the other trajectories were cancelled.
    """
    if concurrency < 1:
        raise EvaluationError(f"concurrency is {concurrency}, must be at least 1")
    gate = asyncio.Semaphore(concurrency)

    async def answer(problem: EvalProblem, timed: bool) -> EvalRecord:
        started = time.perf_counter()
        # The same in every run: an engine may make the request's seed of it.
        name = f"{mode}-{problem.index}-{problem.sample}"
        rollout = await fork_join(engine, problem.prompt_ids, tags, limits, mode=mode, request_id=name)
        if rollout.limits_hit.get("abort"):  # which says nothing of the model
            raise EngineError(
                f"the engine broke off its answer to the problem of index {problem.index}: see its log, and "
                "run the same command again"
            )
        wall_s = time.perf_counter() - started if timed else None
        return await asyncio.to_thread(_record, problem, rollout, tags, grading, wall_s)

    async def one_of_many(place: int) -> EvalRecord:
        async with gate:
            record = await answer(problems[place], timed=False)
        progress(record)
        return record

    timed = decomposable_places(problems)[: max(wall_clock_problems, 0)]
    rest = sorted(set(range(len(problems))) - set(timed))
    made = dict(zip(rest, await all_or_raise([one_of_many(place) for place in rest]), strict=True))
    if timed:
        for problem in problems[-WARM_UP:]:
            await answer(problem, timed=False)
    for place in timed:
        made[place] = await answer(problems[place], timed=True)
        progress(made[place])
    return [made[place] for place in range(len(problems))]


def _record(
    problem: EvalProblem,
    rollout: Rollout,
    tags: ControlTokens,
    grading: VerifierSettings,
    wall_s: float | None,
) -> EvalRecord:
    latency, text = measure(rollout), tags.decode(rollout.response_ids)
    verdict = verify(Task(problem.prompt, text, problem.reference, problem.extra), grading)
    return EvalRecord(
        index=problem.index,
        kind=problem.kind,
        mode=rollout.mode,
        prompt=problem.prompt,
        text=text,
        correct=verdict.correct,
        well_formed=not validate_ids(rollout.response_ids, tags),
        total=latency.total,
        longest=latency.longest,
        blocks=latency.blocks,
        threads=latency.threads,
        wall_s=wall_s,
        limits_hit=rollout.limits_hit,
        spans=spans_of(rollout, timed=wall_s is not None),
        unanswered=verdict.unanswered,
        score=None if grading.verifier == MATH else verdict.score,
        failed=verdict.failed,
        sample=problem.sample,
        answer=answer_in(text, grading),
        reference=None if grading.verifier in CODE else problem.reference,
    )
