"""Every piece of openrlhf_ext in this process, as in a run on the CPU."""

from __future__ import annotations

import os

from openrlhf_ext import hooks
from openrlhf_ext.device import VARIABLE, chosen_device


def put_in_place() -> None:
    """Called by a conftest, before OpenRLHF is imported."""
    os.environ[VARIABLE] = "cpu"
    chosen_device().export()
    hooks.install()
