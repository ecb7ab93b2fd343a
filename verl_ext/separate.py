"""verl's `separate_async` under our name: the trainer and a rollout pool of its own, each on its GPUs.

    trainer.v1.trainer_mode: threadweaver_separate_async
    trainer.v1.separate_async.parameter_sync_step: 1     (verl's settings are read where verl has them)

Seam: `PPOTrainerSeparateAsync` (`verl/trainer/ppo/v1/trainer_separate_async.py`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

from omegaconf import open_dict

VERLS = "separate_async"
ROLLOUT = "actor_rollout_ref.rollout"
VERLS_LOGGER = f"verl.trainer.ppo.v1.trainer_{VERLS}"


def is_separate(config: Any) -> bool:
    """Whether a verl config has a rollout pool beside the trainer."""
    return bool(config.trainer.v1.trainer_mode.endswith(VERLS))


def has_hybrid_replicas(config: Any) -> bool:
    """Whether the trainer's GPUs have engines too, which verl lends to the pool."""
    return bool(config.actor_rollout_ref.get("hybrid_engine", True))


def separate_problems(config: Any) -> Iterator[str]:
    """What verl asserts in a process of the run, a line each, before there is one."""
    if not is_separate(config):
        return
    rollout, batch = config.actor_rollout_ref.rollout, config.data.train_batch_size
    updates = config.trainer.v1[VERLS].parameter_sync_step
    mini = config.actor_rollout_ref.actor.ppo_mini_batch_size
    if rollout.nnodes < 1 or rollout.n_gpus_per_node < 1:
        yield (
            f"{ROLLOUT}.nnodes={rollout.nnodes} {ROLLOUT}.n_gpus_per_node={rollout.n_gpus_per_node}: "
            f"{VERLS} decodes on GPUs of its own, beside trainer.nnodes; set how many"
        )
    if rollout.checkpoint_engine.backend == "naive":
        yield (
            f"{ROLLOUT}.checkpoint_engine.backend=naive reaches engines on the trainer's GPUs only: set "
            "it to nccl, or to gloo on the CPU"
        )
    if batch != updates * mini:
        yield (
            f"data.train_batch_size={batch} is not trainer.v1.{VERLS}.parameter_sync_step · "
            f"actor.ppo_mini_batch_size = {updates} · {mini}: set parameter_sync_step=1 for one update a step"
        )
    if config.trainer.v1.trainer_mode == VERLS and not has_hybrid_replicas(config):
        yield (
            f"trainer.v1.trainer_mode={VERLS} cannot start with actor_rollout_ref.hybrid_engine=False: set "
            f"threadweaver_{VERLS}"
        )


class SeparateAsync:
    """Mix-in for verl's trainer of that mode, before it."""

    config: Any

    def __init__(self, config: Any) -> None:
        # verl looks `parameter_sync_step` up by the mode's name (`trainer_base.py:130`)
        with open_dict(config):
            config.trainer.v1[config.trainer.v1.trainer_mode] = config.trainer.v1[VERLS]
        super().__init__(config)  # type: ignore[call-arg]

    def _setup(self) -> None:
        """Works around `trainer_separate_async.py:181` (verl 0.9.1): without hybrid replicas it logs a line
        with `flush=True`, which `logging` refuses. `tests/unit/verl_ext/test_separate.py` says when this can
        go."""
        if not has_hybrid_replicas(self.config):
            logging.getLogger(VERLS_LOGGER).setLevel(logging.WARNING)
        super()._setup()  # type: ignore[misc]
