"""How long a step takes, by what the hardware could do and the share of it that trainers and engines get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tw_plugins.planning.hardware import Cluster, cluster_for
from tw_plugins.planning.job import Rollout, Training
from tw_plugins.planning.memory import kv_tokens
from tw_plugins.planning.simulation import ServiceTimes
from tw_plugins.planning.sizes import ModelSize

__all__ = ["ASSUMED", "ASSUMED_OF_ENGINES", "Estimate", "engine_alone", "estimate", "service_times"]

USED_FLOPS = 0.4  # of a card's dense bf16, in forward and backward
USED_BANDWIDTH = 0.6  # of its memory's, in decoding
STEP_S = 0.004  # of the engine beside the reading: sampling, scheduling
DECODING = f"{USED_BANDWIDTH:.0%} of the bandwidth and {STEP_S * 1e3:.0f} ms a token in decoding"
ASSUMED = (
    f"{USED_FLOPS:.0%} of the FLOP/s in training, {DECODING}, rows of the mean length with branches half as "
    "long again, no stragglers"
)
ASSUMED_OF_ENGINES = f"{USED_FLOPS:.0%} of the FLOP/s on prompts, {DECODING}"
SHARE = 0.8  # of a card's memory, as in the recipes for one of 80 GiB
BRANCHES = 0.5
"""Tokens of branches to those of a response, in a mean row."""


@dataclass(frozen=True)
class Estimate:
    """Seconds of a step."""

    generate: float
    log_probs: float
    update: float

    @property
    def step(self) -> float:
        """One after the other."""
        return self.generate + self.log_probs + self.update


def estimate(
    size: ModelSize,
    training: Training,
    rollout: Rollout,
    cluster: Cluster,
    mean_tokens: int,
    at_once: int,
) -> Estimate:
    """
    Args:
        mean_tokens: of a response.
        at_once: trajectories that one engine decodes at once.
    """
    per_token = service_times(size, rollout, cluster).decoding(1, at_once, at_once * mean_tokens / 2)
    sampled = rollout.trajectories * mean_tokens / rollout.engines
    row = mean_tokens * (1 + BRANCHES) * rollout.trajectories
    flops = size.parameters * row / (training.gpus * cluster.gpu.tflops * 1e12 * USED_FLOPS)
    passes = 8 if training.checkpointing else 6
    return Estimate(sampled / at_once * per_token, 2 * flops, passes * flops)


def service_times(size: ModelSize, rollout: Rollout, cluster: Cluster) -> ServiceTimes:
    """Of one engine, by the same shares: a step reads the weights and the cache, a token is multiplied."""
    gpu, width = cluster.gpu, rollout.tensor_parallel
    bandwidth = gpu.gb_per_s * 1e9 * USED_BANDWIDTH * width
    multiplied = 2 * size.parameters / (gpu.tflops * 1e12 * USED_FLOPS * width)
    return ServiceTimes(
        step=2 * size.parameters / bandwidth + STEP_S,
        sequence=multiplied,
        context=size.kv_bytes / bandwidth,
        prompt=multiplied,
        request=0.0,
        kv_tokens=kv_tokens(size, rollout, cluster),
    )


def engine_alone(config: Any, gpu: str) -> ServiceTimes:
    """Of an engine on one card of this name, which has `SHARE` of its memory.

    Args:
        config: the model's, of `transformers`.

    Raises:
        PlanError: no card of that name.
    """
    rollout = Rollout(
        gpus=1,
        tensor_parallel=1,
        share=SHARE,
        context=0,
        trajectories=0,
        max_tokens=0,
        timeout_s=0,
        colocated=True,
        sleeps=True,
    )
    return service_times(ModelSize.of(config), rollout, cluster_for(gpu, 1, 1))
