"""verl's FSDP engine on the CPU: registered for the device, and reference models whose memory is not pinned.

Works around `verl/workers/engine/fsdp/transformer_impl.py:1143,462` (verl 0.9.1): its engines are registered
for cuda and npu, and `CPUOffloadPolicy(pin_memory=True)` of every forward-only engine pins the parameters'
memory, which needs an accelerator. Here they are in host memory anyway, so the policy keeps its meaning with
`pin_memory=False`. `tests/unit/verl_ext/test_cpu.py` fails once verl no longer pins, and then that half can
go.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from verl_ext.trie_engine import TrieEngine


def _unpinned(policy: Any, pin_memory: bool = False) -> Any:
    return policy(pin_memory=False)


def register(transformer_impl: Any) -> None:
    """Called by `verl_ext.cpu.plugin` once verl's FSDP engine is imported."""
    transformer_impl.EngineRegistry.register("language_model", ["fsdp", "fsdp2"], device="cpu")(TrieEngine)
    transformer_impl.CPUOffloadPolicy = partial(_unpinned, transformer_impl.CPUOffloadPolicy)
