"""Bytes on one GPU at the moments when most is there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tw_plugins.planning.hardware import GIB, Cluster
from tw_plugins.planning.job import Rollout, Training
from tw_plugins.planning.sizes import ModelSize

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Moment", "kv_tokens", "rollout_moment", "training_moments"]

ENGINE_OVERHEAD = int(2.5 * GIB)
"""Of a vLLM worker, beside weights and KV cache: its activations, CUDA graphs and workspaces."""
ASLEEP = int(1.5 * GIB)
"""What is left of it when it sleeps."""
GATHERED_LAYERS = 2
"""The one that computes and the one that is fetched ahead of it."""
COMPUTE_BYTES = 2  # bf16
Parts = dict[str, int]


@dataclass(frozen=True)
class Moment:
    """What is in a GPU's memory at once, in bytes."""

    name: str
    parts: Parts

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.parts.values())


def training_moments(size: ModelSize, config: Any, training: Training, engine: int) -> Iterator[Moment]:
    """The peak of forward and backward, and the optimizer's step.

    Args:
        config: the model's, whose code is run on fake tensors.
        engine: bytes of an engine on the same GPU meanwhile.
    """
    import torch

    from tw_plugins.planning.activations import activations

    state, parameters = training.state, size.parameters
    weights = int(parameters * state.weights / state.weights_ranks)
    gradients = int(parameters * state.gradients / state.gradients_ranks)
    optimizer = int(parameters * state.optimizer / state.optimizer_ranks) * (not state.optimizer_offloaded)
    used = activations(config, training.at_once, torch.bfloat16, training.checkpointing, training.chunk)
    gathered = (GATHERED_LAYERS * size.layer + size.ends) * COMPUTE_BYTES if state.weights_ranks > 1 else 0
    always = {"weights": weights, "gradients": gradients, "vLLM": engine}
    if training.reference:
        always["reference"] = parameters * COMPUTE_BYTES // state.weights_ranks
    yield Moment(
        "forward and backward",
        {
            **always,
            "optimizer": optimizer,
            "gathered weights": gathered,
            "kept by layers": 0 if training.kept_offloaded else used.kept,
            "passing": used.passing,
        },
    )
    yield Moment("the optimizer's step", {**always, "optimizer": optimizer})


def rollout_moment(size: ModelSize, training: Training, rollout: Rollout, cluster: Cluster) -> Moment:
    """An engine's share, and what of the trainer is beside it."""
    weights = size.parameters * COMPUTE_BYTES // rollout.tensor_parallel
    share = int(rollout.share * cluster.gpu.gib * GIB)
    parts = {
        "vLLM's weights": weights,
        "vLLM's workspace": ENGINE_OVERHEAD,
        "KV cache": max(share - weights - ENGINE_OVERHEAD, 0),
    }
    if rollout.colocated and rollout.state_stays:
        state = training.state
        parts["weights"] = int(size.parameters * state.weights / state.weights_ranks)
        if not state.optimizer_offloaded:
            parts["optimizer"] = int(size.parameters * state.optimizer / state.optimizer_ranks)
    return Moment("rollout", parts)


def kv_tokens(size: ModelSize, rollout: Rollout, cluster: Cluster) -> int:
    """Tokens that the KV cache of one engine holds; below 0 where its weights alone are too much."""
    share = rollout.share * cluster.gpu.gib * GIB * rollout.tensor_parallel
    free = share - size.parameters * COMPUTE_BYTES - ENGINE_OVERHEAD * rollout.tensor_parallel
    return int(free / size.kv_bytes)
