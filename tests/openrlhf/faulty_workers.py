"""vLLM workers with one fault each, which a test names as `worker_extension_cls`."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import torch

from openrlhf_ext.cpu.vllm_worker import CPUWorkerExtension


class DeafWorker(CPUWorkerExtension):
    """Receives the weights and does not load them: the negative control of the fidelity tests."""

    def update_weight(self, name: str, dtype: torch.dtype, shape: Any, empty_cache: bool = False) -> None:
        self._weights_from.broadcast(torch.empty(shape, dtype=dtype), src=0)


class DyingWorker(CPUWorkerExtension):
    """Its process ends in the first rollout, without a word, as the OOM killer ends it."""

    def init_process_group(self, *args: Any, **kwargs: Any) -> None:
        super().init_process_group(*args, **kwargs)
        threading.Thread(target=self._die_in_rollout, daemon=True).start()

    def _die_in_rollout(self) -> None:
        worker: Any = self
        while not worker.model_runner.requests:
            time.sleep(0.01)
        os._exit(137)


class RefusingWorker(CPUWorkerExtension):
    """Fails before it has received anything, while the trainer sends."""

    def update_weight(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("these weights are not wanted")
