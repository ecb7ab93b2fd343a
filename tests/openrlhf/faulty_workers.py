"""vLLM workers with one fault each, which a test names as `worker_extension_cls`."""

from __future__ import annotations

import os
import threading
from typing import Any

import torch

from openrlhf_ext.cpu.vllm_worker import CPUWorkerExtension


class DeafWorker(CPUWorkerExtension):
    """Receives the weights and does not load them: the negative control of the fidelity tests."""

    def update_weight(self, name: str, dtype: torch.dtype, shape: Any, empty_cache: bool = False) -> None:
        self._weights_from.broadcast(torch.empty(shape, dtype=dtype), src=0)


class DyingWorker(CPUWorkerExtension):
    """Its process ends within the first rollout, without a word, as the OOM killer ends it."""

    def init_process_group(self, *args: Any, **kwargs: Any) -> None:
        super().init_process_group(*args, **kwargs)
        threading.Timer(3, os._exit, [137]).start()


class RefusingWorker(CPUWorkerExtension):
    """Fails before it has received anything, while the trainer sends."""

    def update_weight(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("these weights are not wanted")
