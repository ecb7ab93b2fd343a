"""A tiny Qwen3 for tests that compare numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tw_plugins.toy.model import ModelSize, make_model, save

TINY = ModelSize(hidden=32, layers=2, heads=4, kv_heads=2, head_dim=16, ffn=48, init_std=0.2)
"""Far from uniform, so that a wrong context shows."""


def save_tiny(folder: Path, tokenizer: Any, tied: bool = True) -> Path:
    """A model with its tokenizer; a head of its own begins as twice the embedding."""
    model = make_model(tokenizer, 0, TINY)
    if not tied:
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(2 * model.get_input_embeddings().weight.detach())
    save(folder, tokenizer, model)
    return folder
