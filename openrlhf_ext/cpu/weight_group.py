"""A gloo group between the trainer and vLLM's workers, for the weights.

Works around `openrlhf/utils/distributed_util.py:13`, whose NCCL communicator disables itself silently without
CUDA: the broadcast would do nothing and vLLM keep its old weights.
Can go once upstream (OpenRLHF 0.11.2) makes a group of the trainer's own back end.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import torch

from openrlhf_ext.settings import PREFIX, RLSettings
from tw_plugins.rollout import EngineError


class GlooGroup:
    """`broadcast` as `PyNcclCommunicator` has it."""

    def __init__(self, host: str, port: int, rank: int, world_size: int) -> None:
        from vllm.distributed.utils import stateless_init_torch_distributed_process_group

        self._group = stateless_init_torch_distributed_process_group(
            host, port, rank, world_size, backend="gloo"
        )

    def broadcast(self, tensor: torch.Tensor, src: int, stream: Any = None) -> None:
        """Send from, or receive into, `tensor`; returns when it is done.

        Raises:
            EngineError: the other side is gone, or does not answer in time.
        """
        options = torch.distributed.BroadcastOptions()
        options.rootRank, options.rootTensor = src, 0
        seconds = RLSettings.from_environment().engine_timeout_s
        try:
            self._group.broadcast([tensor], options).wait(timedelta(seconds=seconds))
        except RuntimeError as error:
            raise EngineError(
                "the weights did not pass between trainer and vLLM: one of them died, or did not answer "
                f"within {seconds:g} s (--{PREFIX}engine_timeout_s); see vLLM's log "
                f"({str(error).splitlines()[0]})"
            ) from error


def stateless_init_process_group(
    master_address: str, master_port: int, rank: int, world_size: int, device: Any
) -> GlooGroup:
    """Upstream's signature; the device is always the CPU."""
    return GlooGroup(master_address, master_port, rank, world_size)


def register(distributed_util: Any) -> None:
    """Called once `openrlhf.utils.distributed_util` is imported."""
    distributed_util.stateless_init_process_group = stateless_init_process_group
