"""Reference models on the CPU: verl pins the memory of their parameters, which needs an accelerator.

Works around `verl/workers/engine/fsdp/transformer_impl.py:462` (verl 0.9.1),
`CPUOffloadPolicy(pin_memory=True)` for every forward-only engine. Without an accelerator the parameters are
in host memory anyway, so the policy keeps its meaning with `pin_memory=False`.
`tests/unit/verl_ext/test_cpu.py` fails once verl no longer pins, and then this can go.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from verl_ext.cpu.detect import on_cpu


def _unpinned(policy: Any, pin_memory: bool = False) -> Any:
    return policy(pin_memory=False)


def patch(transformer_impl: Any) -> None:
    """Replace the name that verl's FSDP engine calls; does nothing with an accelerator."""
    if on_cpu():
        transformer_impl.CPUOffloadPolicy = partial(_unpinned, transformer_impl.CPUOffloadPolicy)
