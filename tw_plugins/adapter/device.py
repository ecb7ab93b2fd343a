"""What this machine has."""

from __future__ import annotations

import shutil

DRIVER_TOOLS = ("nvidia-smi", "rocm-smi", "npu-smi")
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def has_accelerator() -> bool:
    """Whether a driver tool of an accelerator is there.

    Not torch's view: a Ray actor without a GPU of its own on a GPU machine sees no device, and must still not
    be taken for a machine without one.
    """
    return any(shutil.which(tool) for tool in DRIVER_TOOLS)


def browser() -> str | None:
    """Path of a Chromium, in which the tests of the viewer look at its pages; None where there is none."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)
