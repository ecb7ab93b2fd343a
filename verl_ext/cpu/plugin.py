"""The CPU port's own entry point of `verl.plugins`: asleep unless VERL_PLATFORM=cpu.

verl fixes its platform while its trainers are imported, before it reads any config, so that its own variable
is the only thing that can ask for the CPU. Nothing is guessed from the machine: a driver without a GPU (the
head of a cluster, a laptop that submits jobs) runs verl as it is.
"""

from __future__ import annotations

import logging

from tw_plugins.adapter.hooks import register_on_import
from verl_ext.cpu.seams import SEAMS
from verl_ext.device import VARIABLE, chosen_platform
from verl_ext.seams import SUPPORTED

logger = logging.getLogger(__name__)


def install() -> None:
    """Hang the CPU's pieces on the imports of their verl modules, where the CPU is asked for.

    With versions that they were not checked against verl knows no such platform, and says only that.
    """
    if chosen_platform() != "cpu":
        return
    if found := SUPPORTED.problems():
        reason = "; ".join(found)
        logger.error(
            "%s=cpu is ThreadWeaver's platform, which is off, so verl has none: %s", VARIABLE, reason
        )
        return
    register_on_import(SEAMS)


install()
