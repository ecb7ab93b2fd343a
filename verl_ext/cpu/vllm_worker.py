"""Weight sync into vLLM on the CPU, chosen by config.

    rollout.engine_kwargs.vllm.worker_extension_cls: verl_ext.cpu.vllm_worker.CPUWorkerExtension

vLLM's CPU back end packs every Linear weight when it loads it and drops the parameter's `weight_loader`, so
verl's `model.load_weights()` cannot write into the live model. The tensors that verl sends go through vLLM's
own `reload_weights` instead, which loads and packs them again.
Works around `verl/workers/rollout/vllm_rollout/utils.py:405-409` (verl 0.9.1), the call of `load_weights`;
can go once vLLM's CPU back end keeps the loaders, or verl calls `reload_weights`.
"""

from __future__ import annotations

from typing import Any

import torch
from verl.workers.rollout.vllm_rollout.bucketed_weight_transfer import BucketedWeightReceiver
from verl.workers.rollout.vllm_rollout.utils import vLLMColocateWorkerExtension

from verl_ext.cpu.weight_socket import of_this_run


class CPUWorkerExtension(vLLMColocateWorkerExtension):
    """verl's worker extension with the same RPC name and wire protocol, loading through `reload_weights`."""

    def _get_zmq_handle(self) -> str:
        return of_this_run(super()._get_zmq_handle())

    def update_weights_from_ipc(
        self, peft_config: Any = None, base_sync_done: bool = False, use_shm: bool = False
    ) -> None:
        """Receive all buckets of one weight update, then reload the model once.

        Raises:
            NotImplementedError: LoRA adapters, or a sender that does not use shared memory.
        """
        if peft_config or not use_shm:
            raise NotImplementedError("on CPU weights are synced whole, in shared memory: switch LoRA off")
        received: list[tuple[str, torch.Tensor]] = []

        def keep(weights: list[tuple[str, torch.Tensor]], is_last: bool) -> None:
            # clone: on CPU `.to(device)` is a view of the bucket, which must be free before it is closed
            received.extend((name, tensor.clone()) for name, tensor in weights)

        receiver = BucketedWeightReceiver(self._get_zmq_handle(), device=torch.device("cpu"), use_shm=True)
        receiver.receive_weights(on_bucket_received=keep)
        self.reload_weights(weights_iterator=iter(received))
