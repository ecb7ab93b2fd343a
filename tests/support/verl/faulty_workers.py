"""vLLM workers with one fault each, which a test names as `worker_extension_cls`."""

from __future__ import annotations

from typing import Any

import torch
from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightReceiver

from tests.support.dying import die_in_rollout
from verl_ext.cpu.vllm_worker import CPUWorkerExtension


class DeafWorker(CPUWorkerExtension):
    """Receives the weights and does not load them: the negative control of the fidelity tests."""

    def update_weights_from_ipc(self, *args: Any, **kwargs: Any) -> None:
        receiver = BucketedWeightReceiver(self._get_zmq_handle(), device=torch.device("cpu"), use_shm=True)
        receiver.receive_weights(on_bucket_received=lambda weights, is_last: None)


class DeafAndDyingWorker(DeafWorker):
    """Deaf, and ends in the third rollout without a word, as the OOM killer ends it."""

    received = 0

    def update_weights_from_ipc(self, *args: Any, **kwargs: Any) -> None:
        super().update_weights_from_ipc(*args, **kwargs)
        self.received += 1
        if self.received == 3:  # those of the start, and of two steps
            die_in_rollout(self)


class RefusingWorker(CPUWorkerExtension):
    """Fails before it has received anything, while the trainer waits for its receipt."""

    def update_weights_from_ipc(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("these weights are not wanted")
