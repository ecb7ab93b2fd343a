"""Rows that are split over ranks: around attention, tokens are exchanged for heads (DeepSpeed-Ulysses).

A row too long for one GPU is cut into R slices. All of a model but its attention looks at one token at a
time and needs no more than its slice. Attention looks at one head at a time, and gets whole rows of a few:

    (B, H, N/R, D)   all heads of a rank's tokens
          ↓          all-to-all
    (B, H/R, N, D)   a rank's heads of all tokens: attention as on one rank, under the mask of the whole row
          ↓          all-to-all
    (B, N/R, H, D)   all heads of a rank's tokens

So nothing that makes masks or plans knows of ranks, as long as it is given the positions of whole rows, and
each attention implementation is computed by the same code as on one rank. G key heads that R does not divide
are repeated R / gcd(R, G) times, the least with which all ranks have as many, and those of their queries.

:func:`split_over` gives one model an attention implementation of its own, which knows the group; other models
of the process stay as they are. Source: arXiv 2309.14509, §3. Seam: ``transformers.AttentionInterface``
(transformers 5.10, 5.15).
"""

from __future__ import annotations

from functools import partial
from inspect import unwrap
from math import gcd
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.autograd.function import once_differentiable

from tw_plugins.attention.span import UnsupportedAttention

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor
    from torch.nn.attention.flex_attention import BlockMask

__all__ = ["attention_of", "check_split", "split_over"]

_OVER = " over "  # parts the implementation from the group in a model's config
_ROPE_OF_LENGTH = {"dynamic", "longrope"}
_NOT_SPLIT = "its rows cannot be split over these ranks, set another number, or 1"


def attention_of(config: Any) -> str | None:
    """The attention implementation of a Hugging Face model's config, whether rows are split or not."""
    implementation: str | None = config._attn_implementation
    return implementation and implementation.partition(_OVER)[0]


def split_over(model: Any, group: dist.ProcessGroup) -> None:
    """From now on the model gets slices of rows, in the order of the group's ranks, and masks of whole ones.

    Args:
        model: of Hugging Face, wrapped or not; its config is changed.
        group: each rank has N/R tokens of the same row and calls the model with the same mask.

    Raises:
        UnsupportedAttention: see :func:`check_split`; or the model has attention in a way of its own.
    """
    from transformers import AttentionInterface

    config = model.config
    check_split(config, group.size())
    if not getattr(model, "_supports_attention_backend", False):
        raise UnsupportedAttention(f"{config.model_type} computes attention in its own way: {_NOT_SPLIT}")
    attention = attention_of(config)
    name = f"{attention}{_OVER}{group.group_name}"
    AttentionInterface.register(name, partial(_attention_forward, attention, group))
    config._attn_implementation = name


def check_split(config: Any, ranks: int) -> None:
    """
    Args:
        config: of a Hugging Face model.

    Raises:
        UnsupportedAttention: its heads cannot be dealt out evenly, it is not of text alone, or something
            else than attention depends on the whole row.
    """
    text = config.get_text_config()
    if text.num_attention_heads % ranks:
        raise UnsupportedAttention(
            f"{config.model_type} has {text.num_attention_heads} attention heads, which {ranks} ranks do not "
            f"divide: {_NOT_SPLIT}"
        )
    if hasattr(config, "vision_config"):
        raise UnsupportedAttention(f"{config.model_type} attends to pictures too: {_NOT_SPLIT}")
    rope = getattr(text, "rope_parameters", None) or {}
    kinds = {str(of.get("rope_type")) for of in (rope, *rope.values()) if isinstance(of, dict)}
    if found := kinds & _ROPE_OF_LENGTH:
        raise UnsupportedAttention(
            f"{config.model_type}'s positions ({', '.join(found)}) depend on the length of a row, "
            f"which a slice does not say: {_NOT_SPLIT}"
        )


def _attention_forward(
    attention: str | None,
    group: dist.ProcessGroup,
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | BlockMask | None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """What transformers calls; (B, H, N/R, D) in, (B, N/R, H, D) out, the mask (…, N, N) or a plan of it."""
    if attention_mask is None or kwargs.get("s_aux") is not None:
        missing = "sinks" if attention_mask is not None else "rows without a mask"
        raise UnsupportedAttention(f"attention whose rows are split over ranks takes no {missing}")
    copies = group.size() // gcd(group.size(), key.shape[1])
    key, value = (x.repeat_interleave(copies, 1) for x in (key, value))
    query, key, value = (_whole_rows(x, group) for x in (query, key, value))
    share = _Share(module, query.shape[1] // key.shape[1])
    out, _ = _implementation(attention, module)(share, query, key, value, attention_mask, **kwargs)
    return _all_heads(out, group), None


def _implementation(attention: str | None, module: Any) -> Callable[..., tuple[Tensor, Any]]:
    """transformers' function; "eager" is each model's own."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    eager = getattr(unwrap(type(module).forward), "__globals__", {}).get("eager_attention_forward")
    found: Callable[..., tuple[Tensor, Any]] = ALL_ATTENTION_FUNCTIONS.get_interface(attention, eager)
    return found


class _Share:
    """An attention layer as a rank computes it: with other groups of heads, and all else the layer's own."""

    def __init__(self, layer: Any, num_key_value_groups: int) -> None:
        self._layer, self.num_key_value_groups = layer, num_key_value_groups

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)


def _whole_rows(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    """(B, H, N/R, D) → (B, H/R, N, D), in memory (B, N, H/R, D), as transformers lays heads out."""
    x = x.transpose(1, 2).unflatten(2, (group.size(), -1)).movedim(2, 0)
    return _exchange(x, group).movedim(0, 1).flatten(1, 2).transpose(1, 2)


def _all_heads(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    """(B, N, H/R, D) → (B, N/R, H, D)."""
    x = x.unflatten(1, (group.size(), -1)).movedim(1, 0)
    return _exchange(x, group).movedim(0, 2).flatten(2, 3)


def _exchange(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    """(R, …): what rank j has at place i is what rank i gets at place j; differentiable once."""
    out: Tensor = _Exchange.apply(x, group)
    return out


class _Exchange(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, group: dist.ProcessGroup) -> Tensor:  # type: ignore[override]
        ctx.group = group
        x = x.contiguous()
        out = torch.empty_like(x)
        dist.all_to_all_single(out, x, group=group)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return _Exchange.apply(grad, ctx.group), None  # its own transpose
