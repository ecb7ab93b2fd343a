"""What a recipe asks for, in no framework's words; each adapter's planner makes one of its recipes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = ["Job", "Remedy", "Rollout", "State", "Training"]


@dataclass(frozen=True)
class State:
    """Bytes per parameter that training keeps.

    Attributes:
        weights, gradients, optimizer: as they are kept, the optimizer's own copy of the weights with it.
        weights_ranks, gradients_ranks, optimizer_ranks: over how many GPUs each is spread; 1: whole on each.
        optimizer_offloaded: whether it is in the host's memory and steps there.
    """

    weights: float
    gradients: float
    optimizer: float
    weights_ranks: int
    gradients_ranks: int
    optimizer_ranks: int
    optimizer_offloaded: bool = False


@dataclass(frozen=True)
class Training:
    """One update.

    Attributes:
        gpus: that train.
        row_tokens: of the longest row, branches included.
        at_once: tokens that go through the model at once at most.
        checkpointing: whether layers are computed again in the backward pass.
        kept_offloaded: whether what layers keep for it waits in the host's memory.
        chunk: tokens whose logits are in memory at once; None: of all.
        reference: whether a second model's weights are there, spread as the first's.
    """

    gpus: int
    state: State
    row_tokens: int
    at_once: int
    checkpointing: bool
    kept_offloaded: bool = False
    chunk: int | None = None
    reference: bool = False


@dataclass(frozen=True)
class Rollout:
    """vLLM's engines.

    Attributes:
        gpus: all of them together; ``tensor_parallel`` of them are one engine.
        share: of a GPU's memory that an engine takes.
        context: tokens that a request may have, prompt included.
        trajectories: per step.
        max_tokens: of a response; ``timeout_s`` is how long a request may take, its time in the queue too.
        colocated: whether the engines share the trainer's GPUs; ``sleeps``: and give up their memory for it.
        state_stays: whether the trainer's state is on the GPU meanwhile.
        workers: processes that drive the trajectories; None where the engines' own do.
    """

    gpus: int
    tensor_parallel: int
    share: float
    context: int
    trajectories: int
    max_tokens: int
    timeout_s: float
    colocated: bool
    sleeps: bool
    state_stays: bool = False
    workers: int | None = None

    @property
    def engines(self) -> int:
        """How many there are."""
        return max(self.gpus // self.tensor_parallel, 1)


@dataclass(frozen=True)
class Remedy:
    """Another job that may fit, and the settings that make it of this one, as the user writes them."""

    settings: str
    job: Job


@dataclass(frozen=True)
class Job:
    """A recipe.

    Attributes:
        name: of the recipe; ``framework`` it is for.
        nodes, gpus_per_node: that it is written for.
        model: its folder, where the recipe names one.
        rollout: None for SFT.
        remedies: tried one after the other where something does not fit.
    """

    name: str
    framework: str
    nodes: int
    gpus_per_node: int
    model: str | None
    training: Training
    rollout: Rollout | None = None
    remedies: Iterable[Remedy] = field(default=(), repr=False, compare=False)
