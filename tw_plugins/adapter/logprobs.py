r"""Log-probs of tokens from hidden states, a few tokens' logits at a time.

The logits of 40,000 tokens over 151,936 ids take 24 GB in float32, and their gradient as much. Here they are
made for ``chunk`` tokens, reduced to what is asked for, and made again in the backward pass: one more product
with the head, about 3 % of an 8B model's step, for a peak that does not grow with the row.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

__all__ = ["token_log_probs"]


def token_log_probs(
    hidden: Tensor,
    weight: Tensor,
    labels: Tensor,
    chunk: int,
    bias: Tensor | None = None,
    temperature: float = 1.0,
    entropy: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Log-prob of each label under softmax(head(hidden) / temperature), and that distribution's entropy.

    Args:
        hidden: (..., H), before the head.
        weight, bias: (V, H) and (V,), the head's.
        labels: (...), int64.
        chunk: tokens whose logits are in memory at once.
        entropy: whether it is asked for; it costs a pass over the logits each way.

    Returns:
        Log-probs and, if asked for, entropies, (...), in float32; in float64 for float64. Gradients reach
        hidden, weight and bias; the product with the head is in their dtype, the rest in the result's, as
        frameworks have it.
    """
    flat = hidden.reshape(-1, hidden.shape[-1])
    log_probs, entropies = _TokenLogProbs.apply(
        flat, weight, bias, labels.reshape(-1), temperature, chunk, entropy
    )
    return log_probs.view(labels.shape), entropies.view(labels.shape) if entropy else None


class _TokenLogProbs(torch.autograd.Function):
    """``log_p`` is a chunk's log-softmax of logits over the temperature; its entropy is H = −Σ p log p."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        temperature: float,
        chunk: int,
        entropy: bool,
    ) -> tuple[Tensor, Tensor | None]:
        exact = torch.float64 if hidden.dtype == torch.float64 else torch.float32
        log_probs, normalisers = (hidden.new_empty(len(labels), dtype=exact) for _ in range(2))
        entropies = torch.empty_like(log_probs) if entropy else None
        for part in _parts(len(labels), chunk):
            z = linear(hidden[part], weight, bias).to(exact) / temperature
            normalisers[part] = z.logsumexp(-1)
            log_p = z - normalisers[part, None]
            log_probs[part] = log_p.gather(-1, labels[part, None])[:, 0]
            if entropies is not None:
                entropies[part] = -(log_p.exp() * log_p).sum(-1)
        ctx.save_for_backward(hidden, weight, bias, labels, normalisers, entropies)
        ctx.temperature, ctx.chunk = temperature, chunk
        return log_probs, entropies

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, of_log_probs: Tensor, of_entropies: Tensor | None) -> tuple[Tensor | None, ...]:
        hidden, weight, bias, labels, normalisers, entropies = ctx.saved_tensors
        exact = normalisers.dtype
        for_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        # Sums over chunks, which would be rounded at each of them in bfloat16.
        for_weight = torch.zeros_like(weight, dtype=exact) if ctx.needs_input_grad[1] else None
        for_bias = torch.zeros_like(bias, dtype=exact) if ctx.needs_input_grad[2] else None
        for part in _parts(len(labels), ctx.chunk):
            z = linear(hidden[part], weight, bias).to(exact) / ctx.temperature
            log_p = z - normalisers[part, None]
            # By z: d log p_y = 1_y − p;  dH = −p (log p + H)
            g = of_log_probs[part, None]
            if entropies is not None:
                assert of_entropies is not None
                g = g + of_entropies[part, None] * (log_p + entropies[part, None])
            g = -log_p.exp() * g
            g.scatter_add_(-1, labels[part, None], of_log_probs[part, None].to(exact))
            g = (g / ctx.temperature).to(hidden.dtype)
            if for_hidden is not None:
                for_hidden[part] = g @ weight
            if for_weight is not None:
                for_weight += g.T @ hidden[part]
            if for_bias is not None:
                for_bias += g.sum(0)
        sums = [None if found is None else found.to(weight.dtype) for found in (for_weight, for_bias)]
        return for_hidden, *sums, None, None, None, None


def _parts(tokens: int, chunk: int) -> list[slice]:
    return [slice(start, start + chunk) for start in range(0, tokens, chunk)]
