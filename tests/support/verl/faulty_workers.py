"""A faulty vLLM worker, which a test names as `worker_extension_cls`."""

from __future__ import annotations

from typing import Any

import torch
from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightReceiver

from verl_ext.cpu.vllm_worker import CPUWorkerExtension


class DeafAndRefusingWorker(CPUWorkerExtension):
    """Loads the weights of the start and of the first step.

    Those of the next two it receives and does not load, the negative control of the fidelity tests; those of
    the fourth it does not even receive: it fails while the trainer waits for its receipt.
    """

    received = 0

    def update_weights_from_ipc(self, *args: Any, **kwargs: Any) -> None:
        self.received += 1
        if self.received <= 2:
            super().update_weights_from_ipc(*args, **kwargs)
        elif self.received <= 4:
            self._receive()
        else:
            raise RuntimeError("these weights are not wanted")

    def _receive(self) -> None:
        receiver = BucketedWeightReceiver(self._get_zmq_handle(), device=torch.device("cpu"), use_shm=True)
        receiver.receive_weights(on_bucket_received=lambda weights, is_last: None)
