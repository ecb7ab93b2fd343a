"""Weight sync into vLLM on the CPU: the worker extension that `worker_class` names.

Stands in for `openrlhf/trainer/ray/vllm_worker_wrap.py`, which receives on "cuda" (line 41) and writes each
weight into the live model. vLLM's CPU back end packs every Linear weight when it loads it and drops the
original, so that cannot work; here the weights are kept until the last one is there and then go through
vLLM's own `reload_weights`, which loads and packs them again. Imports nothing of OpenRLHF: this runs in
vLLM's process.
"""

from __future__ import annotations

from typing import Any

import torch

from openrlhf_ext.cpu.weight_group import GlooGroup


class CPUWorkerExtension:
    """The RPC names of upstream's `WorkerWrap`."""

    def init_process_group(
        self,
        master_address: str,
        master_port: int,
        rank_offset: int,
        world_size: int,
        group_name: str,
        backend: str = "nccl",
        use_ray: bool = False,
    ) -> None:
        """Join the group that carries the weights.

        Raises:
            NotImplementedError: Ray's collective instead of a group of our own.
        """
        if use_ray:
            raise NotImplementedError(
                "on the CPU weights are synced without --vllm.sync_with_ray: leave it out"
            )
        rank = torch.distributed.get_rank() + rank_offset
        self._weights_from = GlooGroup(master_address, master_port, rank, world_size)
        self._received: list[tuple[str, torch.Tensor]] = []

    def update_weight(self, name: str, dtype: torch.dtype, shape: Any, empty_cache: bool = False) -> None:
        """Receive one weight; `empty_cache` marks the last one, after which the model is reloaded.

        Raises:
            ValueError: trainer and vLLM have different dtypes.
        """
        worker: Any = self
        if dtype != worker.model_config.dtype:
            raise ValueError(f"the trainer's weights are {dtype}, vLLM's {worker.model_config.dtype}")
        weight = torch.empty(shape, dtype=dtype)
        self._weights_from.broadcast(weight, src=0)
        self._received.append((name, weight))
        if empty_cache:
            worker.reload_weights(weights_iterator=iter(with_tied_head(self._received)))
            self._received = []


def with_tied_head(weights: list[tuple[str, torch.Tensor]]) -> list[tuple[str, torch.Tensor]]:
    """The weights with a tied head named once more: a trainer's parameters hold it only as the embedding.

    vLLM's CPU back end packs a copy of a tied embedding for the logits, which would stay as it was.
    """
    names = dict(weights)
    if "lm_head.weight" in names or "model.embed_tokens.weight" not in names:
        return weights
    return [*weights, ("lm_head.weight", names["model.embed_tokens.weight"])]
