"""Which models' layers see all of a trajectory, on transformers' own configs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from transformers import Gemma2Config, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config, Qwen3NextConfig
from transformers.models.llama4 import Llama4TextConfig

from tw_plugins.attention import UnsupportedAttention, mask_for
from tw_plugins.attention.span import attention_span, check_span

CONFIGS = {
    "qwen3": (Qwen3Config(), None),
    "llama": (LlamaConfig(), None),
    "qwen2, window switched off": (Qwen2Config(sliding_window=64), None),
    "qwen2, window in some layers": (
        Qwen2Config(num_hidden_layers=4, use_sliding_window=True, sliding_window=64, max_window_layers=2),
        64,
    ),
    "mistral": (MistralConfig(sliding_window=64), 64),
    "mistral without a window": (MistralConfig(sliding_window=None), None),
    "gemma 2": (Gemma2Config(sliding_window=64), 64),
    "llama 4, chunks": (Llama4TextConfig(attention_chunk_size=64), 64),
    "qwen3-next, linear attention": (Qwen3NextConfig(), 0),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_span(name: str) -> None:
    config, span = CONFIGS[name]
    assert attention_span(config) == span


def test_a_trajectory_beyond_the_window_is_refused() -> None:
    config: Any = CONFIGS["gemma 2"][0]
    check_span(config, 64)
    with pytest.raises(
        UnsupportedAttention, match="65 tokens; gemma2 has sliding_attention layers that see 64"
    ):
        check_span(config, 65)


def test_a_mask_is_made_where_no_row_reaches_beyond_the_window() -> None:
    """Such masks are the same in every layer; beyond, a branch would see more than its request did."""
    config: Any = MistralConfig(sliding_window=4)
    config._attn_implementation = "sdpa"
    assert mask_for(config, torch.tensor([[0, 1, 2, 3, 2, 3]])).shape == (1, 1, 6, 6)
    with pytest.raises(UnsupportedAttention, match="up to 5 tokens"):
        mask_for(config, torch.tensor([[0, 1, 2, 3, 4, 2, 3]]))
