"""vLLM workers that receive the weights and do not load them: the negative control of the fidelity tests."""

from __future__ import annotations

from typing import Any

import torch

from openrlhf_ext.cpu.vllm_worker import CPUWorkerExtension


class DeafWorker(CPUWorkerExtension):
    def update_weight(self, name: str, dtype: torch.dtype, shape: Any, empty_cache: bool = False) -> None:
        self._weights_from.broadcast(torch.empty(shape, dtype=dtype), src=0)
