"""One trajectory's gradient in every way, against float32: what rounding, kernels, checkpointing and FSDP2 do
to it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tw_plugins.attention.trie_attention import TRIE_ATTENTION
from tw_plugins.bench.shapes import Shape, shaped_rollout
from tw_plugins.bench.update import (
    DENSE,
    FLEX,
    PACK,
    PACKED,
    ROWS,
    TRIE,
    ModelShape,
    model_with,
    packed,
    update,
)
from tw_plugins.trie import TrieRow, row_from_rollout, rows_from_rollout
from tw_plugins.trie.packing import Pack

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["gradient_errors"]

Rows = Sequence[TrieRow | Pack]


def gradient_errors(shape: Shape, model: ModelShape, device: str) -> dict[str, float]:
    """‖g − g₃₂‖ / ‖g₃₂‖ of each way's gradient, g₃₂ that of one row per request in float32.

    On CUDA the ways are in bf16: what counts is that no row is farther off than the requests are.
    """
    import torch

    rollout = shaped_rollout(shape)
    rows, trie = rows_from_rollout(rollout), [row_from_rollout(rollout)]
    trained = sum(trie[0].loss_mask)
    exact = _gradient(model_with("sdpa", model, device).float(), rows, trained)
    checkpointed = replace(model, checkpointing=True)
    ways: dict[str, tuple[str, Rows, ModelShape]] = {
        ROWS: ("sdpa", rows, model),
        TRIE: (TRIE_ATTENTION, trie, model),
        f"{TRIE}, checkpointing": (TRIE_ATTENTION, trie, checkpointed),
        PACKED: (TRIE_ATTENTION, packed(rows, PACK), model),
        DENSE: ("sdpa", trie, model),
    }
    if device == "cuda":
        ways[FLEX] = ("flex_attention", trie, model)
    found = {
        name: _gradient(model_with(attention, shape, device), batch, trained)
        for name, (attention, batch, shape) in ways.items()
    }
    sharded = _sharded(model_with(TRIE_ATTENTION, checkpointed, device).float())
    found[f"{TRIE}, checkpointing, FSDP2"] = _gradient(sharded, trie, trained)
    torch.distributed.destroy_process_group()
    norm = torch.linalg.vector_norm(exact)
    return {name: float(torch.linalg.vector_norm(each - exact) / norm) for name, each in found.items()}


def _gradient(model: Any, rows: Rows, trained: int) -> Tensor:
    import torch
    from torch.distributed.tensor import DTensor

    update(model, rows, trained)
    grads = [parameter.grad for parameter in model.parameters()]
    whole = [grad.full_tensor() if isinstance(grad, DTensor) else grad for grad in grads]
    return torch.cat([grad.flatten().float() for grad in whole])


def _sharded(model: Any) -> Any:
    """The float32 model in one rank's FSDP2, as the frameworks have it: computed in bf16 on CUDA."""
    import torch
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    cuda = model.device.type == "cuda"
    torch.distributed.init_process_group(
        "nccl" if cuda else "gloo",
        store=torch.distributed.FileStore(tempfile.mktemp(), 1),
        rank=0,
        world_size=1,
    )
    policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16 if cuda else torch.float32)
    for layer in model.model.layers:
        fully_shard(layer, mp_policy=policy)
    fully_shard(model, mp_policy=policy)
    return model
