"""vLLM workers with one fault each, which a test names as `worker_extension_cls`."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch

from openrlhf_ext.cpu.vllm_worker import CPUWorkerExtension
from tests.support.dying import die_in_rollout


class DeafAndDyingWorker(CPUWorkerExtension):
    """The second engine loads the weights of the first step only: the fidelity tests' negative control.

    In the fourth rollout one of several ends without a word, as the OOM killer ends it.
    """

    received: Counter[str]
    second: bool

    def init_process_group(self, host: str, port: int, rank_offset: int, *args: Any, **kwargs: Any) -> None:
        super().init_process_group(host, port, rank_offset, *args, **kwargs)
        self.received, self.second = Counter(), rank_offset == 2

    def update_weight(self, name: str, dtype: torch.dtype, shape: Any, empty_cache: bool = False) -> None:
        if self.second and self.received[name]:
            self._weights_from.broadcast(torch.empty(shape, dtype=dtype), src=0)
        else:
            super().update_weight(name, dtype, shape, empty_cache)
        self.received[name] += 1
        if name == next(iter(self.received)) and self.received[name] == 3:  # after three steps
            die_in_rollout(self)


class RefusingWorker(CPUWorkerExtension):
    """Loads the weights of three steps; refuses the fourth's, while the trainer sends, before it has them."""

    received: Counter[str]

    def init_process_group(self, *args: Any, **kwargs: Any) -> None:
        super().init_process_group(*args, **kwargs)
        self.received = Counter()

    def update_weight(self, name: str, *args: Any, **kwargs: Any) -> None:
        self.received[name] += 1
        if self.received[name] > 3:
            raise RuntimeError("these weights are not wanted")
        super().update_weight(name, *args, **kwargs)
