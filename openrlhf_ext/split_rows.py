"""Rows split over ranks (`--ds.ring_attn_size`): heads are exchanged, where upstream has a ring.

Upstream cuts packed rows into slices, one for each rank of a group, and puts ring_flash_attn in the place of
transformers' flash-attention, which takes no mask. Here the group and the slices stay, and around whatever
attention the model has `tw_plugins.attention.sequence_parallel` exchanges tokens for heads; ring_flash_attn
need not be installed.

Seam: `DeepspeedStrategy.setup_ring_attn` (`openrlhf/utils/deepspeed/deepspeed.py`).
Works around line 131 there (OpenRLHF 0.11.2), which imports ring_flash_attn whatever the attention; can go
once upstream's ring takes a mask.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.functional import pad


def slices_of(tensors: list[Tensor], group: Any) -> tuple[list[Tensor], int]:
    """This rank's part of each of several (1, N), filled up with zeros to a multiple of the ranks, and by how
    many."""
    added = -tensors[0].shape[1] % group.size()
    return [pad(x, (0, added)).chunk(group.size(), 1)[group.rank()] for x in tensors], added


def whole_rows(mine: Tensor, group: Any) -> Tensor:
    """(1, N/R) of each rank → (1, N)."""
    parts = [torch.empty_like(mine) for _ in range(group.size())]
    dist.all_gather(parts, mine.contiguous(), group=group)
    return torch.cat(parts, 1)


def register(deepspeed: Any) -> None:
    """Called once `openrlhf.utils.deepspeed.deepspeed` is imported."""
    upstreams = deepspeed.DeepspeedStrategy.setup_ring_attn

    @wraps(upstreams)
    def setup_ring_attn(self: Any, ds_device_mesh: Any) -> None:
        if self.ring_attn_size == 1:
            upstreams(self, ds_device_mesh)
            return
        group = ds_device_mesh["sp"].get_group()
        self.ring_attn_rank = group.rank()
        deepspeed.set_ring_attn_group(group)

    deepspeed.DeepspeedStrategy.setup_ring_attn = setup_ring_attn
