"""Whether verl should run on the CPU."""

from __future__ import annotations

import os

from tw_plugins.adapter.device import has_accelerator


def on_cpu() -> bool:
    """True without an accelerator, or where VERL_PLATFORM=cpu asks for it."""
    if chosen := os.environ.get("VERL_PLATFORM", "").strip().lower():
        return chosen == "cpu"
    return not has_accelerator()
