"""The CPU as a verl platform.

Seam: `PlatformRegistry` (`verl/plugin/platform/platform_manager.py`), in which VERL_PLATFORM=cpu looks the
name up. A *logical* Ray GPU (`ray_kwargs.ray_init.num_gpus: 1`) stands for verl's slot per rank; no device is
touched.
Works around `verl/plugin/platform/__init__.py` (verl 0.9.1), whose platforms are cuda, npu and rocm: the
probe in `platform_manager.py:104` finds no other; can go once verl has a platform of the CPU.
"""

from __future__ import annotations

import resource
import types
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch
from verl.plugin.platform.platform_base import PlatformBase

CPU = torch.device("cpu")


def _peak_memory(*_: Any, **__: Any) -> int:
    """Bytes: the process's peak resident set, the nearest thing to an allocator's peak."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _nothing(*_: Any, **__: Any) -> None:
    """What a CPU has to do for synchronize, empty_cache, set_device and their like."""


def _device_module() -> ModuleType:
    """The part of `torch.cuda` that verl calls on `get_torch_device()`."""
    module = types.ModuleType("verl_ext.cpu.device")
    memory = ("memory_allocated", "memory_reserved", "max_memory_allocated", "max_memory_reserved")
    silent = (
        "synchronize", "empty_cache", "ipc_collect", "set_device", "reset_peak_memory_stats",
        "set_per_process_memory_fraction", "manual_seed", "manual_seed_all",
    )  # fmt: skip
    module.__dict__.update(dict.fromkeys(memory, _peak_memory), **dict.fromkeys(silent, _nothing))
    module.__dict__.update(
        is_available=lambda: False,
        device_count=lambda: 1,
        current_device=lambda: CPU,
        get_device_name=lambda *_: "cpu",
        mem_get_info=lambda *_: (0, 0),
        get_rng_state=lambda *_: torch.get_rng_state(),
        set_rng_state=lambda state, *_: torch.set_rng_state(state),
        Stream=torch.cpu.Stream,
        stream=torch.cpu.stream,
        current_stream=torch.cpu.current_stream,
    )
    return module


class CPUPlatform(PlatformBase):
    """See `verl.plugin.platform.platform_base.PlatformBase` for what each member means."""

    _device = _device_module()

    @property
    def device_name(self) -> str:
        return "cpu"

    @property
    def vendor_name(self) -> str:
        return "cpu"

    @property
    def device_module(self) -> ModuleType:
        return self._device

    def is_available(self) -> bool:
        return True

    def is_platform_available(self, use_smi_check: bool = False) -> bool:
        return True  # registered only where it was asked for

    def current_device(self) -> torch.device:
        return CPU  # verl does `tensor.to(get_device_id())`: an int would mean cuda:N

    def device_count(self) -> int:
        return 1

    def set_device(self, device_index: int) -> None: ...

    def synchronize(self, device_index: int | None = None) -> None: ...

    def manual_seed(self, seed: int) -> None:
        torch.manual_seed(seed)

    def manual_seed_all(self, seed: int) -> None:
        torch.manual_seed(seed)

    def set_allocator_settings(self, settings: str) -> None: ...

    def empty_cache(self) -> None: ...

    def get_device_capability(self, device_index: int = 0) -> tuple[None, None]:
        return None, None

    def communication_backend_name(self) -> str:
        return "gloo"

    def visible_devices_envvar(self) -> str:
        return "CUDA_VISIBLE_DEVICES"

    def ray_resource_name(self) -> str:
        return "GPU"

    def ray_resource_options(self, num_gpus: float) -> dict[str, Any]:
        return {"num_gpus": num_gpus}

    def ray_noset_envvars(self) -> list[str]:
        return []

    def is_ipc_supported(self) -> bool:
        return False

    @contextmanager
    def nvtx_range(self, msg: str) -> Iterator[None]:
        yield

    def profiler_start(self) -> None: ...

    def profiler_stop(self) -> None: ...

    def cudart(self) -> None: ...


def register(platform_manager: ModuleType) -> None:
    """Called by `verl_ext.cpu.plugin` once `verl.plugin.platform.platform_manager` is imported."""
    platform_manager.PlatformRegistry.register(platform="cpu")(CPUPlatform)
