"""vLLM workers with one fault each, which a test names as `worker_extension_cls`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from openrlhf_ext.cpu.vllm_worker import CPUWorkerExtension
from tests.support.dying import die_in_rollout


class DeafWorker(CPUWorkerExtension):
    """Receives the weights and does not load them: the negative control of the fidelity tests."""

    def update_weight(self, name: str, dtype: torch.dtype, shape: Any, empty_cache: bool = False) -> None:
        self._weights_from.broadcast(torch.empty(shape, dtype=dtype), src=0)


class DeafAndDyingWorker(DeafWorker):
    """Deaf; ends in the third rollout without a word, as the OOM killer ends it, one of several engines."""

    received: Counter[str]

    def init_process_group(self, *args: Any, **kwargs: Any) -> None:
        super().init_process_group(*args, **kwargs)
        self.received = Counter()

    def update_weight(self, name: str, *args: Any, **kwargs: Any) -> None:
        super().update_weight(name, *args, **kwargs)
        self.received[name] += 1
        if name == next(iter(self.received)) and self.received[name] == 2:  # after two steps
            die_in_rollout(self)


class RefusingWorker(CPUWorkerExtension):
    """Fails before it has received anything, while the trainer sends."""

    def update_weight(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("these weights are not wanted")
