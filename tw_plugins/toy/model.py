"""A small, randomly initialised Qwen3 for the toy task."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Qwen3Config, Qwen3ForCausalLM


@dataclass(frozen=True)
class Widths:
    """Layers of a Qwen3; the defaults are the toy's."""

    hidden: int = 192
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 32
    ffn: int = 384

    def config(self, vocabulary: int, **more: Any) -> Qwen3Config:
        """The configuration of a model with tied embeddings; ``more`` are further fields of it."""
        from transformers import Qwen3Config

        return Qwen3Config(
            vocab_size=vocabulary,
            hidden_size=self.hidden,
            intermediate_size=self.ffn,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            head_dim=self.head_dim,
            tie_word_embeddings=True,
            **more,
        )


@dataclass(frozen=True)
class ModelSize(Widths):
    """The toy's model, and what it begins with.

    ``hidden``: at 128 it happened that one letter's look-up found its digit unless that was a 1 or a 2, and
    stayed so: the rest of the score was sharp by then, and a key that gets no attention gets no gradient.
    ``init_std``: with the usual 0.02 so small a model barely learns in minutes. ``rope_theta``: Qwen3's own;
    with 10,000 few of a head's rotations are slow enough to find a letter by what it is rather than by where
    it stands, and the look-ups are learned late or not at all. ``qk_norm``: what the scales of the query and
    key norms begin with. At Qwen3's 1 no attention score exceeds √head_dim, 5.7, so that among 400 tokens the
    best gets less than half of the weight; look-ups then wait until training has grown the scales, and how
    long that takes is a matter of the seed.
    """

    init_std: float = 0.06
    rope_theta: float = 1_000_000.0
    qk_norm: float = 1.5
    max_positions: int = 2048


STANDARD_MODEL = ModelSize()
SMOKE_MODEL = ModelSize(hidden=64, layers=2, heads=2, kv_heads=1, ffn=128)


def make_model(
    tokenizer: PreTrainedTokenizerBase, seed: int, size: ModelSize = STANDARD_MODEL
) -> Qwen3ForCausalLM:
    """A float32 model with tied embeddings and exactly ``len(tokenizer)`` rows of them.

    Deterministic in ``seed``; the global random state is left as it was.
    """
    import torch
    from transformers import Qwen3ForCausalLM

    config = size.config(
        len(tokenizer),
        initializer_range=size.init_std,
        max_position_embeddings=size.max_positions,
        rope_parameters={"rope_type": "default", "rope_theta": size.rope_theta},
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Qwen3ForCausalLM(config)
    for layer in model.model.layers:
        torch.nn.init.constant_(layer.self_attn.q_norm.weight, size.qk_norm)
        torch.nn.init.constant_(layer.self_attn.k_norm.weight, size.qk_norm)
    return model


def save(folder: Path, tokenizer: PreTrainedTokenizerBase, model: Qwen3ForCausalLM) -> None:
    """Write model and tokenizer as one Hugging Face folder."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
