"""Which device verl is asked for; `trainer.device: cpu` alone ends in one line instead of a run on another.

Seam: `auto_set_device`, verl's trainers' first call with the config. verl has fixed its platform by then, and
this function writes the platform's device over the user's; wrapped, it still sees what the user wrote. Runs
that use nothing of ThreadWeaver pass through untouched.
Works around `verl/utils/device.py:162` (verl 0.9.1), which says nothing where the user's is cpu; can go once
it refuses that.
"""

from __future__ import annotations

import os
from functools import wraps
from typing import Any

from tw_plugins.errors import UserError, in_one_line
from verl_ext.sft_preflight import trains_trie_rows

KEY, VARIABLE = "trainer.device", "VERL_PLATFORM"
RAY_KEY = f"+ray_kwargs.ray_init.runtime_env.env_vars.{VARIABLE}"


class DeviceError(UserError, ValueError):
    """A run that would not go where its settings say; the message names the variable to set."""


def chosen_platform() -> str:
    """What the environment asks verl for, as verl reads it; empty where it is left to verl."""
    return os.environ.get(VARIABLE, "").strip().lower()


def check(config: Any, device: str) -> None:
    """Refuse a run of ThreadWeaver on the CPU that verl would put on ``device``.

    Args:
        config: verl's whole config, of RL or of SFT, as the user wrote it.
        device: of verl's platform, as `verl.utils.device.get_device_name` says.

    Raises:
        DeviceError: verl's platform is another.
    """
    if config.trainer.get("device") == "cpu" and device != "cpu" and _is_ours(config):
        also = f", and {RAY_KEY}=cpu for a Ray that runs already" if "ray_kwargs" in config else ""
        raise DeviceError(
            f"{KEY}=cpu needs {VARIABLE}=cpu in the environment, or verl takes {device} in silence: set it "
            f"there{also}"
        )


def _is_ours(config: Any) -> bool:
    if "actor_rollout_ref" not in config:
        return trains_trie_rows(config)
    from verl_ext.verl_settings import uses_threadweaver

    return uses_threadweaver(config)


def register(verl_device: Any) -> None:
    """Called by `verl_ext.plugin` once `verl.utils.device` is imported."""
    auto_set_device = verl_device.auto_set_device

    @wraps(auto_set_device)
    def checked(config: Any) -> None:
        with in_one_line():
            check(config, verl_device.get_device_name())
        auto_set_device(config)

    verl_device.auto_set_device = checked
