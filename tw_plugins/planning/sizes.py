"""How large a model is, counted on the meta device from its config alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tw_plugins.planning.errors import PlanError

__all__ = ["PUBLISHED", "ModelSize", "config_of"]


PUBLISHED: dict[str, tuple[int, int, int, int, bool]] = {
    "Qwen3-0.6B": (28, 1024, 3072, 16, True),
    "Qwen3-1.7B": (28, 2048, 6144, 16, True),
    "Qwen3-4B": (36, 2560, 9728, 32, True),
    "Qwen3-8B": (36, 4096, 12_288, 32, False),
    "Qwen3-14B": (40, 5120, 17_408, 40, False),
    "Qwen3-32B": (64, 5120, 25_600, 64, False),
}
"""Layers, width, MLP's width, heads, whether the head is the embedding; as in their config.json."""


def config_of(model: str | None) -> Any:
    """
    Args:
        model: a folder with a config.json, or one of `PUBLISHED`; None where nothing names one.

    Raises:
        PlanError: neither.
    """
    from transformers import AutoConfig, Qwen3Config

    if model is None:
        raise PlanError(f"the recipe names no model: give one by --model, e.g. {next(iter(PUBLISHED))}")
    name = model.removeprefix("Qwen/")
    if name in PUBLISHED:
        layers, hidden, ffn, heads, tied = PUBLISHED[name]
        return Qwen3Config(
            vocab_size=151_936,
            hidden_size=hidden,
            intermediate_size=ffn,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            num_key_value_heads=8,
            head_dim=128,
            tie_word_embeddings=tied,
        )
    if not (Path(model) / "config.json").is_file():
        raise PlanError(
            f"{model!r} is no folder with a config.json: give one by --model, or a name of "
            f"{', '.join(PUBLISHED)}"
        )
    return AutoConfig.from_pretrained(model)


@dataclass(frozen=True)
class ModelSize:
    """Counts of parameters, and bytes of a token in the KV cache.

    Attributes:
        parameters: all; ``layer``: of the largest layer; ``ends``: of embedding and head.
        kv_bytes: of one token, in bf16.
    """

    parameters: int
    layer: int
    ends: int
    kv_bytes: int

    @classmethod
    def of(cls, config: Any) -> ModelSize:
        """Of a `transformers` config."""
        import torch
        from transformers import AutoModelForCausalLM

        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(config)
        ends = {*model.get_input_embeddings().parameters(), *model.get_output_embeddings().parameters()}
        head_dim = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return cls(
            parameters=_count(model.parameters()),
            layer=max(_count(layer.parameters()) for layer in model.model.layers),
            ends=_count(ends),
            kv_bytes=config.num_hidden_layers * 2 * config.num_key_value_heads * head_dim * 2,
        )


def _count(parameters: Any) -> int:
    return sum(weight.numel() for weight in parameters)
