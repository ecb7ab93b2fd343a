"""What cannot work on the CPU is named before any process starts; and the run gets its name.

Seam: `validate_config` (`verl/utils/config.py`), wrapped as in `verl_ext.preflight`.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from tw_plugins.errors import UserError, in_one_line
from verl_ext.cpu.shared_memory import check_shared_memory
from verl_ext.cpu.weight_socket import name_run
from verl_ext.separate import ROLLOUT, VERLS, is_separate

BACKEND = "gloo"
"""Of `verl_ext.cpu.checkpoint_engine`, which imports verl's."""


class UnsupportedOnCPU(UserError, ValueError):
    """A setting of verl's that works on accelerators only; the message names what to set instead."""


def check(config: Any) -> None:
    """Check a whole verl config.

    Raises:
        UnsupportedOnCPU: LoRA; with a rollout pool, another checkpoint engine and several updates a step.
        SharedMemoryTooSmall: /dev/shm cannot hold what the run needs.
    """
    if _lora_rank(config.actor_rollout_ref.model) > 0:
        raise UnsupportedOnCPU(
            "LoRA weights do not reach vLLM on the CPU: set actor_rollout_ref.model.lora_rank=0"
        )
    if is_separate(config):
        _check_separate(config)
    check_shared_memory(config)


def _check_separate(config: Any) -> None:
    backend = config.actor_rollout_ref.rollout.checkpoint_engine.backend
    if backend != BACKEND:
        raise UnsupportedOnCPU(
            f"{ROLLOUT}.checkpoint_engine.backend={backend} brings no weights to a rollout pool on the CPU: "
            f"set {BACKEND}"
        )
    key, steps = f"trainer.v1.{VERLS}.parameter_sync_step", config.trainer.v1[VERLS].parameter_sync_step
    if steps > 1:
        # `fsdp2_sharded_save_to_cpu` (verl/utils/fsdp_utils.py:1180, verl 0.9.1) keeps them by `Tensor.cpu()`
        raise UnsupportedOnCPU(
            f"{key}={steps}: on the CPU verl keeps no copy of the weights that a step began with, which its "
            f"later updates need: set {key}=1"
        )


def _lora_rank(model: Any) -> int:
    return int((model.get("lora") or {}).get("rank") or model.get("lora_rank") or 0)


def register(verl_config: Any) -> None:
    """Called by `verl_ext.cpu.plugin` once `verl.utils.config` is imported."""
    validate = verl_config.validate_config

    @wraps(validate)
    def validate_config(config: Any, *args: Any, **kwargs: Any) -> None:
        validate(config, *args, **kwargs)
        with in_one_line():
            check(config)
        name_run()

    verl_config.validate_config = validate_config
