"""Settings of verl's engines with which a row with branches would not be masked, in RL and in SFT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tw_plugins.adapter.attention import settled_attention
from tw_plugins.attention import UnsupportedAttention, attention_for_rows
from tw_plugins.attention.self_check import Heads
from tw_plugins.attention.sequence_parallel import check_split

VERLS_ATTENTION = "flash_attention_2"
"""Where the config has none (`workers/config/model.py`)."""

STRATEGIES = ("fsdp", "fsdp2")
"""Those that `verl_ext.trie_engine` is registered for."""


@dataclass(frozen=True)
class EngineKeys:
    """Where a config has them.

    Attributes:
        otherwise: what else helps, at the end of a sentence; empty where nothing does.
    """

    strategy: str
    model: str
    ulysses: str
    otherwise: str = ""


def engine_problems(strategy: str, model: Any, ulysses: int, keys: EngineKeys) -> Iterator[str]:
    """A line each.

    Args:
        model: verl's `model` section.
        ulysses: ranks that a row is split over.
    """
    from verl.utils.device import get_device_name  # of the platform that verl has fixed

    if strategy not in STRATEGIES:
        yield (
            f"trie rows need verl's FSDP engine, not {strategy}: set {keys.strategy}=fsdp2 (or fsdp)"
            f"{keys.otherwise}"
        )
    attention = _attention(model)
    if attention_for_rows(attention, get_device_name()) is None:
        yield (
            f"trie rows need attention that takes a mask, not {attention}: set "
            f"{keys.model}.override_config.attn_implementation=trie{keys.otherwise}"
        )
    if ulysses > 1 and not model.get("use_remove_padding", True):
        name = f"{keys.model.removeprefix('+')}.use_remove_padding"
        yield f"{keys.ulysses}={ulysses} splits rows that are packed: set {name}=True, or {keys.ulysses}=1"


def settle_attention(model: Any) -> None:
    """Write into verl's `model` section what computes its rows, where flash-attention is set or left."""
    from omegaconf import open_dict
    from verl.utils.device import get_device_name

    asked = _attention(model)
    taken = settled_attention(asked, get_device_name())
    if taken != asked:
        with open_dict(model):
            model.override_config = {**(model.get("override_config") or {}), "attn_implementation": taken}


def _attention(model: Any) -> str:
    return str((model.get("override_config") or {}).get("attn_implementation", VERLS_ATTENTION))


def split_problems(config: Any, ulysses: int, keys: EngineKeys) -> Iterator[str]:
    """Why a model's rows cannot be split over so many ranks.

    Args:
        config: the model's, of `transformers`.
    """
    if ulysses == 1:
        return
    try:
        check_split(config, ulysses)
    except UnsupportedAttention as error:
        yield f"{keys.ulysses}={ulysses}: {error}"
        return
    heads = Heads.of(config).key
    if heads % ulysses and ulysses % heads:  # an assert of `apply_monkey_patch` (`models/transformers`)
        yield (
            f"{keys.ulysses}={ulysses}: verl wants it to divide the model's {heads} key heads, or to be a "
            "multiple of them: set it so, or to 1"
        )
