"""Which models can attend to trie rows: those whose layers see all that came before a token.

A mask or a plan is given once for all layers. A layer that sees only a window, or keeps a state instead of
attending, would compute something else than its requests did, without an error.
"""

from __future__ import annotations

from typing import Any

from tw_plugins.errors import UserError

__all__ = ["UnsupportedAttention", "attention_span", "check_span"]

_WINDOWS = {"sliding_attention": "sliding_window", "chunked_attention": "attention_chunk_size"}
"""transformers' name of a kind of layer → the field of the config with its tokens."""


class UnsupportedAttention(UserError, ValueError):
    """An attention implementation, or a model, with which a trie row would be attended wrongly."""


def attention_span(config: Any) -> int | None:
    """Tokens that a token sees in every layer, its own included; None: all before it, 0: not in every layer.

    Args:
        config: of a Hugging Face model.
    """
    text = config.get_text_config()
    kinds = set(getattr(text, "layer_types", None) or ())
    if not kinds:  # Mistral: all layers have the window, if there is one
        return getattr(text, "sliding_window", None)
    windows = [
        getattr(text, _WINDOWS[kind], None) if kind in _WINDOWS else 0 for kind in kinds - {"full_attention"}
    ]
    return min((window for window in windows if window is not None), default=None)


def check_span(config: Any, length: int) -> None:
    """
    Args:
        config: of a Hugging Face model.
        length: of a trajectory, prompt included, in tokens.

    Raises:
        UnsupportedAttention: some layer does not see all of it.
    """
    span = attention_span(config)
    if span is not None and length > span:
        kinds = set(getattr(config.get_text_config(), "layer_types", None) or ["sliding_attention"])
        others = ", ".join(sorted(kinds - {"full_attention"}))
        raise UnsupportedAttention(
            f"rows with branches need layers that see the whole trajectory, here up to {length} tokens; "
            f"{config.model_type} has {others} layers that see {span}. "
            "Take a model with full attention, shorter trajectories, or layout=rows (verl)"
        )
