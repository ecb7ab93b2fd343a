"""What vLLM is told on a CPU, where its own defaults are for a machine of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["cpu_args"]


def cpu_args(asked: Mapping[str, Any], seed_requests: bool) -> dict[str, Any]:
    """float32, no compiling, short cache blocks and a cache of 2 GiB; nothing where there is a GPU.

    vLLM's own defaults there are 92 % of the machine's memory and the checkpoint's precision; a CPU without
    instructions for bfloat16 took twice as long for a whole evaluation in it.

    Args:
        asked: what else the engine is told; that wins.
        seed_requests: each request has a seed of its own.
    """
    import torch

    if torch.cuda.is_available():
        return {}
    args: dict[str, Any] = {
        "dtype": "float32",
        "enforce_eager": True,
        "block_size": 32,
        "kv_cache_memory_bytes": 2 << 30,
    }
    if asked.get("tensor_parallel_size", 1) == 1:
        # one process less that waits in a loop for the other, where VLLM_ENABLE_V1_MULTIPROCESSING is 0 too
        args["distributed_executor_backend"] = "uni"
    if seed_requests:
        # A prompt that comes in pieces has vLLM set its random generator back, which torch's on the CPU
        # refuses, and the engine would die (vLLM 0.29, `v1/worker/gpu_model_runner.py`).
        args["enable_chunked_prefill"] = False
    return args
