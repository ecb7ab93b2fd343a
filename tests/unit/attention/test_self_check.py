"""The check of attention, checked: what is right passes, and no way of being wrong does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import GPT2Config, Qwen3Config

from tests.support.branch import SMALL
from tests.support.devices import DEVICES
from tests.support.masks import lose_branches
from tw_plugins.attention import UnsupportedAttention, ancestor_mask, self_check
from tw_plugins.attention.segments import segments_of
from tw_plugins.attention.self_check import Heads, check_attention, deviation, positions_of

HEADS = Heads(4, 2, 32)


@pytest.mark.parametrize("attention", ["sdpa", "eager", "trie"])
@pytest.mark.parametrize("length", [256, 301])
@pytest.mark.parametrize("device", DEVICES)
def test_what_is_right_passes(attention: str, length: int, device: str) -> None:
    for dtype in (torch.bfloat16, torch.float16):
        assert deviation(attention, positions_of(length), HEADS, dtype, device).within(dtype)


def test_in_float64_nothing_is_left_but_the_last_places() -> None:
    found = deviation("trie", positions_of(301), HEADS, torch.float64, "cpu")
    assert found.out < 1e-14 and found.gradient < 1e-14


def test_its_rows_have_branches_of_all_kinds() -> None:
    positions = positions_of(301)
    jumps = [p for p, before in zip(positions[1:], positions, strict=False) if p and p != before + 1]
    assert len(positions) == 301 and len(jumps) == 5 and positions.count(0) > 2
    assert len(set(jumps)) < len(jumps)  # two branches of one block
    assert max(len(segment.ancestors) for segment in segments_of(torch.tensor([positions]))) == 2


def see_one_less(positions: torch.Tensor) -> torch.Tensor:
    """Branches that do not see the last token before them."""
    mask = ancestor_mask(positions)[0]
    main = int((positions[0, 1:] != positions[0, :-1] + 1).nonzero()[0]) + 1
    fork = int(positions[0, main])
    mask[main:, fork - 1] = False
    return mask


def test_one_token_that_is_not_seen_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_check, "mask_for", lambda config, positions: see_one_less(positions)[None, None])
    assert not deviation("sdpa", positions_of(301), HEADS, torch.bfloat16, "cpu").within(torch.bfloat16)


def test_a_gradient_of_nan_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spoilt(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return grad * torch.nan

    right = self_check._implementation("sdpa", HEADS)
    monkeypatch.setattr(
        self_check, "_implementation", lambda *_: lambda q, k, v, rows: right(q, Spoilt.apply(k), v, rows)
    )
    found = deviation("sdpa", positions_of(256), HEADS, torch.float32, "cpu")
    assert found.out < 1e-5 and not found.within(torch.float32)


class Config(SimpleNamespace):
    """Of a model whose attention is `kind`."""

    def __init__(self, kind: str) -> None:
        super().__init__(
            _attn_implementation=kind, num_attention_heads=4, num_key_value_heads=2, hidden_size=64
        )

    def get_text_config(self) -> Config:
        return self


def test_a_run_begins_where_attention_is_right() -> None:
    for attention in ("sdpa", "eager", "trie"):
        check_attention(Config(attention), torch.float32, "cpu")
    check_attention(Config("flash_attention_2"), torch.float32, "cpu")  # takes no rows, which others say


def test_a_run_ends_where_it_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    lose_branches(monkeypatch)
    with pytest.raises(
        UnsupportedAttention, match=r"sdpa computes .* wrongly .* float32 with 4/2 heads of 16.*=eager"
    ):
        check_attention(Config("sdpa"), torch.float32, "cpu")


def test_models_say_which_heads_they_have() -> None:
    assert Heads.of(Qwen3Config(**SMALL)) == Heads(4, 2, 16)
    assert Heads.of(GPT2Config(n_embd=64, n_head=4)) == Heads(4, 4, 16)
