"""A device mesh of the CPU. Works around `openrlhf/utils/deepspeed/deepspeed.py:105`, which names "cuda".

Can go once upstream (OpenRLHF 0.11.2) takes the device from DeepSpeed's accelerator.
"""

from __future__ import annotations

from functools import wraps
from typing import Any


def register(deepspeed: Any) -> None:
    """Called once `openrlhf.utils.deepspeed.deepspeed` is imported."""
    init = deepspeed.init_device_mesh

    @wraps(init)
    def init_device_mesh(device_type: str, *args: Any, **kwargs: Any) -> Any:
        return init("cpu" if device_type == "cuda" else device_type, *args, **kwargs)

    deepspeed.init_device_mesh = init_device_mesh
