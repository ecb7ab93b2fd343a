"""Whether OpenRLHF should run on the CPU."""

from __future__ import annotations

import os

from tw_plugins.adapter.device import has_accelerator


def on_cpu() -> bool:
    """True without an accelerator, or where DS_ACCELERATOR=cpu asks DeepSpeed for it."""
    if chosen := os.environ.get("DS_ACCELERATOR", "").strip().lower():
        return chosen == "cpu"
    return not has_accelerator()
