"""Attention without a mask against the dense mask: outputs, gradients, models."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import scaled_dot_product_attention
from transformers import (
    AttentionInterface,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from tests.support.branch import SMALL, check_branch
from tests.support.masks import random_row
from tw_plugins.attention import UnsupportedAttention, ancestor_mask, mask_for, masks_every_row
from tw_plugins.attention.trie_attention import register, trie_attention, trie_plan

register()


def batch_of(seed: int, rows: int = 2) -> torch.Tensor:
    rng = random.Random(seed)
    drawn = [random_row(rng, rng.randint(1, 3), rng.randint(0, 4))[0] for _ in range(rows)]
    longest = max(map(len, drawn))
    return torch.tensor([row + [0] * (longest - len(row)) for row in drawn])


def attend(query: Any, key: Any, value: Any, mask: Any) -> torch.Tensor:
    """As a model would call it; (B, H, N, D) back."""
    module = SimpleNamespace(num_key_value_groups=query.shape[1] // key.shape[1])
    out, _ = AttentionInterface()["trie"](module, query, key, value, mask)
    return out.transpose(1, 2)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_outputs_and_gradients_are_those_of_the_dense_mask(seed: int) -> None:
    positions = batch_of(seed)
    generator = torch.Generator().manual_seed(0)
    rows, length = positions.shape
    sizes = (4, 2, 2)  # heads of query, key and value
    tensors = [torch.randn(rows, h, length, 8, generator=generator, dtype=torch.float64) for h in sizes]
    leaves = [tensor.requires_grad_() for tensor in tensors]
    mask = ancestor_mask(positions).unsqueeze(1)
    want = scaled_dot_product_attention(*leaves, attn_mask=mask, enable_gqa=True)
    got = attend(*leaves, trie_plan(positions))
    weights = torch.randn(want.shape, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-12)
    gradients = [torch.autograd.grad((out * weights).sum(), leaves) for out in (got, want)]
    for mine, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, theirs, atol=1e-12, rtol=1e-12)


def test_branches_of_a_block_share_one_product_and_padding_is_one_line() -> None:
    plan = trie_plan(torch.tensor([[0, 1, 2, 3, 4, 5, 4, 2, 3, 2, 3, 4, 0, 0, 0]]))
    own = [[0, 6, 0, 6], [6, 7, 6, 7], [7, 9, 7, 9], [9, 12, 9, 12]]
    assert plan[0, 0].tolist() == [*own, [12, 15, 0, 0], [6, 7, 0, 4], [7, 12, 0, 2]]


def test_a_branch_of_a_branch_has_a_product_with_each_and_shares_what_is_above() -> None:
    plan = trie_plan(torch.tensor([[0, 1, 2, 3, 2, 3, 4, 4, 3, 2]]))
    own = [[0, 4, 0, 4], [4, 7, 4, 7], [7, 8, 7, 8], [8, 9, 8, 9], [9, 10, 9, 10]]
    assert plan[0, 0].tolist() == [*own, [4, 10, 0, 2], [7, 8, 4, 6], [8, 9, 4, 5]]


@pytest.mark.parametrize("kind", [(Qwen3Config, Qwen3ForCausalLM), (LlamaConfig, LlamaForCausalLM)])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_models(kind: tuple[Any, Any], checkpointing: bool) -> None:
    """Log-probs and gradients of a stock model with "trie" and with "sdpa" under the mask."""
    positions = batch_of(7, rows=3)
    ids = torch.randint(0, 64, positions.shape, generator=torch.Generator().manual_seed(0))
    results = []
    for attention in ("sdpa", "trie"):
        torch.manual_seed(0)
        model = kind[1]._from_config(kind[0](**SMALL), attn_implementation=attention).double().train()
        if checkpointing:
            model.gradient_checkpointing_enable({"use_reentrant": False})
        mask = mask_for(model.config, positions)
        logits = model(input_ids=ids, position_ids=positions, attention_mask=mask, use_cache=False).logits
        (logits[positions > 0] ** 2).mean().backward()
        results.append((logits, [parameter.grad for parameter in model.parameters()]))
    (want, want_grads), (got, grads) = results
    torch.testing.assert_close(got, want, atol=1e-9, rtol=1e-9)
    torch.testing.assert_close(grads, want_grads, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("mask", [None, torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])])
def test_without_branches_it_is_sdpa(mask: torch.Tensor | None) -> None:
    ids = torch.randint(0, 64, (2, 5), generator=torch.Generator().manual_seed(0))
    outs = []
    for attention in ("sdpa", "trie"):
        torch.manual_seed(0)
        model = Qwen3ForCausalLM._from_config(Qwen3Config(**SMALL), attn_implementation=attention).eval()
        outs.append(model(input_ids=ids, attention_mask=mask).logits)
    assert torch.equal(*outs)


def test_bfloat16_is_merged_in_float32() -> None:
    positions = batch_of(3)
    rows, length = positions.shape
    generator = torch.Generator().manual_seed(0)
    exact = torch.randn(3, rows, 2, length, 16, generator=generator)
    got = attend(*exact.bfloat16(), trie_plan(positions)).float()
    want = scaled_dot_product_attention(
        *exact.bfloat16().float(), attn_mask=ancestor_mask(positions).unsqueeze(1)
    )
    torch.testing.assert_close(got, want, atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("extra", [{"dropout": 0.1}, {"softcap": 30.0}, {"s_aux": torch.zeros(1)}], ids=str)
def test_what_it_does_not_compute_is_refused(extra: dict[str, Any]) -> None:
    query = torch.randn(1, 1, 4, 8)
    plan = trie_plan(torch.tensor([[0, 1, 2, 1]]))
    with pytest.raises(UnsupportedAttention, match=r"has no (dropout|softcap|sinks)"):
        AttentionInterface()["trie"](SimpleNamespace(), query, query, query, plan, **extra)


def test_on_another_device_it_is_refused_by_name() -> None:
    config = SimpleNamespace(_attn_implementation="trie")
    with pytest.raises(UnsupportedAttention, match="sdpa or eager or flex_attention on meta, not 'trie'"):
        mask_for(config, torch.zeros(1, 4, dtype=torch.long, device="meta"))


def test_any_strides_will_do() -> None:
    positions = batch_of(5)[:1]
    query, key, value = torch.randn(3, 1, 2, 8, positions.shape[1], dtype=torch.float64).transpose(-1, -2)
    flat = (x[0].transpose(0, 1) for x in (query, key, value))
    got = trie_attention(*flat, trie_plan(positions), 8**-0.5).transpose(0, 1)[None]
    want = scaled_dot_product_attention(query, key, value, attn_mask=ancestor_mask(positions))
    torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("attention", ["eager", "trie"])
def test_every_attention_computes_a_branch_as_its_own_request(attention: str) -> None:
    """For each that a user may choose; "sdpa" is tested everywhere else, FlexAttention apart."""
    check_branch(attention)


def test_sparse_attention_wants_plain_rows_too() -> None:
    config = Qwen3Config(**SMALL)
    for attention, wants in {"sdpa": False, "eager": False, "flex_attention": True, "trie": True}.items():
        config._attn_implementation = attention
        assert masks_every_row(config) == wants
    windowed = MistralConfig(**SMALL, sliding_window=8)  # its masks stay transformers' own
    windowed._attn_implementation = "trie"
    assert not masks_every_row(windowed)
