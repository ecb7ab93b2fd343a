"""Whether verl should run on the CPU."""

from __future__ import annotations

import os
import shutil


def on_cpu() -> bool:
    """True without an accelerator, or where VERL_PLATFORM=cpu asks for it.

    Asks the driver tools, as verl's own detection does: a Ray actor without a GPU of its own on a GPU machine
    sees no CUDA device and must still not become a CPU platform.
    """
    if chosen := os.environ.get("VERL_PLATFORM", "").strip().lower():
        return chosen == "cpu"
    return not any(shutil.which(tool) for tool in ("nvidia-smi", "rocm-smi", "npu-smi"))
