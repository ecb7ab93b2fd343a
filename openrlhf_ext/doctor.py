"""OpenRLHF's doctor: is each of our pieces in place, in the driver and in a Ray worker?

Entry point of `tw_plugins.doctors`. Importing this module imports no OpenRLHF.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

from openrlhf_ext import hooks
from openrlhf_ext.device import ON_THE_CPU, VARIABLE, chosen_device
from openrlhf_ext.seams import SUPPORTED, seams
from tw_plugins.adapter.check import Check
from tw_plugins.adapter.device import has_accelerator
from tw_plugins.adapter.doctor import framework_checks, seam_checks


def doctor(with_ray: bool) -> list[Check]:
    """All checks; none where OpenRLHF is not installed."""
    hook = {"worker_process_setup_hook": hooks.SETUP_HOOK}
    return framework_checks("OpenRLHF", SUPPORTED, process_checks, with_ray, _prepare, hook)


def process_checks(section: str) -> list[Check]:
    """The seams of the process that calls it."""
    return seam_checks(section, seams())


def _prepare() -> Iterator[Check]:
    """What the launcher does; where nobody has asked for a device and there is none, the CPU is looked at."""
    if VARIABLE not in os.environ and not has_accelerator():
        os.environ[VARIABLE] = "cpu"
        yield Check(
            "OpenRLHF · device",
            "accelerator",
            "note",
            f"none: {ON_THE_CPU}, which is what was looked at; to submit jobs to a cluster leave it out",
        )
    chosen_device().export()  # before DeepSpeed is imported
    hooks.install()
