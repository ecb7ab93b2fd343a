"""A faulty vLLM worker, which a test names as `worker_extension_cls`."""

from __future__ import annotations

from typing import Any

import torch
from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightReceiver

from verl_ext.cpu.vllm_worker import CPUWorkerExtension


class DeafAndRefusingWorker(CPUWorkerExtension):
    """Receives the weights and does not load them: the negative control of the fidelity tests.

    Those of the third step it does not even receive: it fails while the trainer waits for its receipt.
    """

    received = 0

    def update_weights_from_ipc(self, *args: Any, **kwargs: Any) -> None:
        if self.received == 3:  # those of the start, and of two steps
            raise RuntimeError("these weights are not wanted")
        receiver = BucketedWeightReceiver(self._get_zmq_handle(), device=torch.device("cpu"), use_shm=True)
        receiver.receive_weights(on_bucket_received=lambda weights, is_last: None)
        self.received += 1
