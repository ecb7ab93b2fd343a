"""One gloo group instead of two: verl names the CPU twice when the device is the CPU.

Works around `verl/utils/distributed.py:63,89` (verl 0.9.1), where the backend is
`f"cpu:gloo,{device}:{backend}"`; with device "cpu" torch answers "Duplicate device type cpu". The test that
initialises a group without this patch (`tests/unit/verl_ext/test_cpu.py`) fails once verl has mended it, and
then this file can go.
"""

from __future__ import annotations

import os
from functools import partial
from typing import Any

BACKEND = "cpu:gloo"


def register(distributed: Any) -> None:
    """Called by `verl_ext.cpu.plugin` once `verl.utils.distributed` is imported."""
    in_ray = partial(distributed.initialize_global_process_group_ray, backend=BACKEND)

    def under_torchrun(timeout_second: int = 36000) -> tuple[int, int, int]:
        in_ray(timeout_second)
        return int(os.environ["LOCAL_RANK"]), int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])

    distributed.initialize_global_process_group_ray = in_ray
    distributed.initialize_global_process_group = under_torchrun
