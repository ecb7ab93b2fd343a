"""Memory that was foreseen, against what a process of this machine takes."""

from __future__ import annotations

import pytest
from transformers import LlamaConfig, Qwen3Config

from tw_plugins.cli.plan import measured

WIDTHS = {"hidden_size": 256, "num_attention_heads": 8, "num_key_value_heads": 2, "vocab_size": 2048}
QWEN3 = Qwen3Config(**WIDTHS, head_dim=32, intermediate_size=768, num_hidden_layers=1)
LLAMA = LlamaConfig(**WIDTHS, intermediate_size=640, num_hidden_layers=1)


@pytest.mark.parametrize(
    ("config", "layers", "tokens", "checkpointing", "chunk"),
    [
        (QWEN3, 4, 3000, True, 256),
        (QWEN3, 3, 1500, False, 256),
        (QWEN3, 2, 1500, True, None),
        (LLAMA, 6, 3000, True, 256),
    ],
    ids=["checkpointing", "all kept", "all logits", "another model"],
)
def test_foreseen_within_15_percent(
    config: object, layers: int, tokens: int, checkpointing: bool, chunk: int | None
) -> None:
    foreseen, found = measured(config, layers, tokens, checkpointing, chunk, "cpu")
    assert foreseen == pytest.approx(found, rel=0.15)
