"""vLLM workers with one fault each, which a test names as `worker_extension_cls`."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import torch
from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightReceiver

from verl_ext.cpu.vllm_worker import CPUWorkerExtension


class DeafWorker(CPUWorkerExtension):
    """Receives the weights and does not load them: the negative control of the fidelity tests."""

    def update_weights_from_ipc(self, *args: Any, **kwargs: Any) -> None:
        receiver = BucketedWeightReceiver(self._get_zmq_handle(), device=torch.device("cpu"), use_shm=True)
        receiver.receive_weights(on_bucket_received=lambda weights, is_last: None)


class DyingWorker(CPUWorkerExtension):
    """Its process ends in the first rollout, without a word, as the OOM killer ends it."""

    def update_weights_from_ipc(self, *args: Any, **kwargs: Any) -> None:
        super().update_weights_from_ipc(*args, **kwargs)
        threading.Thread(target=self._die_in_rollout, daemon=True).start()

    def _die_in_rollout(self) -> None:
        worker: Any = self
        while not worker.model_runner.requests:
            time.sleep(0.01)
        os._exit(137)


class RefusingWorker(CPUWorkerExtension):
    """Fails before it has received anything, while the trainer waits for its receipt."""

    def update_weights_from_ipc(self, *args: Any, **kwargs: Any) -> None:
        raise RuntimeError("these weights are not wanted")
