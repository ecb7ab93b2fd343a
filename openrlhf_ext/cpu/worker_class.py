"""vLLM's workers get the CPU's way to receive weights, `vllm_worker`, in the place of upstream's.

Seam: `RolloutRayActor.__init__` (`openrlhf/trainer/ray/vllm_engine.py`). A worker that the user names
(`--tw.vllm_args`) stays.
Works around `trainer/ray/vllm_engine.py:267` (OpenRLHF 0.11.2); can go with `vllm_worker`.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

ARGUMENT = "worker_extension_cls"
UPSTREAMS = "openrlhf.trainer.ray.vllm_worker_wrap.WorkerWrap"
OURS = "openrlhf_ext.cpu.vllm_worker.CPUWorkerExtension"


def register(vllm_engine: Any) -> None:
    """Called once `openrlhf.trainer.ray.vllm_engine` is imported."""
    actor = vllm_engine.RolloutRayActor.__ray_metadata__.modified_class
    init = actor.__init__

    @wraps(init)
    async def with_the_cpus_worker(self: Any, *args: Any, **kwargs: Any) -> None:
        if kwargs.get(ARGUMENT) == UPSTREAMS:
            kwargs[ARGUMENT] = OURS
        await init(self, *args, **kwargs)

    actor.__init__ = with_the_cpus_worker
