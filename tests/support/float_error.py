"""How far float32 can be trusted on a model: the yardstick for rollout-vs-actor probability differences."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS, SAMPLES, TOKENS = 4, 16, 64  # about as many tokens as a step of the tests trains


TIMES = 10  # the tail of a few thousand tokens in two implementations; a wrong mask is at 10,000 and more


class Error(NamedTuple):
    """Of a token's probability: the largest of all tokens, and the mean."""

    largest: float
    mean: float


def check_fidelity(step: dict[str, Any], float32: Error) -> None:
    """Training sees what inference saw, on every trained token, as exactly as this model in float32 can."""
    assert step["training/rollout_probs_diff_mean"] <= TIMES * float32.mean
    assert step["training/rollout_probs_diff_max"] <= TIMES * float32.largest


def float32_error(model: Path, data: Path) -> Error:
    """|π_float32 − π_float64| of stock Hugging Face, on what it samples for prompts of ``data``."""
    tokenizer = AutoTokenizer.from_pretrained(model)
    single = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    double = AutoModelForCausalLM.from_pretrained(model, dtype=torch.float64)
    torch.manual_seed(0)
    errors = []
    for prompt in pd.read_parquet(data)["prompt"][:PROMPTS]:
        inputs = tokenizer.apply_chat_template(
            list(prompt), add_generation_prompt=True, return_dict=True, return_tensors="pt"
        )
        ids = single.generate(
            **inputs,
            do_sample=True,
            top_k=0,
            min_new_tokens=TOKENS,
            max_new_tokens=TOKENS,
            num_return_sequences=SAMPLES,
        )
        a, b = (_probabilities(network, ids)[:, -TOKENS:] for network in (single, double))
        errors.append((a.double() - b).abs())
    every = torch.cat(errors)
    return Error(every.max().item(), every.mean().item())


@torch.no_grad()
def _probabilities(model: torch.nn.Module, ids: torch.Tensor) -> torch.Tensor:
    """(B, N - 1) probability of each token but the first, as the frameworks take it by default."""
    logits = model(input_ids=ids).logits[:, :-1]
    return (logits.gather(-1, ids[:, 1:, None])[..., 0] - logits.logsumexp(-1)).exp()
