"""Rows of any depth, packed, padded and cut, against dense float64 attention of one request at a time."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from tests.support.agents import agent, depth_of, wanted
from tests.support.devices import DEVICES
from tests.support.fidelity import model_of, row_logprobs
from tests.support.trees import Token, random_rows
from tw_plugins.attention import ancestor_block_mask, ancestor_mask
from tw_plugins.attention.trie_attention import trie_attention, trie_plan
from tw_plugins.trie import row_from_units

HEADS, SIZE = 2, 8


def dense(query: Any, key: Any, value: Any, positions: torch.Tensor) -> torch.Tensor:
    return scaled_dot_product_attention(query, key, value, attn_mask=ancestor_mask(positions)[:, None])


def segments(query: Any, key: Any, value: Any, positions: torch.Tensor) -> torch.Tensor:
    flat = (x.transpose(1, 2).flatten(0, 1) for x in (query, key, value))
    out = trie_attention(*flat, trie_plan(positions), SIZE**-0.5)
    return out.unflatten(0, positions.shape).transpose(1, 2)


def flex(query: Any, key: Any, value: Any, positions: torch.Tensor) -> torch.Tensor:
    out = flex_attention(query, key, value, block_mask=ancestor_block_mask(positions, 16))
    assert isinstance(out, torch.Tensor)
    return out


class Batch:
    """Two packed rows, padded to one length, and a query, key and value for each *id*."""

    def __init__(self, seed: int, cut: int = 0) -> None:
        self.rows: list[list[Token]] = []
        for number in range(2):
            row = [token for tree in random_rows(seed + number) for token in tree]
            self.rows.append(row[: max(1, len(row) - cut)])
        longest = max(map(len, self.rows)) + random.Random(seed).randint(0, 2)
        ids = [[token.request[-1] for token in row] + [0] * (longest - len(row)) for row in self.rows]
        places = [[token.position for token in row] + [0] * (longest - len(row)) for row in self.rows]
        self.ids, self.positions = torch.tensor(ids), torch.tensor(places)
        generator = torch.Generator().manual_seed(seed % 2**31)
        drawn = torch.randn(
            3, 2, int(self.ids.max()) + 1, HEADS, SIZE, generator=generator, dtype=torch.float64
        )
        self.leaves = [leaf.requires_grad_() for leaf in drawn]
        shape = (2, HEADS, longest, SIZE)
        self.weights = torch.randn(shape, generator=generator, dtype=torch.float64)

    def results(
        self, attention: Any, device: str = "cpu", dtype: torch.dtype = torch.float64
    ) -> list[torch.Tensor]:
        """Outputs of the rows' tokens, and the gradients of their weighted sum."""
        tensors = [
            torch.stack([leaf[row, ids].transpose(0, 1) for row, ids in enumerate(self.ids)]).to(
                device, dtype
            )
            for leaf in self.leaves
        ]
        out = attention(*tensors, self.positions.to(device)).cpu().double()
        kept = [out[row, :, : len(tokens)] for row, tokens in enumerate(self.rows)]
        return self._with_gradients(kept)

    def wanted(self) -> list[torch.Tensor]:
        """The same, a plain causal product for each segment's request."""
        kept = []
        for row, tokens in enumerate(self.rows):
            begins = [
                i
                for i, t in enumerate(tokens)
                if i == 0 or t.position != tokens[i - 1].position + 1 or not t.position
            ]
            parts = []
            for start, stop in pairwise([*begins, len(tokens)]):
                request = torch.tensor(tokens[stop - 1].request)
                query, key, value = (leaf[row, request].transpose(0, 1)[None] for leaf in self.leaves)
                whole = scaled_dot_product_attention(query, key, value, is_causal=True)
                parts.append(whole[0, :, tokens[start].position :])
            kept.append(torch.cat(parts, 1))
        return self._with_gradients(kept)

    def _with_gradients(self, kept: list[torch.Tensor]) -> list[torch.Tensor]:
        total = sum((out * self.weights[row, :, : out.shape[1]]).sum() for row, out in enumerate(kept))
        assert isinstance(total, torch.Tensor)
        return [*(out.detach() for out in kept), *torch.autograd.grad(total, self.leaves)]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.sampled_from([0, 0, 3, 20]))
def test_a_row_of_any_depth_computes_what_its_requests_do(seed: int, cut: int) -> None:
    batch = Batch(seed, cut)
    want = batch.wanted()
    for attention in (dense, segments):
        torch.testing.assert_close(batch.results(attention), want, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_flex_attention_does_too(seed: int) -> None:
    """Outputs: torch has no backward of it on the CPU."""
    batch = Batch(seed)
    want = batch.wanted()[: len(batch.rows)]
    with torch.no_grad():
        got = [
            flex(*tensors_of(batch), batch.positions)[row, :, : len(one)]
            for row, one in enumerate(batch.rows)
        ]
    torch.testing.assert_close(got, want, atol=1e-12, rtol=1e-12)


def tensors_of(batch: Batch) -> list[torch.Tensor]:
    return [
        torch.stack([leaf[row, ids].transpose(0, 1) for row, ids in enumerate(batch.ids)])
        for leaf in batch.leaves
    ]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(4))
def test_in_16_bits_it_is_right_to_rounding(seed: int, device: str) -> None:
    batch = Batch(seed)
    want, got = batch.wanted(), batch.results(segments, device, torch.bfloat16)
    for mine, theirs in zip(got, want, strict=True):
        assert (mine - theirs).norm() <= 3 * torch.finfo(torch.bfloat16).eps * theirs.norm()


@pytest.mark.parametrize("family", ["qwen3", "llama"])
def test_log_probs_and_gradients_of_models_are_those_of_the_requests(family: str) -> None:
    model = model_of(family, torch.float64)
    agents = [agent(seed) for seed in range(3)]
    rows = [row_from_units(calls) for calls in agents]
    assert min(map(depth_of, rows)) > 1
    want = torch.cat([wanted(model, calls, row) for calls, row in zip(agents, rows, strict=True)])
    values, trained = row_logprobs(model, rows)
    got = values[trained]
    torch.testing.assert_close(got, want, atol=1e-9, rtol=0)
    gradients = [torch.autograd.grad(total.sum(), list(model.parameters())) for total in (got, want)]
    for mine, theirs in zip(*gradients, strict=True):
        assert (mine - theirs).norm() <= 1e-6 * theirs.norm()  # RMSNorm is computed in float32
