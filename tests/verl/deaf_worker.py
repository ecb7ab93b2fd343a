"""vLLM workers that receive the weights and do not load them: the negative control of the fidelity tests."""

from __future__ import annotations

from typing import Any

import torch
from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightReceiver

from verl_ext.cpu.vllm_worker import CPUWorkerExtension


class DeafWorker(CPUWorkerExtension):
    def update_weights_from_ipc(self, *args: Any, **kwargs: Any) -> None:
        receiver = BucketedWeightReceiver(self._get_zmq_handle(), device=torch.device("cpu"), use_shm=True)
        receiver.receive_weights(on_bucket_received=lambda weights, is_last: None)
