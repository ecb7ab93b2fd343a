"""Tests of verl run on the CPU where there is nothing better; import this before verl."""

from __future__ import annotations

import os

from tw_plugins.adapter.device import has_accelerator

if not has_accelerator():
    os.environ.setdefault("VERL_PLATFORM", "cpu")
