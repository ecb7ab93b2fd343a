"""On the CPU verl syncs weights through /dev/shm, where running out means a bus error in some worker."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tw_plugins.errors import UserError

SHARED_MEMORY = Path("/dev/shm")
MEBIBYTE = 1 << 20


class SharedMemoryTooSmall(UserError, RuntimeError):
    """Less free shared memory than one weight bucket and Ray's object store need."""


def check_shared_memory(config: Any) -> None:
    """Raise if /dev/shm cannot hold Ray's object store and the bucket that carries the weights.

    Raises:
        SharedMemoryTooSmall: names both sizes and the settings that lower them.
    """
    if not SHARED_MEMORY.exists():
        return
    transfer = config.actor_rollout_ref.rollout.checkpoint_engine
    bucket = int(transfer.update_weights_bucket_megabytes) * MEBIBYTE
    store = int((config.ray_kwargs.get("ray_init") or {}).get("object_store_memory") or 0)
    free = shutil.disk_usage(SHARED_MEMORY).free
    if free < bucket + store:
        raise SharedMemoryTooSmall(
            f"{SHARED_MEMORY} has {free // MEBIBYTE} MiB free, the run needs {(bucket + store) // MEBIBYTE} "
            "MiB: enlarge it (docker: --shm-size), or lower ray_kwargs.ray_init.object_store_memory and "
            "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes"
        )
