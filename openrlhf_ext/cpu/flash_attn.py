"""Five helpers of flash-attn, which cannot be installed without CUDA, while OpenRLHF imports them.

Works around `openrlhf/models/ring_attn_utils.py:3-4`, imported by every model. The stand-ins exist only
during that import: other libraries ask whether `flash_attn` is there and would believe it.
Can go once upstream (OpenRLHF 0.11.2) imports flash-attn only where ring attention is asked for.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

IMPORTER = "openrlhf.models.ring_attn_utils"


def index_first_axis(x: torch.Tensor, indices: torch.Tensor) -> torch.Tensor:
    """Rows of x."""
    return x[indices]


def unpad_input(
    hidden: torch.Tensor, attention_mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, int, torch.Tensor]:
    """(B, N, …) → tokens where the mask is 1, flat indices, cumulated lengths, longest length, lengths."""
    lengths = attention_mask.sum(-1, dtype=torch.int32)
    indices = torch.nonzero(attention_mask.flatten(), as_tuple=False).flatten()
    cumulated = F.pad(torch.cumsum(lengths, 0, dtype=torch.int32), (1, 0))
    return hidden.flatten(0, 1)[indices], indices, cumulated, int(lengths.max()), lengths


def pad_input(hidden: torch.Tensor, indices: torch.Tensor, batch: int, length: int) -> torch.Tensor:
    """The inverse of `unpad_input`: (B, N, …) with zeros in the padding."""
    out = hidden.new_zeros(batch * length, *hidden.shape[1:])
    return out.index_put((indices,), hidden).unflatten(0, (batch, length))


def all_gather(mine: torch.Tensor, group: Any) -> torch.Tensor:
    """(N/R, …) of each rank → (N, …); differentiable once."""
    found: torch.Tensor = _AllGather.apply(mine, group)
    return found


class _AllGather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, mine: torch.Tensor, group: Any) -> torch.Tensor:  # type: ignore[override]
        ctx.group = group
        parts = [torch.empty_like(mine) for _ in range(group.size())]
        dist.all_gather(parts, mine.contiguous(), group=group)
        return torch.cat(parts)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:  # type: ignore[override]
        grad = grad.clone()
        dist.all_reduce(grad, group=ctx.group)  # every rank's loss has a part in every rank's tokens
        return grad.chunk(ctx.group.size())[ctx.group.rank()], None


def _contents() -> dict[str, dict[str, Any]]:
    from einops import rearrange

    padding = {"index_first_axis": index_first_axis, "unpad_input": unpad_input, "pad_input": pad_input}
    return {
        "flash_attn": {},
        "flash_attn.utils": {},
        "flash_attn.bert_padding": {**padding, "rearrange": rearrange},
        "flash_attn.utils.distributed": {"all_gather": all_gather},
    }


class _StandIns(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `flash_attn…` while `IMPORTER` is being imported, last of all finders: a real one comes first."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        importer = sys.modules.get(IMPORTER)
        if importer is None or not getattr(importer.__spec__, "_initializing", False):
            return None
        if name not in _contents():
            return None
        return importlib.machinery.ModuleSpec(
            name, self, is_package=name in ("flash_attn", "flash_attn.utils")
        )

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.update(_contents()[module.__name__])


def install_finder() -> None:
    """Called before OpenRLHF's models are imported."""
    if not any(isinstance(finder, _StandIns) for finder in sys.meta_path):
        sys.meta_path.append(_StandIns())


def register(ring_attn_utils: ModuleType) -> None:
    """Called once `IMPORTER` is imported: it has what it needs, nobody else is to see the stand-ins."""
    for name in left_behind():
        del sys.modules[name]


def left_behind() -> list[str]:
    """Names of the stand-ins that others would see."""
    found = ((name, sys.modules.get(name)) for name in _contents())
    return [name for name, module in found if isinstance(getattr(module, "__loader__", None), _StandIns)]
