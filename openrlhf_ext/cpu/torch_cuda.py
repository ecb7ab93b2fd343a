"""The calls of `torch.cuda` that OpenRLHF makes without asking whether there is a device.

Works around, among others, `trainer/ray/ppo_actor.py:183` (`torch.cuda.current_device()`),
`utils/deepspeed/deepspeed.py:97` (`set_device`), `utils/distributed_util.py:10` (`synchronize`) and
`trainer/ppo_utils/replay_buffer.py:40` (`torch.device(f"cuda:{torch.cuda.current_device()}")`, a name that is
never used as a device when experience stays on the CPU).
Can go once upstream (OpenRLHF 0.11.2) asks DeepSpeed's accelerator instead of `torch.cuda`.
"""

from __future__ import annotations

from collections.abc import Callable


class _CPU(str):
    """`tensor.to(device)` takes it as "cpu"; in an f-string "cuda:{device}" stays a device name."""

    __slots__ = ()

    def __format__(self, spec: str) -> str:
        return "0"


def _nothing() -> Callable[..., None]:
    """What a CPU does for `synchronize` and its like; torch's compiler wants a function for each name."""
    return lambda *_, **__: None


def patch() -> None:
    """Replace four functions of `torch.cuda` in this process."""
    import torch

    torch.cuda.current_device = lambda: _CPU("cpu")  # type: ignore[assignment,return-value]
    for name in ("set_device", "synchronize", "current_stream"):
        setattr(torch.cuda, name, _nothing())
