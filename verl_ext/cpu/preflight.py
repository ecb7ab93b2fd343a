"""What cannot work on the CPU is named before any process starts; and the run gets its name.

Seam: `validate_config` (`verl/utils/config.py`), wrapped as in `verl_ext.preflight`.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from tw_plugins.errors import UserError, in_one_line
from verl_ext.cpu.shared_memory import check_shared_memory
from verl_ext.cpu.weight_socket import name_run


class UnsupportedOnCPU(UserError, ValueError):
    """A setting of verl's that works on accelerators only; the message names what to set instead."""


def check(config: Any) -> None:
    """Check a whole verl config.

    Raises:
        UnsupportedOnCPU: LoRA.
        SharedMemoryTooSmall: /dev/shm cannot hold what the run needs.
    """
    if _lora_rank(config.actor_rollout_ref.model) > 0:
        raise UnsupportedOnCPU(
            "LoRA weights do not reach vLLM on the CPU: set actor_rollout_ref.model.lora_rank=0"
        )
    check_shared_memory(config)


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
