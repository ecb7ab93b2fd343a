"""Does a recipe fit on this hardware, and if not, which of its settings makes it fit?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from tw_plugins.planning.duration import Estimate, estimate
from tw_plugins.planning.hardware import GIB, Cluster
from tw_plugins.planning.job import Job, Rollout
from tw_plugins.planning.memory import ASLEEP, Moment, kv_tokens, rollout_moment, training_moments
from tw_plugins.planning.simulation import MEASURED, WORKLOADS
from tw_plugins.planning.simulation.client import needed
from tw_plugins.planning.sizes import ModelSize

__all__ = ["FORKED", "Plan", "RolloutPlan", "plan"]

SHOWN = 3  # remedies
FORKED = "first-stage"
"""The workload by which requests are counted."""


@dataclass(frozen=True)
class RolloutPlan:
    """One engine's part in a step.

    Attributes:
        kv_tokens: that its cache holds.
        at_once: trajectories of the mean length that fit in there, no more than it is given.
        given: trajectories of a step that it gets.
        trajectories: of a step, of all engines.
        estimate: of the whole step.
    """

    kv_tokens: int
    at_once: int
    given: int
    trajectories: int
    estimate: Estimate | None

    @property
    def requests(self) -> int:
        """Of a step, forked as in `FORKED`."""
        return round(self.trajectories * WORKLOADS[FORKED].requests)

    @property
    def workers(self) -> int | None:
        """Agent-loop workers without which the engines would wait for them (`simulation/`)."""
        if self.estimate is None:
            return None
        busy = MEASURED.of_workers(self.trajectories, self.requests)
        return needed(busy, self.estimate.generate)


@dataclass(frozen=True)
class Plan:
    """A job on a cluster.

    Attributes:
        moments: in one GPU's memory; ``problems`` says what is too much.
        remedies: settings with which all fits.
    """

    job: Job
    size: ModelSize
    moments: tuple[Moment, ...]
    rollout: RolloutPlan | None
    problems: tuple[str, ...]
    remedies: tuple[str, ...] = ()

    @property
    def fits(self) -> bool:
        """Whether nothing is too much."""
        return not self.problems


def plan(job: Job, config: Any, cluster: Cluster, mean_tokens: int | None = None) -> Plan:
    """
    Args:
        config: the model's, of `transformers`.
        mean_tokens: of a response, for what depends on it; by default a third of the longest.
    """
    size = ModelSize.of(config)
    found = _plan(job, size, config, cluster, mean_tokens)
    if found.fits:
        return found
    helps = (each for each in job.remedies if _plan(each.job, size, config, cluster, mean_tokens).fits)
    return replace(found, remedies=tuple(each.settings for each in islice(helps, SHOWN)))


def _plan(job: Job, size: ModelSize, config: Any, cluster: Cluster, mean_tokens: int | None) -> Plan:
    training, rollout = job.training, job.rollout
    engine = 0
    if rollout and rollout.colocated:
        engine = ASLEEP if rollout.sleeps else int(rollout.share * cluster.gpu.gib * GIB)
    moments = list(training_moments(size, config, training, engine))
    engines = None
    if rollout:
        moments.append(rollout_moment(size, training, rollout, cluster))
        engines = _engines(job, rollout, size, cluster, mean_tokens or rollout.max_tokens // 3)
    problems = [*_too_few(job, cluster), *_too_much(moments, cluster)]
    if rollout and engines:
        problems += _too_small(rollout, engines)
    return Plan(job, size, tuple(moments), engines, tuple(problems))


def _engines(job: Job, rollout: Rollout, size: ModelSize, cluster: Cluster, mean: int) -> RolloutPlan:
    tokens = kv_tokens(size, rollout, cluster)
    given = -(-rollout.trajectories // rollout.engines)
    prompt = max(rollout.context - rollout.max_tokens, 0)
    at_once = min(max(tokens, 0) // (mean + prompt), given)
    if not at_once:
        return RolloutPlan(tokens, 0, given, rollout.trajectories, None)
    took = estimate(size, job.training, rollout, cluster, mean, at_once)
    return RolloutPlan(tokens, at_once, given, rollout.trajectories, took)


def _too_few(job: Job, cluster: Cluster) -> Iterator[str]:
    if (asked := job.nodes * job.gpus_per_node) > cluster.gpus:
        yield f"the recipe asks for {asked} GPUs, {cluster.gpus} are there"
    if job.rollout and job.rollout.tensor_parallel > job.rollout.gpus:
        yield f"an engine takes {job.rollout.tensor_parallel} GPUs, {job.rollout.gpus} roll out"


def _too_much(moments: list[Moment], cluster: Cluster) -> Iterator[str]:
    for moment in moments:
        if moment.total > cluster.usable:
            yield (
                f"{moment.name}: {moment.total / GIB:.1f} GiB on a GPU, {cluster.usable / GIB:.1f} are there"
            )


def _too_small(rollout: Rollout, engines: RolloutPlan) -> Iterator[str]:
    if engines.kv_tokens < rollout.context:
        yield (
            f"KV cache of an engine: {max(engines.kv_tokens, 0):,} tokens, one request may have "
            f"{rollout.context:,}"
        )
    elif engines.estimate and engines.estimate.generate > rollout.timeout_s:
        yield (
            f"a step's rollouts take about {engines.estimate.generate:,.0f} s, and a request may wait for "
            f"{rollout.timeout_s:,.0f} s, its turn included"
        )
