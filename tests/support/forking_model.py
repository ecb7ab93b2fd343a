"""A tiny Qwen3 that has learned by heart to fork: `tests.support.serving.segments` of a few questions.

Random weights never fork, and the quickstart's model takes minutes. This one takes seconds on one core.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import Qwen3Config, Qwen3ForCausalLM

from tests.support.serving import TAGS, TOKENIZER, TURN, joined, segments

QUESTIONS = [f"q{number}" for number in range(8)]
STEPS, SURE = 1000, 0.8
"""Of training, at most; the probability that every right token must have."""


def save_forking(folder: Path) -> Path:
    """Trains it, on one core, and writes model and tokenizer."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        _learned().save_pretrained(folder)
    finally:
        torch.set_num_threads(threads)
    TOKENIZER.save_pretrained(folder)
    return folder


def _learned() -> Any:
    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "head_dim": 32}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512}
    ends = {"eos_token_id": TOKENIZER.eos_token_id, "bos_token_id": None, "pad_token_id": 0}
    model = Qwen3ForCausalLM(Qwen3Config(vocab_size=len(TOKENIZER), **sizes, **heads, **ends)).float()
    rows = [row for question in QUESTIONS for row in _rows(question)]
    longest = max(len(context) + len(answer) for context, answer in rows)
    filled = [(context, answer, longest - len(context) - len(answer)) for context, answer in rows]
    ids = torch.tensor([context + answer + [0] * rest for context, answer, rest in filled])
    labels = torch.tensor(
        [[-100] * len(context) + answer + [-100] * rest for context, answer, rest in filled]
    )
    asked = labels[:, 1:].flatten() >= 0
    wanted = labels[:, 1:].flatten()[asked]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for _ in range(STEPS):
        logits = model(ids).logits[:, :-1].flatten(0, 1)[asked]
        losses = torch.nn.functional.cross_entropy(logits, wanted, reduction="none")
        if losses.max().exp().item() < 1 / SURE:
            break
        optimizer.zero_grad()
        losses.mean().backward()
        optimizer.step()
    else:
        raise AssertionError(f"it has not learned: loss {losses.mean().item():.4f}")
    return model


def _rows(question: str) -> list[tuple[list[int], list[int]]]:
    """(context, what follows): the whole path, and the second thread as it is asked, without its sibling."""
    opening, (_, second), _ = segments(question)
    prompt = f"{question}{TURN}"
    pairs = [(prompt, f"{joined(question)}{TURN}"), (f"{prompt}{opening}\n<Thread>\n2:", second)]
    return [(TAGS.encode(context), TAGS.encode(answer)) for context, answer in pairs]
