"""vLLM workers with one fault each, which a test names as `worker_extension_cls`."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from pathlib import Path
from typing import Any

import torch

from openrlhf_ext.cpu.vllm_worker import CPUWorkerExtension

DIED = "TW_TEST_DIED"
"""Environment variable: the file that the one that dies leaves."""


class DeafWorker(CPUWorkerExtension):
    """Receives the weights and does not load them: the negative control of the fidelity tests."""

    def update_weight(self, name: str, dtype: torch.dtype, shape: Any, empty_cache: bool = False) -> None:
        self._weights_from.broadcast(torch.empty(shape, dtype=dtype), src=0)


class DyingWorker(CPUWorkerExtension):
    """Ends in the first rollout without a word, as the OOM killer ends it; of several engines, one."""

    def init_process_group(self, *args: Any, **kwargs: Any) -> None:
        super().init_process_group(*args, **kwargs)
        threading.Thread(target=self._die_in_rollout, daemon=True).start()

    def _die_in_rollout(self) -> None:
        worker: Any = self
        while not worker.model_runner.requests:
            time.sleep(0.01)
        with contextlib.suppress(FileExistsError):
            Path(os.environ[DIED]).touch(exist_ok=False)
            os._exit(137)


class RefusingWorker(CPUWorkerExtension):
    """Fails before it has received anything, while the trainer sends."""

    def update_weight(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("these weights are not wanted")
