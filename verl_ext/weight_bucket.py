"""Where processes cannot share a GPU's memory, the bucket that carries the weights must hold each of them.

verl fails there at the first weight sync, in a worker (`BucketedWeightSender.async_send_weights`,
`verl/workers/rollout/vllm_rollout/bucketed_weight_transfer.py:149`). With CUDA IPC, a weight larger than the
bucket goes by itself; SGLang's and TensorRT-LLM's senders do not ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

KEY = "actor_rollout_ref.rollout.checkpoint_engine.update_weights_bucket_megabytes"
MEBIBYTE = 1 << 20


def bucket_problems(config: Any, model_config: Any) -> Iterator[str]:
    """
    Args:
        config: verl's whole config of RL.
        model_config: the model's, of `transformers`.
    """
    from verl.utils.device import is_support_ipc

    rollout = config.actor_rollout_ref.rollout
    if is_support_ipc() or rollout.get("name") != "vllm":  # verl demands a name itself
        return
    each = 4 if config.actor_rollout_ref.actor.fsdp_config.model_dtype in ("fp32", "float32") else 2
    name, numbers = _largest(model_config)
    need = -(-numbers * each // MEBIBYTE)
    room = rollout.checkpoint_engine.update_weights_bucket_megabytes
    if room < need:
        yield (
            f"{KEY}={room} cannot hold {name}, {need} MiB at {each} bytes a number: set it to {need} or more"
        )


def _largest(model_config: Any) -> tuple[str, int]:
    """Name and numbers of the largest weight, as verl's FSDP engine sends them: experts one by one."""
    import torch
    from transformers import AutoModelForCausalLM
    from verl.workers.engine.fsdp.utils import unfuse_moe_params

    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(model_config)
    sent = unfuse_moe_params(model.state_dict().items(), model_config.model_type)
    return max(((name, weight.numel()) for name, weight in sent), key=lambda found: found[1])
