"""A tiny model, OpenRLHF's Actor on it, and trajectories over the core's test tokenizer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from openrlhf.models import Actor
from transformers import AutoModelForCausalLM

from tests.support.fakes import StoryEngine, char_tokenizer, control_tokens
from tests.support.tiny import save_tiny
from tw_plugins.rollout import Limits, Rollout, fork_join

TOKENIZER = char_tokenizer()
TAGS = control_tokens(TOKENIZER)
GROUPS = ["p", "p", "q", "q"]


def tiny_model(folder: Path, tied: bool = True) -> Path:
    """Over the core's test tokenizer."""
    return save_tiny(folder, TOKENIZER, tied)


def actor(
    model: Path, dtype: torch.dtype = torch.float32, attn_implementation: str = "sdpa", **settings: Any
) -> Any:
    """Upstream's Actor as its trainers make it, without DeepSpeed around."""
    made = Actor(str(model), attn_implementation=attn_implementation, param_dtype="fp32", **settings)
    made.model.to(dtype)
    return made.eval()


def plain(model: Path, dtype: torch.dtype = torch.float32) -> Any:
    """The same weights as a stock Hugging Face model."""
    return AutoModelForCausalLM.from_pretrained(model, dtype=dtype, attn_implementation="sdpa").eval()


def rollouts() -> list[Rollout]:
    """Several blocks, threads that end in EOS, threads that run into their limit."""
    made = []
    for seed, group in enumerate(GROUPS):
        engine = StoryEngine(seed, TAGS, blocks=2, max_threads=4, thread_length=16, eos_rate=0.3)
        limits = Limits(max_thread_tokens=12)
        made.append(asyncio.run(fork_join(engine, TAGS.encode(f"problem {group}"), TAGS, limits)))
    return made


def generator(**arguments: Any) -> Any:
    """Upstream's SamplesGenerator without engines, for what it does to a response."""
    from openrlhf.trainer.ppo_utils.samples_generator import SamplesGenerator

    return SamplesGenerator(SimpleNamespace(args=SimpleNamespace(**arguments)), None, None, TOKENIZER, [])
