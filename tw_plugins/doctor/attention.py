"""Which attention can compute a trie row here: the ancestor mask on a few tokens, forward and backward."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from tw_plugins.adapter.check import Check, first_line

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["attention_checks"]

Attention = Callable[["Tensor", "Tensor"], "Tensor"]
POSITIONS = (0, 1, 2, 3, 4, 2, 3, 4, 2, 3)  # a main path with two branches


def attention_checks() -> Iterator[Check]:
    """SDPA must work; the others are a choice, and must then agree with it."""
    try:
        import torch
    except ImportError:
        return
    device = "cuda" if torch.cuda.is_available() else "cpu"
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(1, 2, len(POSITIONS), 16, generator=generator).to(device)
    positions = torch.tensor(POSITIONS, device=device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FlexAttention says that it runs uncompiled
        yield _check("sdpa, forward and backward", "fail", lambda: _differentiate(_sdpa, x, positions))
        if device == "cpu":
            yield _check("trie, forward", "note", lambda: _agree(_trie, x, positions))
            yield _check("trie, backward", "note", lambda: _differentiate(_trie, x, positions))
        yield _check("flex_attention, forward", "note", lambda: _agree(_flex, x, positions))
        yield _check("flex_attention, backward", "note", lambda: _differentiate(_flex, x, positions))


def _check(name: str, otherwise: str, run: Callable[[], None]) -> Check:
    try:
        run()
    except Exception as error:  # whatever an attention kernel can answer is a finding
        advice = "train with attn_implementation=sdpa" if otherwise == "note" else "reinstall torch"
        return Check("attention", name, otherwise, f"not usable here ({first_line(error)}): {advice}")  # type: ignore[arg-type]
    return Check("attention", name, "ok", "usable with the ancestor mask")


def _sdpa(x: Tensor, positions: Tensor) -> Tensor:
    from torch.nn.functional import scaled_dot_product_attention

    from tw_plugins.attention import ancestor_mask

    return scaled_dot_product_attention(x, x, x, attn_mask=ancestor_mask(positions))


def _flex(x: Tensor, positions: Tensor) -> Tensor:
    from torch.nn.attention.flex_attention import flex_attention

    from tw_plugins.attention import ancestor_block_mask

    out: Tensor = flex_attention(x, x, x, block_mask=ancestor_block_mask(positions))
    return out


def _trie(x: Tensor, positions: Tensor) -> Tensor:
    from tw_plugins.attention.trie_attention import trie_attention, trie_plan

    return trie_attention(x, x, x, trie_plan(positions.unsqueeze(0)), scale=x.shape[-1] ** -0.5)


def _agree(attention: Attention, x: Tensor, positions: Tensor) -> None:
    import torch

    torch.testing.assert_close(attention(x, positions), _sdpa(x, positions), atol=1e-3, rtol=1e-3)


def _differentiate(attention: Attention, x: Tensor, positions: Tensor) -> None:
    leaf = x.clone().requires_grad_()
    attention(leaf, positions).square().sum().backward()
    if leaf.grad is None or not bool(leaf.grad.isfinite().all()):
        raise ArithmeticError("the gradient is not finite")
