"""Settings of verl's engines with which a row with branches would not be masked, in RL and in SFT."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tw_plugins.attention import usable_attention

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
        ulysses: ranks that a sequence is split over.
    """
    from verl.utils.device import get_device_name  # of the platform that verl has fixed

    if strategy not in STRATEGIES:
        yield (
            f"trie rows need verl's FSDP engine, not {strategy}: set {keys.strategy}=fsdp2 (or fsdp)"
            f"{keys.otherwise}"
        )
    attention = (model.get("override_config") or {}).get("attn_implementation", "flash_attention_2")
    if attention not in usable_attention(get_device_name()):
        yield (
            f"trie rows need attention that takes a mask, not {attention}: set "
            f"{keys.model}.override_config.attn_implementation=trie{keys.otherwise}"
        )
    if ulysses > 1:
        yield f"trie rows cannot be split over ranks: set {keys.ulysses}=1{keys.otherwise}"
