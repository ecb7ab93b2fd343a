"""`ClientCosts` of this machine: the real code on trajectories of full length, real Ray between processes.

CPU seconds, not the wall clock's, so other work on the machine changes little.
"""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import Callable
from typing import Any

from tw_plugins.adapter.vital_signs import VitalSigns
from tw_plugins.advantage import p_grpo
from tw_plugins.bench import BenchError
from tw_plugins.bench.reward import HONEST
from tw_plugins.bench.rollout import bench_rollout
from tw_plugins.bench.shapes import Shape, shaped_rollout, tags
from tw_plugins.grading.pool import GradingPool
from tw_plugins.planning.simulation import ClientCosts
from tw_plugins.planning.simulation.router import StickyRouter
from tw_plugins.reward.facts import summarise
from tw_plugins.trie import row_from_rollout

__all__ = ["measure_client"]

TRAJECTORIES, GROUP = 128, 8
ANSWERS = 100
CALLS, AT_ONCE = 4000, 64
SCORE = {"score": 1.0, "acc": 1.0, "activation": 1.0, "total": 1.0, "longest": 1.0}


def measure_client(shape: Shape, replicas: int) -> ClientCosts:
    """
    Args:
        shape: of the trajectories.
        replicas: among which the router chooses.

    Raises:
        BenchError: Ray is not installed.
    """
    rollout = shaped_rollout(shape)
    calls = len(rollout.calls)
    prompt = sum(len(call.context_ids) for call in rollout.calls) // calls
    answer = sum(len(call.completion.token_ids) for call in rollout.calls) // calls
    ray_request, routing = _through_ray(prompt, answer, replicas)
    machine = bench_rollout(shape, TRAJECTORIES, 1).cpu_s_per_request.median
    return ClientCosts(
        request=machine + ray_request,
        trajectory=_cpu_s(lambda: (row_from_rollout(rollout), summarise(rollout, tags())), 20),
        answer=(_grading_cpu_s(ANSWERS) - _grading_cpu_s(1)) / ((ANSWERS - 1) * len(HONEST)),
        routing=routing,
        driver=_cpu_s(_drive, 10) / TRAJECTORIES,
    )


def _cpu_s(work: Callable[[], object], times: int) -> float:
    """Of one call, after a first."""
    work()
    start = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - start) / times


def _grading_cpu_s(times: int) -> float:
    """Of this process and its grading process, start included, for so many times all honest answers."""
    before = _with_children()
    pool = GradingPool(size=1)
    for pair in HONEST * times:
        pool.equal(*pair)
    pool.close()
    return _with_children() - before


def _with_children() -> float:
    return time.process_time() + sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])


def _drive() -> None:
    import torch

    groups = [number // GROUP for number in range(TRAJECTORIES)]
    scores = [{**SCORE, "score": float(number % 2)} for number in range(TRAJECTORIES)]
    VitalSigns("parallel", None).of_step(1, scores, groups)
    p_grpo(torch.tensor([score["score"] for score in scores]), groups)


class _RouterProcess:
    """The router as an actor, as verl has it."""

    def __init__(self, replicas: int) -> None:
        self._router = StickyRouter(replicas)

    def acquire(self, request_id: str) -> int:
        return self._router.acquire(request_id)

    def release(self, replica: int) -> None:
        self._router.release(replica)

    def cpu_s(self) -> float:
        return time.process_time()


class _EngineProcess:
    """Answers at once, with ids and log-probs as vLLM's actor does."""

    def __init__(self, tokens: int) -> None:
        self._answer = [1000] * tokens, [-0.5] * tokens

    def generate(self, prompt_ids: list[int]) -> tuple[list[int], list[float]]:
        return self._answer


def _through_ray(prompt: int, answer: int, replicas: int) -> tuple[float, float]:
    """CPU seconds of one request: of the process that asks, and of the router's."""
    try:
        import ray
    except ImportError as error:
        raise BenchError("the client's Ray calls need Ray: pip install ray") from error
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        router: Any = ray.remote(_RouterProcess).remote(replicas)
        engine: Any = ray.remote(_EngineProcess).remote(answer)
        asyncio.run(_ask(router, engine, prompt, AT_ONCE))  # warm-up
        before, start = ray.get(router.cpu_s.remote()), time.process_time()
        asyncio.run(_ask(router, engine, prompt, CALLS))
        asking, routing = time.process_time() - start, ray.get(router.cpu_s.remote()) - before
    finally:
        ray.shutdown()
    return asking / CALLS, routing / CALLS


async def _ask(router: Any, engine: Any, prompt: int, calls: int) -> None:
    """The calls of verl's client (`workers/rollout/llm_server.py`, ``generate``), many at once."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with gate:
            place = await router.acquire.remote(str(number // 15))
            await engine.generate.remote([number] * prompt)
            router.release.remote(place)

    await asyncio.gather(*map(one, range(calls)))
