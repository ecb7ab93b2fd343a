"""Small models of two families, rollouts of a fake engine, and log-probs of their rows."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from tests.support.fakes import StoryEngine, char_tokenizer, control_tokens
from tw_plugins.collator import TrieCollator
from tw_plugins.rollout import Limits, Rollout, fork_join
from tw_plugins.trie import TrieRow
from tw_plugins.trie.packing import Pack

TOKENIZER = char_tokenizer()
TAGS = control_tokens(TOKENIZER)
SHAPE: dict[str, Any] = dict(
    vocab_size=len(TOKENIZER),
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=8,
    max_position_embeddings=2048,
    initializer_range=0.2,  # far from uniform, so that a wrong context shows
)
FAMILIES = {"qwen3": (Qwen3Config, Qwen3ForCausalLM), "llama": (LlamaConfig, LlamaForCausalLM)}
GROUPS = ["p", "p", "q", "q"]


def model_of(family: str, dtype: torch.dtype) -> Any:
    config_class, model_class = FAMILIES[family]
    torch.manual_seed(0)
    return model_class._from_config(config_class(**SHAPE), attn_implementation="sdpa").to(dtype).eval()


@cache
def rollouts() -> list[Rollout]:
    """Several blocks, threads that end in EOS, threads that run into their limit."""
    limits = Limits(max_thread_tokens=12)
    made = []
    for seed, group in enumerate(GROUPS):
        engine = StoryEngine(seed, TAGS, blocks=2, max_threads=4, thread_length=16, eos_rate=0.3)
        made.append(asyncio.run(fork_join(engine, TAGS.encode(f"problem {group}"), TAGS, limits)))
    return made


def row_logprobs(
    model: Any, rows: Sequence[TrieRow | Pack], mask: str = "dense"
) -> tuple[torch.Tensor, torch.Tensor]:
    """log π of ``labels[:, 1:]`` as every framework computes it, and where it is trained; each (B, N - 1)."""
    batch = TrieCollator(pad_token_id=TOKENIZER.pad_token_id, mask=mask)(rows)  # type: ignore[arg-type]
    inputs = {k: batch[k] for k in ("input_ids", "position_ids", "attention_mask") if k in batch}
    logits = model(**inputs).logits[:, :-1]
    targets = batch["input_ids"][:, 1:, None]
    trained = batch["labels"][:, 1:] != -100
    return logits.log_softmax(-1).gather(-1, targets)[..., 0], trained
