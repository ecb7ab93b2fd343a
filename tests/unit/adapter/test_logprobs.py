"""Log-probs and entropies in chunks, against the logits of all tokens and torch's own softmax."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tw_plugins.adapter.logprobs import token_log_probs

TOKENS, HIDDEN, VOCABULARY = (3, 7), 8, 50


def inputs(dtype: torch.dtype, bias: bool = False) -> dict[str, Any]:
    made = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=made, dtype=torch.float64).to(dtype).requires_grad_()

    return {
        "hidden": normal(*TOKENS, HIDDEN),
        "weight": normal(VOCABULARY, HIDDEN),
        "labels": torch.randint(VOCABULARY, TOKENS, generator=made),
        "bias": normal(VOCABULARY) if bias else None,
    }


def obvious(hidden: Any, weight: Any, labels: Any, bias: Any, temperature: float) -> tuple[Any, Any]:
    logits = hidden @ weight.T + (0 if bias is None else bias)
    exact = torch.float64 if logits.dtype == torch.float64 else torch.float32
    found = (logits.to(exact) / temperature).log_softmax(-1)
    return found.gather(-1, labels[..., None])[..., 0], -(found.exp() * found).sum(-1)


def with_gradients(computed: Any, given: dict[str, Any], entropy: bool) -> list[torch.Tensor]:
    log_probs, entropies = computed
    weights = torch.linspace(-1, 2, log_probs.numel(), dtype=log_probs.dtype).view(log_probs.shape)
    loss = (weights * log_probs).sum()
    if entropy:
        loss = loss + (weights.flip(0) * entropies).sum()
    loss.backward()
    leaves = [given[name] for name in ("hidden", "weight", "bias") if given[name] is not None]
    return [*computed[: 1 + entropy], *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize("entropy", [True, False])
@pytest.mark.parametrize("chunk", [1, 4, 21, 1024])
@pytest.mark.parametrize(("temperature", "bias"), [(1.0, False), (0.7, True)])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5), (torch.bfloat16, 0.1)]
)
def test_as_from_all_logits(
    dtype: torch.dtype, tolerance: float, temperature: float, bias: bool, chunk: int, entropy: bool
) -> None:
    one, other = inputs(dtype, bias), inputs(dtype, bias)
    computed = token_log_probs(**one, temperature=temperature, chunk=chunk, entropy=entropy)
    assert (computed[1] is not None) == entropy
    got = with_gradients(computed, one, entropy)
    want = with_gradients(obvious(**other, temperature=temperature), other, entropy)
    assert got[0].dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    for mine, theirs in zip(got, want, strict=True):
        assert mine.dtype == theirs.dtype
        torch.testing.assert_close(mine, theirs, atol=tolerance, rtol=tolerance)


def test_the_gradient_is_that_of_differences() -> None:
    given = inputs(torch.float64, bias=True)
    names = ("hidden", "weight", "bias")

    def of(*leaves: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        found = token_log_probs(
            **dict(zip(names, leaves, strict=True)), labels=given["labels"], chunk=4, entropy=True
        )
        assert found[1] is not None
        return found[0], found[1]

    assert torch.autograd.gradcheck(of, [given[name] for name in names])


def test_a_frozen_head_gets_no_gradient() -> None:
    given = inputs(torch.float32)
    given["weight"].requires_grad_(False)
    token_log_probs(**given, chunk=4)[0].sum().backward()
    assert given["hidden"].grad is not None and given["weight"].grad is None
