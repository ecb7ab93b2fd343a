"""A step: all its trajectories at once, through workers, router, engines, grading and driver."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from tw_plugins.planning.simulation import clock
from tw_plugins.planning.simulation.client import ClientCosts, needed
from tw_plugins.planning.simulation.planned import Ask, PlannedEngine
from tw_plugins.planning.simulation.replica import Replica
from tw_plugins.planning.simulation.router import EvenRouter, Router, StickyRouter
from tw_plugins.planning.simulation.service import ServiceTimes
from tw_plugins.planning.simulation.station import Station
from tw_plugins.planning.simulation.workload import Workload
from tw_plugins.rollout import Limits, fork_join
from tw_plugins.trajectory import ControlTokens

__all__ = ["Cluster", "Placement", "StepFigures", "simulate"]

Placement = Literal["trajectory", "thread", "prompt"]
LIMITS = Limits.of(1 << 20, max_blocks=1 << 10)
"""That no trajectory meets: its plan says how long it is."""
LAST = 0.05
"""Share of a step's trajectories that are its stragglers."""


@dataclass(frozen=True)
class Cluster:
    """What a step runs on.

    Attributes:
        times: of each of its ``replicas``.
        costs: of the ``workers`` (agent-loop workers), the ``graders``, the router and the driver.
        placement: the id by which requests are routed: verl's `request_ids`, "trajectory" or "thread", or
            "prompt", OpenRLHF's way.
        group: trajectories of a prompt.
    """

    times: ServiceTimes
    replicas: int
    costs: ClientCosts
    workers: int = 8
    graders: int = 16
    placement: Placement = "trajectory"
    group: int = 8


@dataclass(frozen=True)
class StepFigures:
    """One step, its seconds simulated.

    Attributes:
        seconds: until the last trajectory is graded and has reached the driver.
        trajectory_s, p99_s: of a trajectory's rollout since the step began, mean and 99th percentile.
        stragglers: share of the step in which only its last 5 % of trajectories went on.
        engines_busy: share of the step in which a replica had something to decode, mean.
        batch: sequences that a replica decoded at once, mean over its steps.
        hits: share of the prompt tokens that the prefix caches held.
        workers, graders, router, driver: share of the step in which such a process was busy, mean.
    """

    replicas: int
    trajectories: int
    requests: int
    placement: Placement
    seconds: float
    trajectory_s: float
    p99_s: float
    stragglers: float
    engines_busy: float
    batch: float
    hits: float
    workers: float
    graders: float
    router: float
    driver: float

    def processes(self, cluster: Cluster) -> dict[str, int]:
        """How many of each kind the step needs; of router and driver there is one, so more than 1 says that
        it is too slow. Where one is busy nearly always, the step waited for it, and needs yet more.
        """
        counts = {"workers": cluster.workers, "graders": cluster.graders, "router": 1, "driver": 1}
        return {name: needed(getattr(self, name) * count, 1.0) for name, count in counts.items()}


def simulate(
    cluster: Cluster, workload: Workload, trajectories: int, tags: ControlTokens, seed: int = 0
) -> StepFigures:
    """One step.

    Args:
        seed: of the router's choice; the trajectories are always the same.

    Raises:
        SimulationError: a trajectory is longer than the KV cache.
    """
    return clock.run(_Step(cluster, workload, trajectories, tags, seed).figures())


class _Step:
    def __init__(
        self, cluster: Cluster, workload: Workload, trajectories: int, tags: ControlTokens, seed: int
    ) -> None:
        self.cluster, self.workload, self.trajectories, self.tags = cluster, workload, trajectories, tags
        self.costs = cluster.costs
        self.replicas = [Replica(cluster.times) for _ in range(cluster.replicas)]
        self.router: Router = StickyRouter(cluster.replicas, seed)
        if cluster.placement == "prompt":
            self.router = EvenRouter(cluster.replicas)
        self.workers = [Station() for _ in range(cluster.workers)]
        self.graders, self.routing, self.driver = Station(cluster.graders), Station(), Station()
        self.requests = 0

    async def figures(self) -> StepFigures:
        ended = sorted(await asyncio.gather(*map(self.trajectory, range(self.trajectories))))
        seconds = asyncio.get_running_loop().time()
        busy, steps = self._sum("busy"), self._sum("steps")
        return StepFigures(
            replicas=len(self.replicas),
            trajectories=self.trajectories,
            requests=self.requests,
            placement=self.cluster.placement,
            seconds=seconds,
            trajectory_s=fmean(ended),
            p99_s=ended[int(0.99 * (len(ended) - 1))],
            stragglers=1 - ended[int((1 - LAST) * (len(ended) - 1))] / seconds,
            engines_busy=busy / len(self.replicas) / seconds,
            batch=self._sum("sampled") / steps,
            hits=self._sum("hits") / self._sum("prompt_tokens"),
            workers=sum(each.busy for each in self.workers) / len(self.workers) / seconds,
            graders=self.graders.busy / self.cluster.graders / seconds,
            router=self.routing.busy / seconds,
            driver=self.driver.busy / seconds,
        )

    def _sum(self, name: str) -> float:
        return sum(getattr(replica, name) for replica in self.replicas)

    async def trajectory(self, number: int) -> float:
        """When its rollout had ended."""
        engine = PlannedEngine(
            number, self.workload.draw(number), self.workload.prompt, self.serve, self.tags
        )
        by_prompt = self.cluster.placement == "prompt"
        await fork_join(
            engine,
            [self.tags.eos_ids[0]],  # stands for the prompt
            self.tags,
            LIMITS,
            request_id=str(number // self.cluster.group if by_prompt else number),
            request_id_per_thread=self.cluster.placement == "thread",
        )
        ended = asyncio.get_running_loop().time()
        await self.worker(number).work(self.costs.trajectory)
        await self.graders.work(self.costs.answer)
        await self.driver.work(self.costs.driver)
        return ended

    def worker(self, trajectory: int) -> Station:
        """verl deals a batch out in equal runs (`ppo/v1/agent_loop_tq.py`, ``generate_sequences``)."""
        return self.workers[trajectory * len(self.workers) // self.trajectories]

    async def serve(self, ask: Ask) -> list[int]:
        """One request on its way; its answer has no ids."""
        self.requests += 1
        await self.worker(ask.trajectory).work(self.costs.request)
        await self.routing.work(self.costs.routing)
        place = self.router.acquire(ask.request_id)
        try:
            await self.replicas[place].serve(ask)
        finally:
            self.router.release(place)
        return []
